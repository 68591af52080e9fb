"""Zarr, a folder or a .zip of it, of which the chunks are read that are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mcvd.video.arrays.axes import axes_from_names
from mcvd.video.arrays.base import OpenArray, chosen, needs, text_of, unpacked
from mcvd.video.arrays.times import seconds_of


def open_zarr(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`; axes and times as xarray writes them."""
    try:
        import zarr
    except ModuleNotFoundError:
        raise needs("zarr", path, "fields") from None
    store: Any = zarr.storage.ZipStore(path, mode="r") if path.is_file() else str(path)
    opened: Any = zarr.open(store, mode="r")
    found: dict[str, Any] = {"": opened} if isinstance(opened, zarr.Array) else dict(_arrays(opened))
    name = "" if "" in found else chosen(path, variable, {name: (a.shape, a.dtype) for name, a in found.items()})
    stored = found[name]
    attributes = dict(stored.attrs)
    dims = attributes.get("_ARRAY_DIMENSIONS") or stored.metadata.__dict__.get("dimension_names") or ()
    if "_ARRAY_DIMENSIONS" in attributes and stored.fill_value is not None:
        attributes.setdefault("_FillValue", stored.fill_value)  # as xarray means it in version 2
    axes = axes_from_names(dims) if len(dims) == len(stored.shape) else None
    times = None
    if axes and "T" in axes:
        beside = found.get(f"{name.rpartition('/')[0]}/{dims[axes.index('T')]}".lstrip("/"))
        times = None if beside is None else seconds_of(beside[...], beside.attrs.get("units"))

    def read(place: tuple[Any, ...]) -> np.ndarray:
        return unpacked(np.asarray(stored[place]), attributes)

    close = store.close if path.is_file() else lambda: None
    return OpenArray(stored.shape, stored.dtype, read, close, axes, times, text_of(attributes.get("units", "")))


def _arrays(group: Any, under: str = "") -> list[tuple[str, Any]]:
    own = [(f"{under}{name}", array) for name, array in group.arrays()]
    return own + [each for name, inner in group.groups() for each in _arrays(inner, f"{under}{name}/")]
