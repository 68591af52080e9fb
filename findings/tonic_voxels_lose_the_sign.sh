#!/bin/sh
# tonic 1.7.0: in ToVoxelGrid of events with bool polarities, as its own data sets have them, the darker ones count as brighter ones.
#
# Valid input: events of an event camera as tonic's DVSGesture, DSEC, CIFAR10DVS and DVSLip hand them out (p: bool), and the same with
# p: int. Expected: the grid of Zhu and others (2019): ON events +1, OFF events -1, spread over two time bins. Seen: with bool the -1
# that is meant for OFF is stored as True: every event is +1, and the grid counts events. No warning; with p: uint8 it raises
# OverflowError, with a signed integer it is right. ToFrame, ToImage and ToTimesurface are right with all of them.
# Output seen (Python 3.11, NumPy 2.4.6, 2026-11-30): as many ON as OFF events: sum of the grid: int: -6.4, bool: 1806.6; smallest
# voxel: int: -3.59, bool: 0.00
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile tonic==1.7.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
import tonic

warnings.simplefilter("error")  # none is given
size, num_bins, n = (16, 12, 2), 5, 2000
rng = np.random.default_rng(0)


def events(dtype):
    made = np.zeros(n, dtype)
    made["x"], made["y"], made["t"], made["p"] = x, y, times, brighter
    return made


x, y, times = rng.integers(0, 16, n), rng.integers(0, 12, n), np.sort(rng.integers(0, 10**6, n))
brighter = rng.permutation(n) % 2
as_bool = tonic.datasets.DVSGesture.dtype
assert as_bool["p"] == bool and tonic.datasets.DSEC.dtype["p"] == bool
as_int = np.dtype([(name, np.int64 if name == "p" else as_bool[name]) for name in as_bool.names])

# By hand: each event, with its sign, is shared between the two bins that it lies between.
by_hand, counted = np.zeros((2, num_bins + 1, 12, 16))
position = num_bins * (times - times[0]) / (times[-1] - times[0])
for sign, grid in ((2 * brighter - 1, by_hand), (np.ones(n), counted)):
    first = position.astype(int)
    inside = first < num_bins
    for later, share in ((0, 1 - (position - first)), (1, position - first)):
        np.add.at(grid, (first[inside] + later, y[inside], x[inside]), (sign * share)[inside])
by_hand, counted = by_hand[:num_bins], counted[:num_bins]

to_grid = tonic.transforms.ToVoxelGrid(size, n_time_bins=num_bins)
of_int, of_bool = to_grid(events(as_int))[:, 0], to_grid(events(as_bool))[:, 0]
for name, grid in (("int", of_int), ("bool", of_bool)):
    print(f"{name}: sum {grid.sum():.1f}, smallest {grid.min():.2f}, largest {grid.max():.2f}")
assert np.allclose(of_int, by_hand) and not np.allclose(of_bool, by_hand, atol=1)
assert np.allclose(of_bool, counted)
try:
    to_grid(events(np.dtype([(name, np.uint8 if name == "p" else as_bool[name]) for name in as_bool.names])))
    raise SystemExit("uint8 does not raise any more")
except OverflowError as error:
    print("uint8:", error)
right = (
    tonic.transforms.ToFrame(size, n_time_bins=num_bins),
    tonic.transforms.ToImage(size),
    tonic.transforms.ToTimesurface(size, dt=100_000, tau=50_000),
)
for transform in right:
    assert np.array_equal(transform(events(as_int)), transform(events(as_bool)))
PYTHON
