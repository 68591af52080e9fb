#!/bin/sh
# dask-image 2026.5.0: mode="wrap" of its filters is another filter at the edges as soon as the field has more than one chunk.
#
# Valid input: a field on a periodic domain, float64 (T, Y, X), filtered by mode="wrap". Expected: the numbers of scipy.ndimage, whose
# functions these wrap, whatever the chunks. Seen: so with a single chunk. With more of them each chunk at an edge wraps around itself:
# the numbers beyond the edge come from the middle of the field. Wrong so are gaussian_filter, gaussian_laplace,
# gaussian_gradient_magnitude, uniform_filter, median_filter, maximum_filter, percentile_filter, sobel, prewitt and laplace; convolve and
# correlate are right, and so are the modes reflect, nearest, mirror and constant of all of them.
# Output seen (Python 3.11, dask 2026.8.0, scipy 1.17.1, 2026-11-30): a wave of amplitude 1, four chunks: gaussian_filter of sigma 2
# is off by up to 0.93, in 38% of the pixels; sobel by up to 27.2, where its results go from -1.8 to 1.8; by one chunk nothing is off
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  dask-image==2026.5.0 dask==2026.8.0 scipy==1.17.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import dask.array as da
import numpy as np
import scipy.ndimage
from dask_image import ndfilters

warnings.simplefilter("error")  # none is given
# A smooth wave, four frames of it, whole periods long in both directions: no edge is seen in it.
y, x = np.meshgrid(np.arange(64), np.arange(96), indexing="ij")
field = np.stack([np.sin(2 * np.pi * (x / 96 + y / 64 + t / 8)) for t in range(4)])


def differences(name, chunks, mode="wrap", **options):
    filtered = getattr(ndfilters, name)(da.from_array(field, chunks=chunks), mode=mode, **options).compute()
    return np.abs(filtered - getattr(scipy.ndimage, name)(field, mode=mode, **options))


one, four = (4, 64, 96), (4, 32, 48)
wrong = {
    "gaussian_filter": {"sigma": (0, 2, 2)},
    "gaussian_laplace": {"sigma": (0.5, 2, 2)},
    "gaussian_gradient_magnitude": {"sigma": (0.5, 2, 2)},
    "uniform_filter": {"size": (1, 5, 5)},
    "median_filter": {"size": (1, 3, 3)},
    "maximum_filter": {"size": (1, 3, 3)},
    "percentile_filter": {"percentile": 30, "size": (1, 3, 3)},
    "sobel": {"axis": 2},
    "prewitt": {"axis": 2},
    "laplace": {},
}
for name, options in wrong.items():
    apart = differences(name, four, **options)
    share = (apart > 1e-9).mean()
    size = np.ptp(getattr(scipy.ndimage, name)(field, mode="wrap", **options))
    whole = differences(name, one, **options).max()
    print(f"{name}: one chunk: {whole:.0e} off, four: up to {apart.max():.2f} of {size:.2f}, in {share:.1%} of the pixels")
    assert whole < 1e-9 and apart.max() > 0.02 * size
    assert apart[:, 16:-16, 16:-16].max() < 1e-9  # the seams between chunks are right
    for mode in ("reflect", "nearest", "mirror", "constant"):
        assert differences(name, four, mode, **options).max() < 1e-9

kernel = np.arange(9.0).reshape(1, 3, 3)
for name in ("convolve", "correlate"):
    assert differences(name, four, weights=kernel).max() < 1e-9

# A mean over the neighbours of one frame: of the row above the first, which is the last one.
mean = ndfilters.uniform_filter(da.from_array(field, chunks=four), size=(1, 3, 1), mode="wrap").compute()
rows = field[:, [-1, 0, 1]].mean(1), field[:, [32, 0, 1]].mean(1)
assert np.allclose(mean[:, 0], rows[1]) and not np.allclose(mean[:, 0], rows[0], atol=0.1)
print("row 0 is the mean of rows 32, 0 and 1")
PYTHON
