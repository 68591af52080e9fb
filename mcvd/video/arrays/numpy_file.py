"""NumPy's files: .npy is mapped into memory, of a .npz, which is compressed as a whole, all of an array is read."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mcvd.video.arrays.base import OpenArray, chosen
from mcvd.video.arrays.times import seconds_of
from mcvd.video.decoders.base import VideoError


def open_npy(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`."""
    if variable is not None:
        raise VideoError(f"{path} has no array {variable!r}: a .npy file holds one without a name")
    stored = np.load(path, mmap_mode="r", allow_pickle=False)
    return OpenArray(stored.shape, stored.dtype, lambda place: np.array(stored[place], np.float32))


def open_npz(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`; an array ``time`` tells the times, in seconds or dates."""
    with zipfile.ZipFile(path) as archive:
        found = {name.removesuffix(".npy"): _header(archive, name) for name in archive.namelist()}
    name = chosen(path, variable, found)
    shape, dtype = found[name]
    file = np.load(path, allow_pickle=False)
    kept: dict[str, np.ndarray] = {}

    def read(place: tuple[Any, ...]) -> np.ndarray:
        if name not in kept:
            kept[name] = file[name]
        return np.array(kept[name][place], np.float32)

    times = seconds_of(file["time"]) if "time" in found else None
    return OpenArray(shape, dtype, read, file.close, times_seconds=times)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of an array in an archive, without its numbers."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    return shape, dtype
