#!/bin/sh
# tifffile 2026.3.3: a grey clip of three or four frames becomes one picture in RGB (and alpha).
#
# Valid input: uint8 (T, H, W), written by imwrite. Expected: T pages, as five frames have. Seen: three or four frames are one
# page, whose samples are the frames; a reader that goes by pages finds a single picture. photometric="minisblack" cures it.
# Output seen (Python 3.11, 2026-11-28): 2 frames: 2 pages; 3: 1 page, RGB; 4: 1 page, RGB; 5: 5 pages; told grey: as many as frames.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import tifffile


def pages(num_frames, **options):
    tifffile.imwrite("clip.tif", np.zeros((num_frames, 16, 24), np.uint8), **options)
    with tifffile.TiffFile("clip.tif") as file:
        return len(file.pages), file.pages[0].photometric.name


for num_frames in (2, 3, 4, 5):
    bare, told = pages(num_frames), pages(num_frames, photometric="minisblack")
    print(f"{num_frames} frames: {bare[0]} pages, {bare[1]}; told that they are grey: {told[0]} pages, {told[1]}")
    assert bare == ((1, "RGB") if num_frames in (3, 4) else (num_frames, "MINISBLACK"))
    assert told == (num_frames, "MINISBLACK")
PYTHON
