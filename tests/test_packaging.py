"""What is shipped is mcvd alone, with the files that it reads."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_only_mcvd_is_shipped():
    assert SETUPTOOLS["packages"]["find"]["include"] == ["mcvd*"]
    assert [path.name for path in ROOT.glob("mcvd*") if path.is_dir() and path.suffix != ".egg-info"] == ["mcvd"]


def test_the_files_that_mcvd_reads_are_shipped():
    code = "\n".join(path.read_text() for path in (ROOT / "mcvd").rglob("*.py"))
    files = [path.relative_to(ROOT / "mcvd") for path in (ROOT / "mcvd").rglob("*") if path.is_file()]
    beside = {
        path.as_posix()
        for path in files
        if path.suffix not in (".py", ".pyc") and path.parts[0] not in ("box", "configs")
    }
    assert beside | {"box/*", "configs/**/*.yaml"} == set(SETUPTOOLS["package-data"]["mcvd"])
    assert '"demo.yaml"' in code
    assert (ROOT / "mcvd" / "configs").resolve() == ROOT / "configs"  # a link here, files in the wheel


def test_every_room_of_mcvd_is_a_package():
    rooms = {path.parent for path in (ROOT / "mcvd").rglob("*.py")}
    assert all((room / "__init__.py").exists() for room in rooms)


def test_recipes_are_used_by_path_and_cannot_be_imported():
    for folder in ("datasets", "configs", "tools"):
        assert not [*(ROOT / folder).rglob("__init__.py")]
