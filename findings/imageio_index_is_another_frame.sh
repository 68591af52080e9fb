#!/bin/sh
# imageio 2.38.1 with PyAV: index= hands out another frame of Matroska, FLV and MPEG-TS, though the frame rate is constant.
#
# Valid input: 200 frames of H.264 or MPEG-2 at a constant rate, each with its number drawn into it, written to several containers.
# Expected: imread(path, index=i, plugin="pyav") is frame i, as iteration has it. Seen: so in MP4, not in the others. The number of a
# frame is computed from its time, as if ticks were whole and films began at 0: times of Matroska are in milliseconds (33, 67, 100),
# and a rounded one is taken for the frame before, so that the next frame comes, or StopIteration at the end; the B-frames of FLV move
# its start by two frames; MPEG-TS begins at 1.4 seconds, and what comes is a later key frame, or none.
# With constant_framerate=False, which decodes the film from its start for each frame, all are right.
# Output seen (Python 3.11, PyAV 18.1.0, 2026-11-30): frames of 200 that are others, and what came for 100: mp4: 0, 100; mkv of
# 30000/1001 Hz: 89, 101; mkv of 60 Hz: 58, 100; flv: 185, 98; ts: 180, 108
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check imageio==2.38.1 av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import imageio.v3 as iio
import numpy as np

NUM_FRAMES = 200


def written(path, codec, rate, options):
    """A film whose frames hold their number as eight black or white fields."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 16, "yuv420p"
        for i in range(NUM_FRAMES):
            row = np.unpackbits(np.uint8([i])).repeat(16) * np.uint8(255)
            picture = np.ascontiguousarray(np.broadcast_to(row[None, :, None], (16, 128, 3)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def number(frame):
    return int(np.packbits(frame.reshape(16, 8, 16, 3).mean((0, 2, 3)) > 127)[0])


def by_index(path, i, **options):
    try:
        return number(iio.imread(path, index=i, plugin="pyav", **options))
    except StopIteration:
        return None


h264, mpeg2 = {"g": "50", "preset": "veryfast"}, {"g": "12", "qmin": "1", "qmax": "2"}
ntsc = Fraction(30000, 1001)
films = {
    "film.mp4": ("libx264", ntsc, h264),
    "film.mkv": ("libx264", ntsc, h264),
    "film60.mkv": ("libx264", 60, h264),
    "film.flv": ("libx264", 25, h264),
    "film.ts": ("mpeg2video", 25, mpeg2),
}
others = {}
for path, (codec, rate, options) in films.items():
    written(path, codec, rate, options)
    assert [number(frame) for frame in iio.imiter(path, plugin="pyav")] == list(range(NUM_FRAMES))
    assert Fraction(iio.immeta(path, plugin="pyav")["fps"]).limit_denominator(1001) == rate
    with av.open(path) as container:
        frames = [(float(frame.pts * frame.time_base), frame.key_frame) for frame in container.decode(video=0)]
    times, is_key = np.array(frames).T
    assert np.abs(np.diff(times) - 1 / rate).max() < 0.00101  # a constant rate, to the millisecond of its container
    came = [by_index(path, i) for i in range(NUM_FRAMES)]
    others[path] = [i for i in range(NUM_FRAMES) if came[i] != i]
    print(f"{path}: {len(others[path])} of {NUM_FRAMES} are others; for 100, 101, 199 came {came[100]}, {came[101]}, {came[199]}")
    assert all(by_index(path, i, constant_framerate=False) == i for i in (100, 101, 199))
    if path.endswith("mkv"):
        assert all(came[i] == (i + 1 if i + 1 < NUM_FRAMES else None) for i in others[path])
    if path == "film.ts":
        assert all(came[i] is None or (came[i] > i and is_key[came[i]]) for i in others[path])

assert not others.pop("film.mp4")
assert all(len(each) > 20 for each in others.values())
PYTHON
