"""Pixels to files: videos, animations, strips and folders of frames, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcvd.runtime.arrays import Video, as_tensor
from mcvd.runtime.atomic import atomic_write
from mcvd.video.contact_sheet import contact_sheet
from mcvd.video.gif import with_repeats
from mcvd.video.timing import DEFAULT_FPS
from mcvd.video.transforms import check_video

_LONGEST_LINE = 20  # frames of a strip: of 64 pixels they fill a screen


def write_video(path: str | Path, video: Video, fps: float | None = None) -> None:
    """Write a video in the form that the ending of its name asks for.

    The file appears under its name only when it is complete; one of that name is replaced, a folder with something
    in it is not. Missing parent folders are made.

    Args:
        path: ``.mp4`` (H.264 that every browser plays; an odd size gets its last row or column twice), ``.gif``,
            ``.png`` (all frames side by side, in lines of at most 20), or no ending: a new folder of numbered png
            files, with the rate in ``frames.yaml``.
        video: uint8 (T, C, H, W), 0 to 255, C being 1 (grey) or 3 (RGB); a tensor or a numpy array.
        fps: frames per second at which it plays; a gif rounds to hundredths of a second and at most 50. None: nobody
            knows; a film then plays at 10, and a folder states no rate.

    Raises:
        ValueError: if the pixels are not uint8 of that shape, the ending is unknown, or the folder holds something.

    Examples:
        >>> write_video("grey.gif", torch.zeros(8, 1, 64, 64, dtype=torch.uint8), fps=5)  # doctest: +SKIP
    """
    video = as_tensor(video)
    check_video(video)
    write_chunks(path, [video], len(video), fps)


def write_chunks(path: str | Path, chunks: Iterable[Tensor], num_frames: int, fps: float | None = None) -> None:
    """Write a video as `write_video` does, from its chunks in turn; .mp4 and a folder hold one of them at a time.

    Args:
        path: as in `write_video`.
        chunks: each uint8 (n, C, H, W), C being 1 or 3.
        num_frames: of all chunks together.
        fps: as in `write_video`.

    Raises:
        ValueError: as in `write_video`.
    """
    path = Path(path)
    if fps is not None and not 0 < fps < np.inf:
        raise ValueError(f"fps must be more than 0 frames per second, got {fps}")
    writers: dict[str, Callable[[Path, Iterator[np.ndarray], int, float], None]] = {
        ".mp4": _write_mp4,
        ".gif": _write_gif,
        ".png": _write_strip,
    }
    suffix = path.suffix.lower()
    if suffix and suffix not in writers:
        raise ValueError(f"cannot write {path.name}: a video ends in .mp4, .gif or .png (a strip), or is a folder")
    if suffix and path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder")
    if not suffix and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"cannot write frames into {path}: it exists and is not an empty folder; give a new name")
    with atomic_write(path) as part:
        if suffix:
            writers[suffix](part, _frames(chunks), num_frames, float(fps or DEFAULT_FPS))
        else:
            _write_folder(part, _frames(chunks), num_frames, fps)


def _frames(chunks: Iterable[Tensor]) -> Iterator[np.ndarray]:
    """One frame after the other, uint8 (H, W, 3)."""
    for chunk in chunks:
        check_video(chunk)
        yield from chunk.detach().cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()


def _write_mp4(path: Path, frames: Iterator[np.ndarray], num_frames: int, fps: float) -> None:
    import av

    from mcvd.video.yuv import yuv420_frame

    av.logging.set_level(None)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        # Colours are declared, as players guess differently for small and large pictures.
        colours = "colorprim=bt709:transfer=bt709:colormatrix=bt709:range=tv:chroma-qp-offset=-4"
        # What x264 computes of a frame's worth for later ones (mb-tree) differs from run to run where it uses AVX-512:
        # twelve runs with the same frames gave ten different files. In plain C, which this asks for, in AVX2 and
        # without mb-tree all files were the same.
        options = {"crf": "18", "x264-params": f"{colours}:cpu-independent=1"}
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(60060), options=options)
        # Several threads choose by which of them is ahead: the same frames would be other bytes on a busy machine.
        stream.thread_count = 1
        for number, pixels in enumerate(frames):
            height, width, _ = pixels.shape
            if number == 0:  # colours are stored at half size, so H.264 wants even numbers
                stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
            even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            frame = yuv420_frame(even)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_gif(path: Path, frames: Iterator[np.ndarray], num_frames: int, fps: float) -> None:
    from PIL import Image

    # A gif counts in hundredths of a second: round the times, not the durations, so that the errors do not add up.
    # Browsers slow down what is faster than two hundredths.
    times = np.round(np.arange(num_frames + 1) * 100 / fps)
    delays = np.maximum(2, np.diff(times)).astype(int)
    first, *others = (Image.fromarray(frame) for frame in frames)
    content = BytesIO()
    first.save(content, format="GIF", save_all=True, append_images=others, duration=(10 * delays).tolist(), loop=0)
    path.write_bytes(with_repeats(content.getvalue(), delays.tolist()))


def _write_strip(path: Path, frames: Iterator[np.ndarray], num_frames: int, fps: float) -> None:
    num_lines = ceil(num_frames / _LONGEST_LINE)
    lines = torch.from_numpy(np.stack([*frames])).permute(0, 3, 1, 2).split(ceil(num_frames / num_lines))
    contact_sheet(lines).save(path, format="PNG")


def _write_folder(path: Path, frames: Iterator[np.ndarray], num_frames: int, fps: float | None) -> None:
    from PIL import Image

    from mcvd.video.decoders.frame_folder import STATEMENT

    path.mkdir()
    if fps is not None:
        (path / STATEMENT).write_text(f"frame_rate_hz: {float(fps)}\n")
    digits = max(4, len(str(num_frames - 1)))
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number:0{digits}}.png", format="PNG")
