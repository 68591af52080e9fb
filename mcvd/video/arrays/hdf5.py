"""HDF5, of which the chunks are read that are needed; NetCDF-4 too, where xarray is not installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mcvd.video.arrays.axes import axes_from_names
from mcvd.video.arrays.base import OpenArray, chosen, needs, text_of, unpacked
from mcvd.video.arrays.times import seconds_of


def open_hdf5(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`; a dataset ``time`` beside the array tells its times."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise needs("h5py", path, "recipes") from None
    file = h5py.File(path, "r", locking=False)
    try:
        found: dict[str, Any] = {}
        file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        name = chosen(path, variable, {name: (each.shape, each.dtype) for name, each in found.items()})
        stored = found[name]
        attributes = dict(stored.attrs)
        unit = text_of(attributes.get("units", ""))
        times = _times(found.get(f"{name.rpartition('/')[0]}/time".lstrip("/")), stored.shape)
        axes = axes_from_names([axis.label or (axis.keys() or [""])[0] for axis in stored.dims])
    except BaseException:
        file.close()
        raise

    def read(place: tuple[Any, ...]) -> np.ndarray:
        return unpacked(np.asarray(stored[place]), attributes)

    return OpenArray(stored.shape, stored.dtype, read, file.close, axes, times, unit)


def _times(stored: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if stored is None or len(stored.shape) != 1 or stored.shape[0] not in shape:
        return None
    return seconds_of(stored[()], stored.attrs.get("units"))
