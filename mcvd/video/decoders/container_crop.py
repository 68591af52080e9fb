"""The window of the stored picture that a container says is to be shown: Matroska's PixelCrop, the clap box of mp4.

FFmpeg reads both, but PyAV does not pass them on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from struct import error as StructError
from struct import unpack
from typing import BinaryIO, NamedTuple

_SEGMENT, _TRACKS, _TRACK, _VIDEO, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675
_CROPS = {0x54CC: "left", 0x54DD: "right", 0x54BB: "top", 0x54AA: "bottom"}
# Bytes of a sample entry for pictures before the boxes it holds.
_SAMPLE_ENTRY_BYTES = 78


class Crop(NamedTuple):
    """How many columns and rows of the stored picture are not to be shown."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0


def container_crop(path: Path, format_name: str, order: int, track: int, size: tuple[int, int]) -> Crop:
    """What the container cuts off; nothing where it does not say, or says what cannot be.

    Args:
        path: the file.
        format_name: FFmpeg's name of its format.
        order: the how manieth of its video streams, from 0; by it Matroska's track is found.
        track: number of the stream in the file (``stream.id``); by it the track of mp4 is found.
        size: (height, width) as stored.
    """
    kinds = format_name.split(",")
    if "matroska" not in kinds and "mp4" not in kinds:
        return Crop()
    try:
        with path.open("rb") as file:
            crop = _matroska_crop(file, order) if "matroska" in kinds else _mp4_crop(file, track, size)
    except (StructError, IndexError, OSError, ZeroDivisionError):
        return Crop()
    inside = min(crop) >= 0 and crop.left + crop.right < size[1] and crop.top + crop.bottom < size[0]
    return crop if inside else Crop()


def _matroska_crop(file: BinaryIO, order: int) -> Crop:
    crops = []
    for segment, end in _elements(file, os.fstat(file.fileno()).st_size):
        for name, stop in _elements(file, end) if segment == _SEGMENT else ():
            if name == _CLUSTER:
                return Crop()
            for track, track_end in _elements(file, stop) if name == _TRACKS else ():
                for kind, kind_end in _elements(file, track_end) if track == _TRACK else ():
                    if kind == _VIDEO:
                        crops.append(_pixel_crop(file, kind_end))
            if name == _TRACKS:
                return crops[order]
    return Crop()


def _pixel_crop(file: BinaryIO, end: int) -> Crop:
    sides = {
        _CROPS[name]: int.from_bytes(file.read(stop - file.tell()))
        for name, stop in _elements(file, end)
        if name in _CROPS
    }
    return Crop(**sides)


def _elements(file: BinaryIO, end: int) -> Iterator[tuple[int, int]]:
    """Identifiers and ends of the elements of Matroska from here to ``end``; the file stands where each begins."""
    while file.tell() < end:
        name, _ = _variable_number(file, keeps_marker=True)
        size, is_unknown = _variable_number(file, keeps_marker=False)
        stop = end if is_unknown else min(end, file.tell() + size)
        yield name, stop
        file.seek(stop)


def _variable_number(file: BinaryIO, keeps_marker: bool) -> tuple[int, bool]:
    """A number of variable length, and whether all its bits are set, which means that it is not known."""
    first = file.read(1)[0]
    length = 9 - first.bit_length()
    value = int.from_bytes(bytes([first]) + file.read(length - 1))
    bits = 7 * length
    return (value if keeps_marker else value & ((1 << bits) - 1)), value & ((1 << bits) - 1) == (1 << bits) - 1


def _mp4_crop(file: BinaryIO, track: int, size: tuple[int, int]) -> Crop:
    for end in _inside(file, os.fstat(file.fileno()).st_size, b"moov", b"trak"):
        start, number = file.tell(), 0
        for _ in _inside(file, end, b"tkhd"):
            file.seek(19 if file.read(1)[0] else 11, os.SEEK_CUR)
            (number,) = unpack(">I", file.read(4))
        if number == track:
            file.seek(start)
            for table_end in _inside(file, end, b"mdia", b"minf", b"stbl", b"stsd"):
                file.seek(8, os.SEEK_CUR)
                for _, entry_end in _boxes(file, table_end):
                    file.seek(_SAMPLE_ENTRY_BYTES, os.SEEK_CUR)
                    for _ in _inside(file, entry_end, b"clap"):
                        return _clean_aperture(file.read(32), size)
    return Crop()


def _clean_aperture(content: bytes, size: tuple[int, int]) -> Crop:
    """Width, height and the offset of the centre from the picture's, each a fraction."""
    numbers = unpack(">8i", content)
    width, height, right, down = (Fraction(numbers[2 * k], numbers[2 * k + 1]) for k in range(4))
    left, top = (size[1] - width) / 2 + right, (size[0] - height) / 2 + down
    return Crop(round(left), round(size[1] - width - left), round(top), round(size[0] - height - top))


def _inside(file: BinaryIO, end: int, kind: bytes, *kinds: bytes) -> Iterator[int]:
    """Ends of the boxes reached by this way of kinds from here; the file stands where the content begins."""
    for found, stop in _boxes(file, end):
        if found == kind and kinds:
            yield from _inside(file, stop, *kinds)
        elif found == kind:
            yield stop


def _boxes(file: BinaryIO, end: int) -> Iterator[tuple[bytes, int]]:
    """Kinds and ends of the boxes of mp4 from here to ``end``; the file stands where the content begins."""
    start = file.tell()
    while start + 8 <= end:
        size, kind = unpack(">I4s", file.read(8))
        content = start + 8
        if size == 1:
            (size,) = unpack(">Q", file.read(8))
            content += 8
        stop = min(end, start + size) if size else end
        if stop < content:
            return  # a size that is smaller than its own field: damaged
        yield kind, stop
        file.seek(stop)
        start = stop
