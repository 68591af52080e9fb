"""The tools of `tools/assurance` fit the code as it is."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MUTANTS = runpy.run_path(str(ROOT / "tools/assurance/hand_mutants.py"))["MUTANTS"]


@pytest.mark.parametrize("path", MUTANTS)
def test_every_fault_made_by_hand_has_its_place_in_the_code(path):
    (first, *others), changes = MUTANTS[path]
    source = (ROOT / path).read_text()
    for old, new in changes:
        assert source.count(old) == 1, old
        compile(source.replace(old, new), path, "exec")
    for tests in (first, *others):
        assert all((ROOT / each).exists() for each in tests if each.startswith("tests/"))
