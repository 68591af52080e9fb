#!/bin/sh
# PyAV 18.1.0: where a file breaks off, the frames that the decoder still holds are lost.
#
# Valid input up to a place: GXF with MPEG-2 and B-frames, of which everything from packet 22 on is zero. Expected: as by the
# command ffmpeg, 22 frames. Seen: container.decode() raises, an error of permission, after 21; the last one comes only from
# codec_context.decode(None), asked for after the error.
# Output seen (Python 3.11, 2026-11-28): 21 frames, then PermissionError; 1 more from the decoder
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from pathlib import Path

import av
import numpy as np

path = Path("film.gxf")
with av.open(str(path), "w") as container:
    stream = container.add_stream("mpeg2video", rate=25, options={"g": "12"})
    stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
    stream.codec_context.max_b_frames = 2
    for number in range(40):
        picture = np.full((576, 720, 3), 6 * number, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode())
with av.open(str(path)) as container:
    places = [packet.pos for packet in container.demux(container.streams.video[0]) if packet.size]
content, end = path.read_bytes(), places[22] - 32
path.write_bytes(content[:end] + bytes(len(content) - end))

with av.open(str(path)) as container:
    stream, count = container.streams.video[0], 0
    try:
        for _ in container.decode(stream):
            count += 1
        fault = "no error"
    except av.FFmpegError as error:
        fault = type(error).__name__
    held = len(stream.codec_context.decode(None))
print(f"{count} frames, then {fault}; {held} more from the decoder")
assert (count, fault, held) == (21, "PermissionError", 1)
PYTHON
