#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): RGB of a film read at its stored size is up to 1.5 levels too dark, scaled it is not.
#
# Valid input: yuv420p frames of one colour each, converted by VideoFrame.reformat or to_ndarray to RGB. Expected: the formula of
# BT.601, rounded, whatever the size. Seen: at the stored size FFmpeg's short cut cuts off what should be rounded, and
# takes each sample of colour for its neighbours too; ACCURATE_RND avoids it, and so does any other size.
# Output seen (Python 3.11, 2026-11-28): mean error R, G, B -0.96 -1.50 -0.96 as stored; 0.01 0.01 -0.00 with ACCURATE_RND
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np
from av.video.reformatter import Interpolation

random, errors = np.random.default_rng(0), {"as stored": [], "with ACCURATE_RND": []}
while len(errors["as stored"]) < 400:
    y, cb, cr = random.integers([16, 90, 90], [236, 166, 166])
    luma, blue, red = (y - 16) * 255 / 219, (cb - 128) * 255 / 224, (cr - 128) * 255 / 224
    exact = np.array([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue])
    if exact.min() < 1 or exact.max() > 254:
        continue
    stored = np.concatenate([np.full((32, 32), y), np.full((8, 32), cb), np.full((8, 32), cr)]).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(stored, format="yuv420p")
    for name, flags in (("as stored", Interpolation.BICUBIC), ("with ACCURATE_RND", Interpolation.BICUBIC | Interpolation.ACCURATE_RND)):
        options = {"src_color_range": 1, "dst_color_range": 2, "src_colorspace": 5, "dst_colorspace": 1}
        shown = frame.reformat(format="gbrp", interpolation=int(flags), **options).to_ndarray()
        errors[name].append(shown[16, 16] - exact)
means = {name: np.mean(found, axis=0) for name, found in errors.items()}
for name, mean in means.items():
    print(f"mean error R, G, B {' '.join(f'{error:.2f}' for error in mean)} {name}")
assert means["as stored"].max() < -0.3 and np.abs(means["with ACCURATE_RND"]).max() < 0.1
PYTHON
