#!/bin/sh
# PyAV 18.1.0 (FFmpeg 8.1): an interlaced frame that is scaled becomes pairs of nearly equal rows.
#
# Valid input: one smooth picture, encoded by MPEG-2 as it is and again as interlaced. Expected: VideoFrame.reformat to a third
# of the height gives the same picture for both. Seen: each field is scaled by itself, from the same place of the other, and
# the two are woven again: rows 2k and 2k+1 show almost the same rows of the film.
# Output seen (Python 3.11, 2026-11-28): rows 2k and 2k+1 differ by 24.6 levels, 2k+1 and 2k+2 by 20.2 of the plain one; by 3.6
# and 37.8 of the interlaced one
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np


def scaled(name, options):
    with av.open(name, "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 128, 480, "yuv420p", 50_000_000
        ramp = np.abs(np.arange(480) % 120 - 60) * 4.0
        picture = np.broadcast_to(ramp[:, None, None], (480, 128, 3)).astype(np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
    with av.open(name) as container:
        frame = next(container.decode(video=0))
        small = frame.reformat(width=128, height=80, format="gray", interpolation="BICUBIC").to_ndarray().astype(float)
    steps = np.abs(np.diff(small[:, 64]))
    return frame.interlaced_frame, steps[0::2].mean(), steps[1::2].mean()


plain, fields = scaled("plain.mkv", {}), scaled("fields.mkv", {"flags": "+ildct+ilme"})
for is_interlaced, within, between in (plain, fields):
    print(f"interlaced {is_interlaced}: rows 2k and 2k+1 differ by {within:.1f} levels, 2k+1 and 2k+2 by {between:.1f}")
assert plain[0] is False and plain[1] > plain[2] / 1.5
assert fields[0] is True and fields[1] < fields[2] / 4
PYTHON
