"""NetCDF, of every version that xarray reads: packing, missing values, times and the names of axes as CF has them."""

from __future__ import annotations

import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mcvd.video.arrays.axes import axes_from_names
from mcvd.video.arrays.base import OpenArray, chosen, text_of, valid_alone, valid_bounds
from mcvd.video.arrays.hdf5 import open_hdf5
from mcvd.video.arrays.times import seconds_of


def open_netcdf(path: Path, variable: str | None) -> OpenArray:
    """See `mcvd.video.arrays.open.open_array`; without the package xarray NetCDF-4 is read as HDF5."""
    if find_spec("xarray") is None or find_spec("h5netcdf") is None:
        return open_hdf5(path, variable)
    import xarray

    engine = _engine(path)
    options: dict[str, Any] = {"phony_dims": "access"} if engine == "h5netcdf" else {}
    # Not cached: xarray would keep all that was ever read.
    data = xarray.open_dataset(path, engine=engine, cache=False, **options)
    try:
        found = {str(name): (each.shape, each.dtype) for name, each in data.variables.items()}
        name = chosen(path, variable, found)
        stored = data.variables[name]
        axes = axes_from_names([str(dim) for dim in stored.dims])
        times = None
        if axes and "T" in axes and (dim := stored.dims[axes.index("T")]) in data.variables:
            times = seconds_of(data.variables[dim].values, data.variables[dim].attrs.get("units"))
        facts = {str(key): fact for key, fact in (stored.encoding | stored.attrs).items()}
        # xarray leaves values that are not valid where they are.
        bounds = valid_bounds(facts, np.dtype(facts.get("dtype", stored.dtype)))
    except BaseException:
        data.close()
        raise

    def read(place: tuple[Any, ...]) -> np.ndarray:
        return valid_alone(np.asarray(stored[place].values, np.float32), bounds)

    unit = text_of(stored.attrs.get("units", ""))
    return OpenArray(stored.shape, stored.dtype, read, partial(_close, data), axes, times, unit)


def _close(data: Any) -> None:
    with warnings.catch_warnings():  # SciPy's, that arrays are still mapped: they are only dropped after it
        warnings.simplefilter("ignore", RuntimeWarning)
        data.close()


def _engine(path: Path) -> str:
    with path.open("rb") as file:
        return "scipy" if file.read(3) == b"CDF" else "h5netcdf"  # NetCDF-3 has its own form
