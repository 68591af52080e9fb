"""A whole video, or a stretch of one, as one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcvd.runtime.arrays import height_and_width
from mcvd.video.decoders.base import AbstractReader, VideoError
from mcvd.video.decoders.pictures import load_picture
from mcvd.video.open import open_video
from mcvd.video.timing import frames_at_rate, warn_of_repeats
from mcvd.video.transforms import fit_frames, scale_to_cover

# Frames decoded before they are cropped: bounds what is held beyond the result.
_FRAMES_AT_ONCE = 32


def read_video(
    path: str | Path,
    size: int | tuple[int, int] | None = None,
    *,
    channels: int = 3,
    start: int = 0,
    num_frames: int | None = None,
    frame_rate_hz: float | None = None,
    engine: str = "pyav",
) -> Tensor:
    """Read a video file, or a folder of pictures, as pixels.

    Args:
        path: the video.
        size: (height, width), or one number for a square: the frames are scaled, aspect kept, until they just cover
            it, and cropped around the centre. None: as displayed.
        channels: 3 for RGB, 1 for grey.
        start: number of the first frame.
        num_frames: how many frames; None: to the end.
        frame_rate_hz: read by time, this many frames per second; None: every frame as it comes. A slower video repeats
            frames, and a warning says so.
        engine: the decoder, "pyav" or "decord".

    Returns:
        uint8 (T, C, H, W).

    Raises:
        FileNotFoundError: if there is nothing at ``path``.
        VideoError: if it cannot be read, or holds fewer frames than asked for; one line that names file and fault.

    Examples:
        >>> video = read_video("drive.mp4", size=128, frame_rate_hz=10, num_frames=20)  # doctest: +SKIP
        >>> video.shape  # doctest: +SKIP
        torch.Size([20, 3, 128, 128])
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 3 (RGB) or 1 (grey), got {channels}")
    cover = None if size is None else height_and_width(size)
    if num_frames is not None and num_frames < 1:
        raise ValueError(f"num_frames must be at least 1, got {num_frames}")
    with open_video(path, engine) as reader:
        if not 0 <= start < reader.num_frames:
            raise VideoError(f"{path}: there is no frame {start} to start at, it has {reader.num_frames} frames")
        if frame_rate_hz is None:
            end = reader.num_frames if num_frames is None else start + num_frames
            numbers = np.arange(start, min(end, reader.num_frames))
        else:
            numbers = frames_at_rate(reader.times, frame_rate_hz, start, num_frames)
        if num_frames is not None and len(numbers) < num_frames:
            rate = "" if frame_rate_hz is None else f" at {frame_rate_hz:g} Hz"
            raise VideoError(
                f"{path}: {num_frames} frames{rate} from frame {start} were asked for, it has {len(numbers)}"
            )
        warn_of_repeats(reader.times, frame_rate_hz, numbers.tolist(), str(path), "frame_rate_hz=None")
        return read_frames(reader, numbers.tolist(), cover, channels)


def read_picture(path: str | Path, size: tuple[int, int], channels: int = 3) -> Tensor:
    """Read a picture file as one frame, uint8 (C, H, W), scaled and cropped as in `read_video`.

    Raises:
        FileNotFoundError: if there is nothing at ``path``.
        VideoError: if it cannot be read as one picture.
    """
    picture = torch.from_numpy(np.array(load_picture(Path(path)))).permute(2, 0, 1)[None]
    return fit_frames(scale_to_cover(picture, size), size, channels)[0]


def read_frames(reader: AbstractReader, numbers: Sequence[int], size: tuple[int, int] | None, channels: int) -> Tensor:
    """These frames of an open video as uint8 (T, C, H, W), fitted as in `read_video`."""
    parts = []
    for first in range(0, len(numbers), _FRAMES_AT_ONCE):
        part = reader.read(numbers[first : first + _FRAMES_AT_ONCE], size)
        parts.append(fit_frames(part, size, channels))
    return torch.cat(parts)
