#!/bin/sh
# opencv-python-headless 5.0.0.93: a rewound MPEG transport stream begins at its second group of pictures.
#
# Valid input: 60 frames of H.264 with B-frames, a key frame every 12, in MPEG-TS; the reader reads all and is set to frame 0 again,
# as for a second pass. Expected: frame 0, or that set() says no. Seen: set() says yes, the position is 0, and frame 12 comes; 3 and
# 10 give frame 13. From 20 on they are right, and so are all of the same film in mp4. In MPEG-PS (.mpg) the number of frames
# is 53 and not 60, and frame 30 is another.
# Output seen (Python 3.11, 2026-11-29): ts: 0 -> 12, 3 -> 13, 10 -> 13, 20 -> 20, 59 -> 59; mp4: each itself
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  opencv-python-headless==5.0.0.93 av==18.1.0 numpy==2.4.6
cd "$folder"
OPENCV_FFMPEG_LOGLEVEL=-8 "$folder/venv/bin/python" - <<'PYTHON'
import av
import cv2
import numpy as np


def written(path, codec, **options):
    """60 frames, each of one grey level, 3 brighter than the last."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options={"bf": "2", "g": "12"} | options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 128, 128, "yuv420p", 20_000_000
        for number in range(60):
            picture = np.full((128, 128, 3), 20 + 3 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def found(path, asked):
    """Which frames come when these are asked for, after all were read once."""
    reader = cv2.VideoCapture(path)
    levels = []
    while (answer := reader.read())[0]:
        levels.append(answer[1].mean())
    levels = np.array(levels)
    assert len(levels) == 60 and (np.diff(levels) > 1).all()
    numbers = []
    for number in asked:
        assert reader.set(cv2.CAP_PROP_POS_FRAMES, number)
        is_read, picture = reader.read()
        assert is_read
        numbers.append(int(np.abs(levels - picture.mean()).argmin()))
    print(f"{path}: " + ", ".join(f"{one} -> {other}" for one, other in zip(asked, numbers)))
    return numbers


asked = [0, 3, 10, 20, 59]
written("film.ts", "libx264", crf="10")
written("film.mp4", "libx264", crf="10")
written("film.mpg", "mpeg2video")
assert found("film.ts", asked) == [12, 13, 13, 20, 59]
assert found("film.mp4", asked) == asked
count = cv2.VideoCapture("film.mpg").get(cv2.CAP_PROP_FRAME_COUNT)
print(f"film.mpg: {count:.0f} frames of 60")
assert count < 60 and found("film.mpg", [30]) != [30]
PYTHON
