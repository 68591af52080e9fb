#!/bin/sh
# netCDF4 1.7.5.1: white pixels of a film of 8 bits, 255, are missing when they are read, and means leave them out.
#
# Valid input: pixels 0, 128, 255, 255 as uint8, written by netCDF4, or by xarray with it, and no attribute that speaks of missing
# values. Expected: the same pixels when they are read, as xarray reads them from the same file. Seen: a masked array without
# the two white ones, mean 64 and not 159.5: 255 is taken for the number that the file was filled with before. So are 65535 of
# uint16 and -127 of int8. A variable made with fill_value=False, and one written by h5netcdf as uint8, are whole.
# Output seen (Python 3.11, 2026-11-29): netCDF4: [0 128 -- --], mean 64.0; xarray: [0 128 255 255], mean 159.5
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  netCDF4==1.7.5.1.post1 xarray==2026.9.0 pandas==3.1.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import netCDF4
import numpy as np
import xarray as xr

warnings.simplefilter("error", UserWarning)  # none is given


def written(values, **options):
    with netCDF4.Dataset("film.nc", "w") as file:
        file.createDimension("x", len(values))
        file.createVariable("film", values.dtype, ("x",), **options)[:] = values


def read():
    with netCDF4.Dataset("film.nc") as file:
        assert not file["film"].ncattrs()
        return file["film"][:]


film = np.array([0, 128, 255, 255], np.uint8)
written(film)
seen = read()
with xr.open_dataset("film.nc", engine="netcdf4") as file:
    other = file.film.values
print(f"netCDF4: {seen}, mean {seen.mean()}; xarray: {other}, mean {other.mean()}")
assert list(np.ma.getmaskarray(seen)) == [False, False, True, True] and seen.mean() == 64
assert other.dtype == np.uint8 and (other == film).all()
xr.Dataset({"film": ("x", film)}).to_netcdf("film.nc", engine="netcdf4")
print(f"written by xarray: {read()}")
assert (np.ma.getmaskarray(read()) == (film == 255)).all()
for values in (np.array([1, 65535], np.uint16), np.array([1, -127], np.int8)):
    written(values)
    print(f"{values.dtype}: {read()}")
    assert list(np.ma.getmaskarray(read())) == [False, True]
written(film, fill_value=False)
print(f"with fill_value=False: {read()}")
assert not np.ma.getmaskarray(read()).any() and (read() == film).all()
PYTHON
