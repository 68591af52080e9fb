"""DICOM, of several frames or one: in the unit of the modality (rescale slope and intercept), with its frame times."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from mcvd.video.arrays.base import OpenArray, needs, unpacked
from mcvd.video.arrays.times import rising


def open_dicom(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`; only the frames that are asked for are decoded."""
    try:
        import pydicom
        from pydicom.pixels import pixel_array
    except ModuleNotFoundError:
        raise needs("pydicom", path, "fields") from None
    with path.open("rb") as file:
        about = pydicom.dcmread(file, stop_before_pixels=True)
    frames, channels = int(about.get("NumberOfFrames", 1)), int(about.get("SamplesPerPixel", 1))
    axes = ("T" if frames > 1 else "") + "HW" + ("C" if channels > 1 else "")
    size = {"T": frames, "H": int(about.Rows), "W": int(about.Columns), "C": channels}
    attributes = [_packing(about, number) if channels == 1 else {} for number in range(frames)]

    def read(place: tuple[Any, ...]) -> np.ndarray:
        if frames == 1:
            return unpacked(pixel_array(path, raw=True)[place], attributes[0])
        first, *rest = place
        numbers = range(frames)[first] if isinstance(first, slice) else [first]
        found = [
            unpacked(pixel_array(path, index=number, raw=True)[tuple(rest)], attributes[number]) for number in numbers
        ]
        return np.stack(found) if isinstance(first, slice) else found[0]

    stored = np.dtype(f"{'i' if about.get('PixelRepresentation', 0) else 'u'}{int(about.BitsAllocated) // 8}")
    shape = tuple(size[letter] for letter in axes)
    unit = str(_rescaled(about, 0).get("RescaleType", "")).replace("US", "")
    return OpenArray(shape, stored, read, axes=axes, times_seconds=_times(about, frames), unit=unit)


def _packing(about: Any, number: int) -> dict[str, float]:
    """Of a frame, as `unpacked` takes it."""
    rescaled = _rescaled(about, number)
    told = {"scale_factor": rescaled.get("RescaleSlope"), "add_offset": rescaled.get("RescaleIntercept")}
    told["_FillValue"] = about.get("PixelPaddingValue")
    return {name: float(value) for name, value in told.items() if value is not None}


def _rescaled(about: Any, number: int) -> Any:
    """Where slope and intercept of a frame stand: enhanced objects have them by frame, or once in a group for all."""
    by_frame, shared = (about.get(f"{name}FunctionalGroupsSequence") or [] for name in ("PerFrame", "Shared"))
    for group in (*by_frame[number : number + 1], *shared[:1]):
        if group.get("PixelValueTransformationSequence"):
            return group.PixelValueTransformationSequence[0]
    return about


def _times(about: Any, frames: int) -> np.ndarray | None:
    """Of the frames, from what is in milliseconds there: a time for each, or one for all."""
    if "FrameTimeVector" in about and len(about.FrameTimeVector) == frames:
        return rising(
            np.array([*accumulate(map(float, about.FrameTimeVector))]) * 1e-3 - float(about.FrameTimeVector[0]) * 1e-3
        )
    step = float(about.get("FrameTime", 0) or 0)
    return np.arange(frames) * step * 1e-3 if step > 0 and frames > 1 else None
