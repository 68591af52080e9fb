"""The recipes of datasets/: users run them by path, and nothing imports them, so neither do the tests."""

from pathlib import Path

DATASETS = Path(__file__).parents[2] / "datasets"


def stamps(folder):
    """When each file of a folder was written last."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
