"""The rooms of the house: imports point one way, and `import mcvd` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up; a module imports from its own floor and from those below.
FLOORS = [
    {"bars", "frames", "metrics", "draws", "whole", "storage", "baselines", "wording", "compiling", "arithmetic"}
    | {"kept", "frame_file", "work", "sharding"},
    {"masking", "noise", "nets", "data", "chart", "page_style"},
    {"denoiser", "samplers", "compat_config", "compat_keys", "compat"},
    {"rollout"},
    {"generation"},
    {"module", "info", "memory", "model_card", "api"},
    {"averaging", "checkpoints", "batch_size", "quick_training", "preview", "progress", "runs", "skipping", "stopping"}
    | {"training_cost"},
    {"processes"},
    {"evaluate", "gallery", "made", "fvd_folders", "protocols", "card", "card_page", "compare"},
    {"fit", "demo", "studio"},
    {"opening"},
    {"commands", "scoring"},
    {"cli"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def modules():
    return [path for path in (ROOT / "mcvd").rglob("*.py") if path != ROOT / "mcvd/__init__.py"]


def room(path):
    return path.relative_to(ROOT / "mcvd").with_suffix("").parts[0]


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mcvd":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path):
    for other in imported_rooms(path):
        assert FLOOR[other] <= FLOOR[room(path)], f"{path.name} reaches up to {other}"


def test_metrics_import_nothing_of_ours():
    for path in modules():
        if room(path) == "metrics":
            assert {*imported_rooms(path)} <= {"metrics"}


def test_import_is_light():
    code = "import sys, torch; before = set(sys.modules); import mcvd; print(len(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(result.stdout) < 5


def test_files_are_short():
    long = {path.name: n for path in modules() if (n := len(path.read_text().splitlines())) > 400}
    assert not long
