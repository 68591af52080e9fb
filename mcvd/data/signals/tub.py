"""Tubs of Donkeycar: what the driver did, beside the pictures of a drive."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from mcvd.data.signals.tables import Table
from mcvd.data.videos import SignalsError

IMAGE = "cam/image_array"


def find_tub(folder: Path) -> Path | None:
    """The tub whose pictures lie in a folder: itself (records, version 1), or the one above (catalogs, version 2)."""
    if any(folder.parent.glob("*.catalog")) and folder.name == "images":
        return folder.parent
    return folder if next(folder.glob("record_*.json"), None) else None


def read_tub(tub: Path) -> Table:
    """The numbers of all records, such as ``user/angle`` and ``user/throttle``, and the picture that each is of.

    Raises:
        SignalsError: a record is damaged; names its file and line.
    """
    files = sorted(tub.glob("*.catalog")) or sorted(tub.glob("record_*.json"))
    return _read_tub(tub, tuple((file, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=64)
def _read_tub(tub: Path, files: tuple[tuple[Path, int], ...]) -> Table:
    records = []
    for file, _ in files:
        lines = file.read_text().splitlines() if file.suffix == ".catalog" else [file.read_text()]
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                records.append((f"{file}: line {number}", record, str(record[IMAGE])))
            except (ValueError, KeyError, TypeError):
                raise SignalsError(f"{file}: line {number} is no record with {IMAGE}") from None
    names = dict.fromkeys(
        name
        for _, record, _ in records
        for name, value in record.items()
        if isinstance(value, float | int) and not isinstance(value, bool) and not name.startswith("_")
    )
    columns = {name: np.zeros(len(records), np.float32) for name in names}
    faults: dict[str, str] = {}
    for row, (place, record, _) in enumerate(records):
        for name in names:
            value = record.get(name)
            if isinstance(value, float | int) and np.isfinite(value):
                columns[name][row] = value
            else:
                faults.setdefault(name, f"{Path(place).name}, {name} is {value}, not a finite number")
    return Table(tub, columns, faults, tuple(image for _, _, image in records))
