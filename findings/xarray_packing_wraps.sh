#!/bin/sh
# xarray 2026.9.0: values that a packed variable has no room for wrap in the file, without a warning.
#
# Valid input: rain in mm/h, packed as int16 in steps of 0.01, as radars store it; the file is read, one value is changed to 400,
# and the data are written again: their encoding goes with them. Expected: 327.67, the largest that fits, or a missing value, or
# a refusal. Seen: -255.36 mm/h when the file is read, and by Zarr the same.
# Output seen (Python 3.11, 2026-11-29): 0.5 400.0 became 0.5 -255.36 in NetCDF and in Zarr, 0 warnings
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  xarray==2026.9.0 pandas==3.1.1 numpy==2.4.6 h5netcdf==1.8.2 h5py==3.16.0 zarr==3.1.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import xarray as xr

packed = {"rain": {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -32768}}
xr.Dataset({"rain": ("x", np.array([0.5, 20.0]))}).to_netcdf("first.nc", engine="h5netcdf", encoding=packed)
rain = xr.load_dataset("first.nc", engine="h5netcdf")
assert np.allclose(rain.rain, [0.5, 20.0])
rain.rain[1] = 400.0


def again(path, write, read):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write(path)
        values = read(path).rain.values
    wrong = [str(each.message) for each in caught if "cast" in str(each.message) or "overflow" in str(each.message)]
    print(f"{path}: {rain.rain.values} became {values}, {len(wrong)} warnings of it")
    assert np.allclose(values, [0.5, -255.36]) and not wrong


again("again.nc", lambda path: rain.to_netcdf(path, engine="h5netcdf"), lambda path: xr.load_dataset(path, engine="h5netcdf"))
again("again.zarr", lambda path: rain.to_zarr(path, consolidated=False), lambda path: xr.open_zarr(path, consolidated=False))
PYTHON
