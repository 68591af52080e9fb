"""TIFF: stacks of pages, and single pictures such as GeoTIFF, with their missing value, scale and time."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mcvd.runtime.error_text import one_line
from mcvd.video.arrays.axes import check_axes
from mcvd.video.arrays.base import OpenArray, needs, unpacked
from mcvd.video.arrays.times import rising
from mcvd.video.decoders.base import VideoError

_TIME, _GDAL_NODATA, _GDAL_METADATA = 306, 42113, 42112
_LETTER_OF = {"T": "T", "Z": "T", "I": "T", "Q": "T", "C": "C", "S": "C", "Y": "H", "X": "W"}  # tifffile's letters


def open_tiff(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`; GDAL's missing value, scale and offset are understood."""
    try:
        import tifffile
    except ModuleNotFoundError:
        raise needs("tifffile", path, "fields") from None
    file: Any = tifffile.TiffFile(path)
    try:
        with _errors() as errors:
            several, series = file.series, file.series[0]
            stamps = [page.tags.valueof(_TIME) for page in file.pages]
            attributes = _attributes(file.pages[0].tags)
        if errors:  # it reads what is left and only logs what it misses
            raise VideoError(f"{path}: damaged ({errors[0]})")
        shape, letters = series.shape, "".join(_LETTER_OF.get(letter, "?") for letter in series.axes)
        if is_stack := len(several) > 1 and all(each.shape == shape for each in several):
            shape, letters = (len(several), *shape), "T" + letters
        times = _times(stamps) if letters[:1] == "T" and len(stamps) == shape[0] else None
    except BaseException:
        file.close()
        raise
    if is_stack:
        pick = _by_page([each.keyframe for each in several], shape)
    elif series.dataoffset is not None:
        pick = _mapped(path, series)
    elif len(series.pages) * prod(series.pages[0].shape) == prod(shape):
        pick = _by_page(series.pages, shape)
    else:
        pick = lambda place: np.asarray(series.asarray()[place])  # noqa: E731  pages are not planes of the array

    def read(place: tuple[Any, ...]) -> np.ndarray:
        return unpacked(pick(place), attributes)

    return OpenArray(shape, series.dtype, read, file.close, letters if check_axes(letters) else None, times)


@contextmanager
def _errors() -> Iterator[list[str]]:
    """What tifffile logs as errors meanwhile."""
    found: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: found.append(one_line(record.getMessage()))  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def _mapped(path: Path, series: Any) -> Callable[[tuple[Any, ...]], np.ndarray]:
    """Of pixels that lie in the file as they are, one after the other."""
    stored = np.dtype(series.dtype).newbyteorder(series.keyframe.parent.byteorder)
    array = np.memmap(path, stored, "r", series.dataoffset, series.shape)
    return lambda place: np.array(array[place])


def _by_page(pages: Sequence[Any], shape: tuple[int, ...]) -> Callable[[tuple[Any, ...]], np.ndarray]:
    """Of pages that are decoded one by one, each a plane of the array."""
    num_leading = len(shape) - len(pages[0].shape)
    leading = shape[:num_leading]

    def pick(place: tuple[Any, ...]) -> np.ndarray:
        before, inside = place[:num_leading], place[num_leading:]
        numbers = np.asarray(np.arange(prod(leading)).reshape(leading)[before])
        planes = np.stack([pages[number].asarray()[inside] for number in numbers.ravel().tolist()])
        return planes.reshape(numbers.shape + planes.shape[1:])

    return pick


def tiff_seconds(path: Path) -> float | None:
    """When a picture was taken, as its tag says, in seconds of the calendar; None where it says nothing."""
    import tifffile

    file: Any
    with tifffile.TiffFile(path) as file:
        return _stamp(file.pages[0].tags.valueof(_TIME))


def _attributes(tags: Any) -> dict[str, float]:
    """Missing value, scale and offset by the names of NetCDF."""
    found: dict[str, float] = {}
    with suppress(ValueError):  # none, or a word
        found["_FillValue"] = float(str(tags.valueof(_GDAL_NODATA)).strip("\0 "))
    described = str(tags.valueof(_GDAL_METADATA) or "")
    for role, name in (("scale", "scale_factor"), ("offset", "add_offset")):
        if (text := re.search(rf'role="{role}"[^>]*>([^<]+)<', described)) is not None:
            found[name] = float(text[1])
    return found


def _times(stamps: list[Any]) -> np.ndarray | None:
    seconds = [_stamp(stamp) for stamp in stamps]
    known = [each for each in seconds if each is not None]
    return rising(np.array(known) - known[0]) if known and len(known) == len(seconds) else None


def _stamp(text: Any) -> float | None:
    try:
        return (datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S") - datetime(1970, 1, 1)).total_seconds()
    except ValueError:
        return None
