"""`OpenArray`: an array in a file, of which parts are read, and what the file says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcvd.video.decoders.base import VideoError

_PACKING = {"scale_factor": 1.0, "add_offset": 0.0}
_MISSING = ("_FillValue", "missing_value")


@dataclass(frozen=True)
class OpenArray:
    """An array of a file that is open.

    Args:
        shape: of all of it.
        dtype: as stored.
        read: from a place, a slice or a number for each axis, to its values: float32, NaN where missing.
        close: gives the file back.
        axes: a letter of `mcvd.video.arrays.axes.LETTERS` for each axis where the file tells them.
        times_seconds: of the frames, float64 (T,), rising from 0, where the file tells them.
        unit: of the values.
        names: of the channels.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[tuple[Any, ...]], np.ndarray]
    close: Callable[[], object] = field(default=lambda: None)
    axes: str | None = None
    times_seconds: np.ndarray | None = None
    unit: str = ""
    names: tuple[str, ...] = ()


def unpacked(part: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """Values as float32, by the conventions of NetCDF: ``scale_factor``, ``add_offset``; ``_FillValue`` is NaN.

    So is what lies outside of `valid_bounds`.

    Args:
        part: as stored.
        attributes: of the array, by name.
    """
    values = part.astype(np.float32, copy=False)  # fresh from the file: nobody else has it
    missing = [np.asarray(attributes[name]).item() for name in _MISSING if name in attributes]
    gone = np.isin(part, missing) if missing else None
    if any(name in attributes for name in _PACKING):
        scale, offset = _packing(attributes)
        values = values * np.float32(scale) + np.float32(offset)
    if gone is not None:
        values[gone] = np.nan
    return valid_alone(values, valid_bounds(attributes, part.dtype))


def valid_bounds(attributes: Mapping[str, Any], dtype: np.dtype) -> tuple[float, float] | None:
    """The least and the largest valid value, unpacked, by the conventions of NetCDF; None: none are said to be invalid.

    ``valid_range``, or ``valid_min`` and ``valid_max``, are values as stored; where they are fractions and what is
    stored are whole numbers, they are unpacked values. A range that holds nothing is a mistake and says nothing.

    Args:
        attributes: of the array, by name.
        dtype: as stored.
    """
    told = np.ravel(attributes.get("valid_range", ()))
    ends = told if told.size == 2 else (attributes.get("valid_min"), attributes.get("valid_max"))
    numbers = [number if (number := np.asarray(end)).dtype.kind in "iuf" and number.size == 1 else None for end in ends]
    if str(attributes.get("_Unsigned", "")).lower() == "true":  # whole numbers below 0 stand for large ones
        numbers = [n.view(f"u{n.dtype.itemsize}") if n is not None and n.dtype.kind == "i" else n for n in numbers]
    low, high = (other if n is None else float(n.item()) for n, other in zip(numbers, (-np.inf, np.inf), strict=True))
    if low > high or (low, high) == (-np.inf, np.inf):
        return None
    scale, offset = _packing(attributes)
    if dtype.kind not in "iu" or all(number is None or number.dtype.kind != "f" for number in numbers):
        low, high = sorted((low * scale + offset, high * scale + offset))
    # Whole numbers that were unpacked in float32 may lie a little beside: half a step belongs to each.
    margin = abs(scale) / 2 if dtype.kind in "iu" else 0.0
    return low - margin, high + margin


def valid_alone(values: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    """Values (...) with NaN for those outside of `valid_bounds`."""
    if bounds is None:
        return values
    with np.errstate(over="ignore"):  # a bound that float32 does not reach holds nothing back
        low, high = np.asarray(bounds, np.float64).astype(np.float32)
    return np.where((values < low) | (values > high), np.float32(np.nan), values)


def _packing(attributes: Mapping[str, Any]) -> tuple[float, float]:
    scale, offset = (float(np.asarray(attributes.get(name, other)).item()) for name, other in _PACKING.items())
    return scale, offset


def chosen(path: Path, variable: str | None, found: Mapping[str, tuple[tuple[int, ...], np.dtype]]) -> str:
    """The name of an array in a file that holds several: the one asked for, or the only one that fits.

    Args:
        path: of the file.
        variable: what was asked for.
        found: shape and dtype by name.

    Raises:
        VideoError: there is none, or several would do.
    """
    if variable is not None:
        if variable not in found:
            raise VideoError(f"{path} has no array {variable!r}: it has {', '.join(sorted(found)) or 'none'}")
        return variable
    fitting = sorted(name for name, (shape, dtype) in found.items() if len(shape) >= 2 and dtype.kind in "iuf")
    fitting = [name for name in fitting if len(found[name][0]) >= 3] or fitting
    if len(fitting) != 1:
        raise VideoError(f"{path}: name the array (variable), those that fit are: {', '.join(fitting) or 'none'}")
    return fitting[0]


def text_of(value: Any) -> str:
    """An attribute as text."""
    value = value.item() if isinstance(value, np.ndarray | np.generic) and np.size(value) == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def needs(package: str, path: Path, extra: str) -> ModuleNotFoundError:
    """What to say when a package is not installed."""
    return ModuleNotFoundError(
        f"{path}: this format needs the package {package}: python -m pip install 'mcvd[{extra}]'"
    )
