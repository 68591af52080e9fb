#!/bin/sh
# PyAV 18.1.0: a frame with side data that PyAV has no name for raises as soon as any side data is asked for.
#
# Valid input: motion JPEG whose pictures carry EXIF, as cameras write it. Expected: frame.side_data is a mapping. Seen:
# ValueError, as FFmpeg 8 hands EXIF on as side data of kind 31 and av.sidedata.sidedata.Type ends before it.
# Output seen (Python 3.11, 2026-11-28): ValueError: 31 is not a valid Type
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6 pillow==12.3.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
from fractions import Fraction

import av
from PIL import Image

with av.open("film.avi", "w") as container:
    stream = container.add_stream("mjpeg", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 32, "yuvj420p"
    content, picture = io.BytesIO(), Image.new("RGB", (64, 32))
    exif = picture.getexif()
    exif[271] = "Maker"
    picture.save(content, "jpeg", exif=exif, subsampling=2)
    packet = av.Packet(content.getvalue())
    packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 10)
    container.mux(packet)
with av.open("film.avi") as container:
    frame = next(container.decode(video=0))
    try:
        len(frame.side_data)
        fault = "no error"
    except ValueError as error:
        fault = f"ValueError: {error}"
print(fault)
assert fault.endswith("is not a valid Type")
PYTHON
