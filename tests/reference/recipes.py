"""The recipes of datasets/: users run them by path, and nothing imports them, so neither do the tests."""

import io
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

DATASETS = Path(__file__).parents[2] / "datasets"


def prepare(name, raw, out):
    """Run datasets/NAME/prepare.py as the main program, in this process: a new Python costs seconds of imports."""
    path = str(DATASETS / name / "prepare.py")
    words, stdout, stderr = [path, "--raw", str(raw), "--out", str(out)], io.StringIO(), io.StringIO()
    status = 0
    with patch.object(sys, "argv", words), redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as leaving:
            status = leaving.code or 0
    return SimpleNamespace(returncode=status, stdout=stdout.getvalue(), stderr=stderr.getvalue())


def stamps(folder):
    """When each file of a folder was written last."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
