#!/bin/sh
# xarray 2026.9.0: times of unit ms become NaT in the file where their encoding asks for a finer unit.
#
# Valid input: three times, 33 ms apart, as datetime64[ms], written with units of microseconds or nanoseconds as int64.
# Expected: the same times when the file is read. Seen: NaT three times, and no warning. As datetime64[ns] they survive.
# Output seen (Python 3.11, 2026-11-28): datetime64[ms] as microseconds, and as nanoseconds: NaT NaT NaT, 0 warnings.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  xarray==2026.9.0 pandas==3.1.1 numpy==2.4.6 h5netcdf==1.8.2 h5py==3.16.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import xarray as xr

times = np.datetime64("2026-01-01T00:00:00", "ms") + np.array([0, 33, 66], "timedelta64[ms]")


def read_back(values, unit):
    data = xr.Dataset({"brightness": ("time", [1.0, 2.0, 3.0])}, {"time": values})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoding = {"time": {"units": f"{unit} since 2026-01-01", "dtype": "int64"}}
        data.to_netcdf("times.nc", engine="h5netcdf", encoding=encoding)
        with xr.open_dataset("times.nc", engine="h5netcdf") as stored:
            return stored.time.values, caught


for unit in ("microseconds", "nanoseconds"):
    stored, caught = read_back(times, unit)
    print(f"datetime64[ms] as {unit}: {stored}, {len(caught)} warnings")
    assert np.isnat(stored).all() and not caught
    stored, _ = read_back(times.astype("datetime64[ns]"), unit)
    print(f"datetime64[ns] as {unit}: {stored}")
    assert (stored == times).all()
PYTHON
