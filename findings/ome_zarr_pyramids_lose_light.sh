#!/bin/sh
# ome-zarr 0.18.0: each level of a pyramid of whole numbers is up to half a unit darker than the one before: dim films fade.
#
# Valid input: photon counts of a dim film, uint16 (T, Y, X), Poisson with mean 3; write_image as it comes. Expected: means over
# 2 x 2 pixels, of the same mean at each level, to within the rounding. Seen: each level is rounded down, and made from the one
# before it, so that the losses add up: the fourth has a third of the light. A mask of 0 and 1 is empty from its first level on.
# method="local_mean" loses likewise; floats lose nothing. ome_zarr/dask_utils.py of 0.21.0, which wants Python 3.12, is the same.
# Output seen (Python 3.11, 2026-11-30): means of counts: 3.00, 2.50, 2.01, 1.56, 1.00, and as float32 3.00 at each level;
# by local means 3.00, 2.63, 2.25, 1.95, 1.78; rounded by hand 3.00, 3.00, 2.99, 2.98, 2.99; of the mask: 0.50, 0.00, ...
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  ome-zarr==0.18.0 zarr==3.1.6 dask==2026.8.0 scikit-image==0.26.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import zarr
from ome_zarr.scale import Methods
from ome_zarr.writer import write_image

warnings.simplefilter("error", UserWarning)  # none is given
draws = np.random.default_rng(0)
counts = draws.poisson(3, (4, 256, 256)).astype(np.uint16)
mask = draws.integers(0, 2, (4, 256, 256), dtype=np.uint8)


def means(name, frames, **method):
    group = zarr.open_group(store={}, mode="w")
    write_image(frames, group, axes="tyx", **method)
    levels = [group[key][:] for key in sorted(group.array_keys())]
    assert np.array_equal(levels[0], frames) and levels[1].shape == (4, 128, 128)
    seen = [float(level.mean()) for level in levels]
    print(f"{name}, {frames.dtype}:", *(f"{mean:.2f}" for mean in seen))
    return np.array(seen)


def by_hand(frames, num_levels):
    """Means over 2 x 2 pixels, rounded to the nearest whole number, half to even, at each level."""
    seen = [float(frames.mean())]
    for _ in range(num_levels):
        t, y, x = frames.shape
        frames = np.rint(frames.reshape(t, y // 2, 2, x // 2, 2).mean((2, 4)))
        seen.append(float(frames.mean()))
    print("by hand, rounded:", *(f"{mean:.2f}" for mean in seen))
    return np.array(seen)


assert np.abs(np.diff(by_hand(counts, 4))).max() < 0.1
whole = means("counts", counts)
assert (np.diff(whole) < -0.4).all() and whole[-1] < 0.4 * whole[0]
assert (np.diff(means("counts, local means", counts, method=Methods.LOCAL_MEAN)) < -0.1).all()
assert means("mask", mask)[1:].max() == 0
assert np.abs(np.diff(means("counts", counts.astype(np.float32)))).max() < 0.01
PYTHON
