"""GRIB 1 and 2, as weather services publish it, also in a .gz: messages on a grid, decoded one by one by ecCodes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mcvd.video.arrays.base import OpenArray, chosen, needs
from mcvd.video.arrays.times import seconds_of
from mcvd.video.decoders.base import VideoError

MAX_UNPACKED = 1 << 30  # bytes of a .gz, which are held in memory: a small file may claim to hold any number
_ABSENT = 1e30  # what ecCodes is told to put where a bitmap says that there is nothing
_UNKNOWN = "unknown"  # name and unit of quantities that are in none of its tables, such as those of MRMS


@dataclass(frozen=True)
class _Message:
    """A message of a file, without its values: the bytes from start to stop."""

    start: int
    stop: int
    name: str
    unit: str
    level: str
    shape: tuple[int, int]
    valid: datetime


def open_grib(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`: the messages of one quantity, in the order of the times they hold for.

    A quantity is named as ecCodes names it (``tp``; ``unknown`` where its tables do not have it), at one of several
    levels with the level (``t@850``).
    """
    try:
        import eccodes
    except ModuleNotFoundError:
        raise needs("eccodes", path, "grib") from None
    packed = path.suffix.lower() == ".gz"
    content = _unpacked(path) if packed else np.memmap(path, np.uint8, "r")
    messages = [_header(eccodes, content, start, stop, path) for start, stop in _places(content, path)]
    found = _by_name(messages)
    shapes = {name: ((len(own), *own[0].shape), np.dtype(np.float32)) for name, own in found.items()}
    own = sorted(found[chosen(path, variable, shapes)], key=lambda message: message.valid)
    if any(message.shape != own[0].shape for message in own):
        raise VideoError(f"{path}: messages of {own[0].name} have different grids")
    moments = [message.valid for message in own]
    if len({*moments}) < len(moments):
        raise VideoError(f"{path}: holds {own[0].name} several times for {moments[0]}, such as members: split it first")

    def read(place: tuple[Any, ...]) -> np.ndarray:
        if len(own) == 1:
            return _values(eccodes, content, own[0])[place]
        first, *rest = place
        numbers = range(len(own))[first] if isinstance(first, slice) else [first]
        fields = np.stack([_values(eccodes, content, own[number])[tuple(rest)] for number in numbers])
        return fields if isinstance(first, slice) else fields[0]

    single = len(own) == 1
    shape = own[0].shape if single else (len(own), *own[0].shape)
    times = None if single else seconds_of(np.array(moments, "datetime64[us]"))
    unit = own[0].unit.replace(_UNKNOWN, "")
    return OpenArray(shape, np.dtype(np.float32), read, axes="HW" if single else "THW", times_seconds=times, unit=unit)


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as file:
        content = file.read(MAX_UNPACKED + 1)
    if len(content) > MAX_UNPACKED:
        raise VideoError(f"{path}: holds more than {MAX_UNPACKED >> 20} MiB: unpack it first (gunzip)")
    return content


def _places(content: Any, path: Path) -> Iterator[tuple[int, int]]:
    """Where messages begin and end, by the lengths that their first section tells."""
    at, size = 0, len(content)
    while at < size:
        head = bytes(content[at : at + 16])
        if len(head) < 16 or head[:4] != b"GRIB" or head[7] not in (1, 2):
            raise VideoError(f"{path}: no GRIB message at byte {at}")
        length = int.from_bytes(head[8:16] if head[7] == 2 else head[4:7], "big")
        if length < 16 or at + length > size or bytes(content[at + length - 4 : at + length]) != b"7777":
            raise VideoError(f"{path}: the message at byte {at} is cut off")
        yield at, at + length
        at += length


@contextmanager
def _opened(eccodes: Any, content: Any, start: int, stop: int) -> Iterator[Any]:
    handle = eccodes.codes_new_from_message(bytes(content[start:stop]))
    try:
        yield handle
    finally:
        eccodes.codes_release(handle)


def _header(eccodes: Any, content: Any, start: int, stop: int, path: Path) -> _Message:
    with _opened(eccodes, content, start, stop) as handle:
        get = lambda key, kind=None: eccodes.codes_get(handle, key, kind)  # noqa: E731
        by_columns = get("jPointsAreConsecutive", int) if eccodes.codes_is_defined(handle, "Nj") else 1
        if by_columns or get("alternativeRowScanning", int) or eccodes.codes_is_missing(handle, "Ni"):
            raise VideoError(f"{path}: a grid of type {get('gridType', str)} whose values are no rows of one length")
        day, time = get("validityDate", int), get("validityTime", int)
        valid = datetime(day // 10_000, day // 100 % 100, day % 100, time // 100, time % 100)
        shape = get("Nj", int), get("Ni", int)
        return _Message(start, stop, get("shortName", str), get("units", str), str(get("level", int)), shape, valid)


def _by_name(messages: list[_Message]) -> dict[str, list[_Message]]:
    """Messages of each quantity, at each level where a quantity has several."""
    levels: dict[str, set[str]] = {}
    for message in messages:
        levels.setdefault(message.name, set()).add(message.level)
    found: dict[str, list[_Message]] = {}
    for message in messages:
        several = len(levels[message.name]) > 1
        found.setdefault(f"{message.name}@{message.level}" if several else message.name, []).append(message)
    return found


def _values(eccodes: Any, content: Any, message: _Message) -> np.ndarray:
    """float32 (H, W), NaN where there is nothing."""
    with _opened(eccodes, content, message.start, message.stop) as handle:
        eccodes.codes_set(handle, "missingValue", _ABSENT)
        values = eccodes.codes_get_array(handle, "values").reshape(message.shape)
    return np.where(values == _ABSENT, np.nan, values).astype(np.float32)
