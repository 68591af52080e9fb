"""Single pictures of up to 16 bits, by their stored values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mcvd.video.arrays.base import OpenArray
from mcvd.video.decoders.pictures import opened_picture


def open_picture(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`: a PNG of one or several channels, 16 bits as they are."""
    with opened_picture(path) as picture:
        stored = np.asarray(picture)

    def read(place: tuple[Any, ...]) -> np.ndarray:
        return stored[place].astype(np.float32)

    return OpenArray(stored.shape, stored.dtype, read, axes="HW" if stored.ndim == 2 else "HWC")
