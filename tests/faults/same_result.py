"""When what a killed and repeated command has left is what an undisturbed one leaves."""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from reference.tiny_fit import assert_same_run

from faults.commands import OLDER


def assert_same_result(folder: Path, reference: Path, where: str) -> None:
    """The same files with the same content; of a training the last run, and not the configs of its resumptions."""
    found, wanted = _result(folder), _result(reference)
    assert found.keys() == wanted.keys(), f"{where}{sorted(found.keys() ^ wanted.keys())}"
    for name, path in found.items():
        if path.suffix == ".ckpt":
            assert_same_run(*(torch.load(each, weights_only=True) for each in (path, wanted[name])))
        else:
            assert _content(path) == _content(wanted[name]), f"{where}{name} differs"


def assert_whole(folder: Path, reference: Path, before: set[str | None], where: str) -> None:
    """What a killed command shows is complete, or what was there ``before``."""
    wanted = _result(reference)
    shown = (name for name in _result(folder) if not name.startswith(".") and "/." not in name)
    for name in shown:
        content = (folder / name).read_bytes()
        is_older = name in before and content == OLDER
        assert is_older or _content(folder / name) == _content(wanted[name]), f"{where}half of {name}"


def _result(folder: Path) -> dict[str, Path]:
    runs = sorted((folder / "runs").glob("run-*"))
    files = [path for path in folder.rglob("*") if path.is_file() and (folder / "runs") not in path.parents]
    found = {str(path.relative_to(folder)): path for path in files}
    if runs:
        of_run = [path for path in runs[-1].rglob("*") if path.is_file() and not path.name.startswith("config")]
        found |= {f"run/{path.relative_to(runs[-1])}": path for path in of_run}
    return found


def _content(path: Path) -> Any:
    if path.name in ("index.json", "digests.json"):  # holds the time, or the place of each video
        return {name: value for name, value in json.loads(path.read_text()).items() if name not in ("updated_at",)}
    if path.suffix == ".json":
        return {name: value for name, value in json.loads(path.read_text()).items() if name != "command"}
    if path.name == "metrics.csv":
        with path.open(newline="") as file:
            return [sorted(row.items()) for row in csv.DictReader(file)]
    if path.name == "data.yaml":
        return path.read_text().replace(str(path.parents[1]), "")
    return sha256(path.read_bytes()).hexdigest()
