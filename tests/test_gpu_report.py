"""The report of a GPU runs from end to end where there is none, so that no minute of one is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_toy_report_has_every_part_and_every_check_holds(tmp_path):
    out = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "tools/gpu_report.py", "--toy", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    parts = ["checks", "calls", "steps", "videos", "waits", "memory", "features", "profiles"]
    assert list(report["parts"]) == parts and all(part["rows"] for part in report["parts"].values())
    assert all(row["met"] for row in report["parts"]["checks"]["rows"])
    assert "nothing failed" in done.stdout
