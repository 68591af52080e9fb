"""When the frames of an array were taken, from what files tell: times with a unit, dates, or names of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from mcvd.video.arrays.base import text_of

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_UNITS = {
    name: _SECONDS[short]
    for short, names in {
        "d": "d day days",
        "h": "h hr hour hours",
        "m": "min minute minutes",
        "s": "s sec secs second seconds",
        "ms": "ms msec millisecond milliseconds",
        "us": "us microsecond microseconds",
        "ns": "ns nanosecond nanoseconds",
    }.items()
    for name in names.split()
}
_GOES = re.compile(r"_s(\d{4})([0-3]\d\d)([0-2]\d)([0-5]\d)([0-5]\d)")  # year, day of the year, time
_STAMP = re.compile(r"(\d{4})[-_]?([01]\d)[-_]?([0-3]\d)[-_T]?([0-2]\d)[-_:hH]?([0-5]\d)(?:[-_:mM]?([0-5]\d))?")


def seconds_of(values: np.ndarray, units: Any = None) -> np.ndarray | None:
    """Times as seconds from the first, float64; None where they are no times.

    Args:
        values: dates (datetime64), spans (timedelta64), or numbers.
        units: of numbers, such as "minutes since 2020-01-01" or "s"; None: seconds.
    """
    values = np.asarray(values)
    if values.ndim != 1 or not len(values):
        return None
    if values.dtype.kind in "mM":
        return rising((values - values[0]) / np.timedelta64(1, "ns") * 1e-9)
    if values.dtype.kind not in "iuf":
        return None
    words = text_of(units).split() if units is not None else ["s"]
    each = _UNITS.get(words[0].lower()) if words else None
    return None if each is None else rising((values.astype(np.float64) - float(values[0])) * each)


def rising(seconds: np.ndarray) -> np.ndarray | None:
    """These times if they are finite and each is after the one before, otherwise None."""
    seconds = np.asarray(seconds, np.float64)
    return seconds if np.isfinite(seconds).all() and (np.diff(seconds) > 0).all() else None


def seconds_of_names(names: Sequence[str]) -> np.ndarray | None:
    """Times from dates in the names of files, year to minute or second, the first 0; None where one has none.

    Examples:
        >>> seconds_of_names(["MRMS_20240501-120000.nc", "MRMS_20240501-120200.nc"]).tolist()
        [0.0, 120.0]
    """
    stamps = [_stamp(name) for name in names]
    first = stamps[0] if stamps else None
    if first is None or None in stamps:
        return None
    return rising(np.array([(stamp - first).total_seconds() for stamp in stamps if stamp is not None]))


def _stamp(name: str) -> datetime | None:
    try:
        if (found := _GOES.search(name)) is not None:
            return datetime.strptime("".join(found.groups()), "%Y%j%H%M%S")
        if (found := _STAMP.search(name)) is not None:
            year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
            return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None  # a number that is no date
    return None
