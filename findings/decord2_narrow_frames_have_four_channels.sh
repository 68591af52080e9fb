#!/bin/sh
# decord2 3.4.0: frames of some widths, among them 48 and 96, come one by one as (H, W, 4) with the padding of their rows in them.
#
# Valid input: a film of 192 x 64 pixels read at widths from 8 to 200 (width=, height=), and films of these widths as they are.
# Expected: (H, W, 3), uint8. Seen: where a row of pixels, padded, is again a whole number of pixels, the shape is made from the padded
# row: reader[i], next() and iteration hand out (64, 48, 4), (64, 32, 6), ... without a word. It is no RGBA: every pixel takes its four
# numbers from its neighbours, so that [..., :3] is a picture sheared in its colours. get_batch() and slices raise at these widths.
# decord 0.6.0 pads otherwise: 8, 12, 16, 24, 48 and 72. Which widths they are may depend on the processor.
# Output seen (Python 3.11, a processor with AVX-512, 2026-11-30): widths 8, 12, 16, 24, 32, 48, 96, 144; a film of width 48: (64, 48, 4),
# [..., :3] off by 70.1 grey levels, rows cut to their first 3 * 48 numbers by 0.6; of width 64: (64, 64, 3), off by 0.6
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


def written(path, width):
    """Three frames of H.264: red rises to the right, green downwards, blue falls to the right."""
    right, down = np.meshgrid(np.linspace(30, 220, width), np.linspace(30, 220, 64))
    picture = np.stack([right, down, 250 - right], -1).round().astype(np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "3"})
        stream.width, stream.height, stream.pix_fmt = width, 64, "yuv444p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return picture.astype(int)


def difference(frame, picture):
    return float(np.abs(frame - picture).mean())


written("film.mp4", 192)
shapes = {width: decord.VideoReader("film.mp4", width=width, height=64)[0].shape for width in range(8, 201)}
odd = {width: shape for width, shape in shapes.items() if shape != (64, width, 3)}
print("widths without three channels:", *(f"{width}: {shape}" for width, shape in odd.items()))
assert odd[48] == (64, 48, 4)

picture = written("narrow.mp4", 48)
for frame in (decord.VideoReader("narrow.mp4")[0], decord.VideoReader("narrow.mp4").next(), *decord.VideoReader("narrow.mp4")):
    frame = frame.asnumpy()
    cut = frame.reshape(64, 4 * 48)[:, : 3 * 48].reshape(64, 48, 3)
    seen = difference(frame[..., :3], picture), difference(cut, picture)
    assert frame.shape == (64, 48, 4) and seen[0] > 20 and seen[1] < 2
print(f"48: {frame.shape}, [..., :3] off by {seen[0]:.1f}, rows cut by {seen[1]:.1f}")
try:
    decord.VideoReader("narrow.mp4").get_batch([0, 1])
    raise SystemExit("get_batch does not raise any more")
except decord.DECORDError as error:
    print("get_batch:", str(error).split("Check failed: ")[-1])

picture = written("usual.mp4", 64)
frames = decord.VideoReader("usual.mp4").get_batch([0]).asnumpy()[0], decord.VideoReader("usual.mp4")[0].asnumpy()
print(f"64: {frames[1].shape}, off by {difference(frames[1], picture):.1f}")
assert all(frame.shape == (64, 64, 3) and difference(frame, picture) < 2 for frame in frames)
PYTHON
