"""The fixtures computed with the published code, where they are at hand."""

import json
from pathlib import Path

import pytest
import safetensors.torch

FOLDER = Path(__file__).parents[1] / "../shared/fixtures"
needs_fixtures = pytest.mark.skipif(not FOLDER.is_dir(), reason="the published fixtures (../shared) are not here")


def tensors(name):
    """The tensors of a fixture."""
    return safetensors.torch.load_file(FOLDER / f"{name}.safetensors")


def description(name):
    """What a fixture says of itself."""
    return json.loads((FOLDER / f"{name}.json").read_text())
