#!/bin/sh
# imagecodecs 2026.3.6 and tifffile 2026.3.3: 16-bit pixels in big-endian order become other pixels in JPEG 2000.
#
# Valid input: uint16 frames in big-endian order, as NetCDF 3, FITS and many a TIFF hold them. Expected: the same numbers, or a
# refusal, as from the PNG, JPEG XL, JPEG-LS and JPEG XR of imagecodecs. Seen: jpeg2k_encode and htj2k_encode (lossless) take
# the bytes as they lie: 1 becomes 256. So a TIFF that tifffile writes with byteorder=">" and JPEG 2000, or appends to
# a big-endian file, holds other pixels; no reader can tell. With zlib, or in little-endian order, it is whole.
# Output seen (Python 3.11, 2026-11-29): 0 1 255 256 1000 65535 became 0 256 65280 1 59395 65535; TIFF: > jpeg2000 swapped,
# appended swapped, < jpeg2000 and > zlib whole
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  imagecodecs==2026.3.6 tifffile==2026.3.3 pillow==12.3.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
import warnings

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

warnings.simplefilter("error")  # none is given
numbers = [0, 1, 255, 256, 1000, 65535]
pixels = np.tile(np.array(numbers, "<u2"), (32, 8))
swapped = pixels.byteswap()
big = pixels.astype(">u2")
assert (big == pixels).all()
for name in ("jpeg2k", "htj2k"):
    encode, decode = getattr(imagecodecs, f"{name}_encode"), getattr(imagecodecs, f"{name}_decode")
    assert (decode(encode(pixels, reversible=True, level=0)) == pixels).all()
    stored = decode(encode(big, reversible=True, level=0))
    print(f"{name}: {numbers} became {stored[0, :6].tolist()}")
    assert (stored == swapped).all()
with Image.open(io.BytesIO(imagecodecs.jpeg2k_encode(big, reversible=True, level=0))) as picture:
    assert (np.asarray(picture) == swapped).all()  # what is stored is wrong, not what reads it
for name in ("png", "jpegxl", "jpegls", "jpegxr"):
    try:
        getattr(imagecodecs, f"{name}_encode")(big)
        raise SystemExit(f"{name} takes big-endian pixels now")
    except ValueError as error:
        print(f"{name}: {error}")


def is_whole(order, compression):
    """Whether a TIFF, and a page that is appended to an uncompressed one, hold the pixels; swapped ones are false."""
    options = {"compression": compression, **({"compressionargs": {"reversible": True}} if compression == "jpeg2000" else {})}
    tifffile.imwrite("one.tif", pixels, byteorder=order, **options)
    tifffile.imwrite("two.tif", pixels, byteorder=order, metadata=None)
    tifffile.imwrite("two.tif", pixels, append=True, metadata=None, **options)
    read = tifffile.imread("one.tif"), tifffile.imread("two.tif", key=1)
    assert all((each == pixels).all() or (each == swapped).all() for each in read)
    return tuple(bool((each == pixels).all()) for each in read)


for order, compression, expected in ((">", "jpeg2000", False), ("<", "jpeg2000", True), (">", "zlib", True)):
    written, appended = is_whole(order, compression)
    print(f"TIFF {order} {compression}: written {'whole' if written else 'swapped'}, appended {'whole' if appended else 'swapped'}")
    assert (written, appended) == (expected, expected)
PYTHON
