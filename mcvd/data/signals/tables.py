"""Tables of numbers beside frames, CSV: a row for each frame, a named column for each number."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from pathlib import Path, PurePosixPath

import numpy as np

from mcvd.data.videos import SignalsError

FRAME_COLUMNS = ("frame", "frames", "image", "file", "filename")  # which picture a row is of
MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Args:
        path: of its file, for messages.
        columns: float32 (rows,) by name.
        faults: what is wrong with a column, by name: it is refused when it is asked for.
        frames: of each row the file that it names, or empty.
    """

    path: Path
    columns: dict[str, np.ndarray]
    faults: dict[str, str]
    frames: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def column(self, name: str) -> np.ndarray:
        """The numbers of a column.

        Raises:
            SignalsError: one of them is none.
        """
        if name in self.faults:
            raise SignalsError(f"{self.path}: {self.faults[name]}")
        return self.columns[name]

    def rows_of(self, pictures: Sequence[str], num_frames: int) -> list[int]:
        """Which row belongs to which frame: by the names of pictures where rows have some, else one after the other.

        Raises:
            SignalsError: a frame has no row, or a row no frame.
        """
        named = {PurePosixPath(name.replace("\\", "/")).name: row for row, name in enumerate(self.frames)}
        if not pictures or not named.keys() & {*pictures}:
            if len(self) != num_frames:
                raise SignalsError(f"{self.path}: has {len(self)} rows for {num_frames} frames")
            return [*range(num_frames)]
        for picture in pictures:
            if picture not in named:
                raise SignalsError(f"{self.path}: has no row for the frame {picture}")
        unknown = [row for name, row in named.items() if name not in set(pictures)]
        if unknown and self.path.parent.name and (self.path.parent / pictures[0]).exists():
            row = min(unknown)
            raise SignalsError(f"{self.path}: row {row + 1} names {self.frames[row]}, which is no frame there")
        return [named[picture] for picture in pictures]


def read_table(path: Path) -> Table:
    """Read a table; kept until the file changes.

    Raises:
        SignalsError: it is not one.
    """
    stat = path.stat()
    if stat.st_size > MAX_BYTES:
        raise SignalsError(f"{path}: {stat.st_size:,} bytes are no table of frames")
    return _read_table(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=512)
def _read_table(path: Path, changed: int, size: int) -> Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SignalsError(f"{path}: no table: {error}") from None
    names = [name.strip() for name in header]
    if len({*names}) != len(names) or not all(names) or not names:
        raise SignalsError(f"{path}: the first row must name each column once, got {', '.join(header) or 'nothing'}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise SignalsError(f"{path}: row {number} has {len(row)} values for {len(names)} columns")
    of_frames = next((name for name in names if name.lower() in FRAME_COLUMNS), None)
    columns: dict[str, np.ndarray] = {}
    faults: dict[str, str] = {}
    for place, name in enumerate(names):
        if name != of_frames:
            columns[name], fault = _numbers([row[place] for row in rows], name)
            faults |= {name: fault} if fault else {}
    frames = tuple(row[names.index(of_frames)].strip() for row in rows) if of_frames else ()
    return Table(path, columns, faults, frames)


def _numbers(cells: list[str], name: str) -> tuple[np.ndarray, str]:
    """A column, and what is wrong with its first cell that is no number."""
    numbers, fault = np.zeros(len(cells), np.float32), ""
    for row, cell in enumerate(cells, 1):
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if isfinite(value):
            numbers[row - 1] = value
        else:
            fault = fault or f"row {row}, {name} is {cell.strip() or 'empty'}, not a finite number"
    return numbers, fault
