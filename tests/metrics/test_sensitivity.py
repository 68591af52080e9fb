"""The distance grows with every damage: a wrong sign or axis cannot hide."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "sensitivity", Path(__file__).parents[2] / "tools/studies/fvd_sensitivity.py"
)
sensitivity = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sensitivity)


@pytest.fixture(scope="module")
def clips():
    return sensitivity.streets(8, size=32)


@pytest.fixture(scope="module")
def clean(clips):
    return sensitivity.undamaged(clips, size=32)


@pytest.mark.parametrize("kind", sensitivity.DAMAGES)
def test_more_damage_is_further_away(clips, clean, kind):
    found = sensitivity.distances(clips, kind, clean)
    assert 0 < found[0] < found[1] < found[2]
