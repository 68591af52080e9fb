#!/bin/sh
# decord2 3.4.0: in films of open groups of pictures, as x265 makes them by default, a sought frame is another, without a word.
#
# Valid input: 200 frames that carry their number as a bar code, x265 as it comes with a key frame a second, in mp4 and mkv. Expected:
# reader[i] and get_batch([i, ...]) give frame i, as reading in order does. Seen: in the few frames on both sides of a key frame a seek
# ends up to 3 frames late in mp4, and 22 to 24 frames early in mkv. Each of a clip of 16 frames that begins there is wrong, and so is
# all that get_batch([0, 8, 16, ...]) reads after a wrong seek, up to the next right one. H.264 with open-gop=1 does the same; x264 closes
# its groups by default, and all is right. decord 0.6.0, the package that this one continues, is the same.
# Output seen (Python 3.11, 2026-11-30), wrong of 200 frames, of 185 clips, of 25 in a batch: x265.mp4 20, 18, 13, such as 24 -> 25;
# x265.mkv 23, 19, 13, such as 24 -> 0; open264.mp4 18, 16, 7, such as 48 -> 50; x264.mp4 0, 0, 0; read in order none
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check decord2==3.4.0 av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import av
import decord
import numpy as np

decord.logging.set_level(decord.logging.QUIET)
draws = np.random.default_rng(0)
texture = draws.integers(0, 60, (128, 128, 1), dtype=np.uint8)
everything = list(range(200))


def written(path, codec, **options):
    """200 frames of a moving texture; eight fields at the top, black or white, are the bits of the frame's number."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
        for number in everything:
            picture = np.roll(texture, 2 * number, 1).repeat(3, 2)
            picture[:32] = np.repeat([235 if number >> bit & 1 else 20 for bit in range(8)], 16)[None, :, None]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def number_in(picture):
    return sum(int(picture[8:24, 16 * bit + 4 : 16 * bit + 12].mean() > 128) << bit for bit in range(8))


def read(reader, numbers):
    return [number_in(picture) for picture in reader.get_batch(numbers).asnumpy()]


def wrong_in(path):
    """How many frames sought singly, clips of 16 and frames of a batch of every eighth one are wrong."""
    with av.open(path) as container:
        assert [number_in(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)] == everything
    reader = decord.VideoReader(path)
    assert len(reader) == 200 and [number_in(reader.next().asnumpy()) for _ in everything] == everything
    found = {int(number): number_in(reader[int(number)].asnumpy()) for number in draws.permutation(200)}
    frames = [f"{number} -> {found[number]}" for number in everything if found[number] != number]
    starts = draws.permutation(185)
    clips = sum(read(reader, range(start, start + 16)) != everything[start : start + 16] for start in starts)
    batch = sum(np.array(read(decord.VideoReader(path), everything[::8])) != everything[::8])
    print(f"{path}: wrong {len(frames)} of 200 frames, {clips} of 185 clips, {batch} of 25 in a batch:", *frames[:3])
    return len(frames), clips, batch


each_second = "log-level=none:keyint=25"
written("x265.mp4", "libx265", **{"x265-params": each_second})
written("x265.mkv", "libx265", **{"x265-params": each_second})
written("open264.mp4", "libx264", **{"x264-params": "open-gop=1", "g": "25"})
written("x264.mp4", "libx264", g="25")
for path in ("x265.mp4", "x265.mkv", "open264.mp4"):
    assert min(wrong_in(path)) >= 5
assert wrong_in("x264.mp4") == (0, 0, 0)
PYTHON
