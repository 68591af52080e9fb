#!/bin/sh
# ome-zarr 0.18.0: the whole numbers in scale_factors are not looked at: the levels of a pyramid are 1/2, 1/4, 1/8, ... of the film.
#
# Valid input: write_image of uint16 (T, Y, X) with scale_factors=[4], [4, 16], [3], [1], as its documentation has them. Expected: for
# [4], one more level, of a quarter of the rows and columns, and so on. Seen: only the length of the list counts: [4], [3] and [1] all
# give half, [4, 16] gives half and a quarter. The scales written with the levels tell what was made, not what was asked. Given as
# [{"y": 4, "x": 4}] they are kept. write_labels makes four levels whatever it is given, dictionaries too, unless it is told
# scaler=None: labels and film differ. In 0.21.0, which wants Python 3.12, scaler is None from the start; the rest of it is the same.
# Output seen (Python 3.11, 2026-11-30): rows of a film of 256: [4]: 256, 128; [3]: 256, 128; [1]: 256, 128; [4, 16]: 256, 128, 64;
# [8, 2]: 256, 128, 64; [{"y": 4, "x": 4}]: 256, 64; labels, [4] or [{"y": 4, "x": 4}]: 256, 128, 64, 32, 16; without scaler as the film
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
from ome_zarr.writer import write_image, write_labels

warnings.simplefilter("error", UserWarning)  # none is given
film = np.random.default_rng(0).integers(0, 4096, (2, 256, 256), dtype=np.uint16)


def levels(name, group):
    """Rows of each level, which the scale that is written with it agrees with."""
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    rows = [group[level["path"]].shape[1] for level in datasets]
    scales = [level["coordinateTransformations"][0]["scale"][1] for level in datasets]
    print(f"{name}: rows {rows}, scales {scales}")
    assert scales == [256 / number for number in rows]
    return rows


def of_film(factors):
    group = zarr.open_group(store={}, mode="w")
    name = str(factors)
    write_image(film, group, axes="tyx", scale_factors=factors)
    return levels(name, group)


def of_labels(factors, **options):
    group = zarr.open_group(store={}, mode="w")
    name = f"labels, {factors} {options or ''}"
    bright = (film > 2048).astype(np.uint8)
    write_labels(bright, group, name="bright", axes="tyx", scale_factors=factors, **options)
    return levels(name, group["labels/bright"])


assert of_film([4]) == of_film([3]) == of_film([1]) == [256, 128]
assert of_film([4, 16]) == of_film([8, 2]) == [256, 128, 64]
assert of_film([{"y": 4, "x": 4}]) == [256, 64]
assert of_labels([4]) == of_labels([{"y": 4, "x": 4}]) == [256, 128, 64, 32, 16]
assert of_labels([4], scaler=None) == [256, 128] and of_labels([{"y": 4, "x": 4}], scaler=None) == [256, 64]
PYTHON
