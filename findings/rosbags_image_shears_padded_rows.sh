#!/bin/sh
# rosbags-image 0.10.4: a picture whose rows are padded is read as if they were not: each row begins further right.
#
# Valid input: a ROS sensor_msgs/Image, 4 x 6 pixels of mono8, whose step says that a row is 8 bytes long, as cameras pad rows to
# whole words. Expected: the picture, or a refusal. Seen: message_to_cvimage takes the first 24 bytes for the picture:
# the padding becomes pixels, rows shear, and the last row and a half is lost, without a word. So it is with every
# encoding that was tried. is_bigendian, of 16 bits, is heeded. Without padding all is right.
# Output seen (Python 3.11, 2026-11-29): rows 0 40 80 120 160 200 became 0 40 80 120 160 200, 0 0 0 40 80 120, ...
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  rosbags-image==0.10.4 rosbags==0.11.9 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
from rosbags.image import message_to_cvimage
from rosbags.typesys import Stores, get_typestore

warnings.simplefilter("error")  # none is given
types = get_typestore(Stores.ROS2_HUMBLE).types


def message(pixels, encoding, padding, is_bigendian=False):
    """A message with pixels (H, W, C), whose rows are followed by so many bytes of zeros."""
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](0, 0), "camera")
    data = np.pad(rows, ((0, 0), (0, padding)))
    height, width, _ = pixels.shape
    return types["sensor_msgs/msg/Image"](header, height, width, encoding, is_bigendian, data.shape[1], data.ravel())


random = np.random.default_rng(0)
for encoding, dtype, channels in (("mono8", "u1", 1), ("rgb8", "u1", 3), ("bgra8", "u1", 4), ("16UC1", "u2", 1), ("32FC1", "f4", 1)):
    pixels = random.integers(1, 200, (4, 6, channels)).astype(dtype)
    tight, padded = (message_to_cvimage(message(pixels, encoding, padding)).reshape(pixels.shape) for padding in (0, 8))
    sheared = message(pixels, encoding, 8).data[: pixels.nbytes].view(dtype).reshape(pixels.shape)
    print(f"{encoding}: {(tight == pixels).mean():.0%} of the numbers right without padding, {(padded == pixels).mean():.0%} with")
    assert (tight == pixels).all() and (padded == sheared).all() and not (padded == pixels).all()
    if dtype == "u2":
        assert (message_to_cvimage(message(pixels.astype(">u2"), "mono16", 0, is_bigendian=True)) == pixels[..., 0]).all()
ramp = np.tile(np.arange(0, 240, 40, dtype=np.uint8), (4, 1))
seen = message_to_cvimage(message(ramp[..., None], "mono8", 2))
print(f"rows of {ramp[0]} became", *seen)
assert seen.tolist() == [[0, 40, 80, 120, 160, 200], [0, 0, 0, 40, 80, 120], [160, 200, 0, 0, 0, 40], [80, 120, 160, 200, 0, 0]]
PYTHON
