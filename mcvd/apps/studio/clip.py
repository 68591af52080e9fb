"""What a visitor brings: a video as the model sees it, within limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.models.video_model import VideoModel
from mcvd.video.decoders.base import VideoError
from mcvd.video.open import open_video
from mcvd.video.read import read_frames
from mcvd.video.timing import DEFAULT_FPS, frames_at_rate
from mcvd.video.transforms import to_channels

_MAX_PIXELS = 4096 * 2304  # of a frame as stored: a small file can hold pictures that fill the memory
_SYNTHETIC_FRAMES = 60


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask of the machine.

    Args:
        megabytes: size of an uploaded file.
        frames: length of a video at the model's rate, given or generated.
        samples: futures sampled at once.
        steps: network calls for each block.
    """

    megabytes: int = 200
    frames: int = 600
    samples: int = 8
    steps: int = 1000


@dataclass(frozen=True)
class Clip:
    """A video fitted to a model.

    Args:
        name: what the visitor calls it.
        frames: uint8 (T, C, H, W) of the model's size and channels, at the model's rate.
        note: what was done to it, in a sentence.
    """

    name: str
    frames: Tensor
    note: str


def read_clip(path: str | Path, model: VideoModel, limits: Limits) -> Clip:
    """Read an uploaded video as `mcvd predict` would; of one that is too long only the beginning.

    Raises:
        VideoError: it is too large or cannot be read; the message names the file without its folder.
    """
    path = Path(path)
    megabytes = path.stat().st_size / 1e6
    if megabytes > limits.megabytes:
        raise VideoError(f"{path.name} has {megabytes:.0f} MB, the studio takes up to {limits.megabytes} MB")
    try:
        with open_video(path) as reader:
            height, width = reader.size
            if height * width > _MAX_PIXELS:
                raise VideoError(f"{path.name} has frames of {width}x{height} pixels: too large, scale it down first")
            rate = model.frame_rate_hz
            all_numbers = np.arange(reader.num_frames) if rate is None else frames_at_rate(reader.times, rate)
            numbers = all_numbers[: limits.frames].tolist()
            frames = read_frames(reader, numbers, model.size, model.channels)
    except VideoError as error:
        raise VideoError(str(error).replace(str(path), path.name)) from None
    at_rate = f" at {rate:g} Hz" if rate else ""
    note = f"{path.name}: {len(frames)} frames{at_rate}, cut and scaled to {model.size[1]}x{model.size[0]} pixels."
    if len(numbers) < len(all_numbers):
        note += f" It has {len(all_numbers)}; only the first {limits.frames} were taken."
    return Clip(path.name, frames, note)


def synthetic_clip(model: VideoModel, number: int, frames: range = range(_SYNTHETIC_FRAMES)) -> Clip:
    """A street that `DrivingScenes` paints, for whoever has no video at hand.

    Args:
        model: whose size, channels and rate it gets.
        number: of the street, 0 or more; no model was trained on these.
        frames: which of its 60.
    """
    scenes = DrivingScenes(number + 1, _SYNTHETIC_FRAMES, model.frame_rate_hz or DEFAULT_FPS, seed=1)
    painted = to_channels(scenes.read(number, frames, model.size), model.channels)
    return Clip(f"street {number}", painted.contiguous(), f"Synthetic street {number}: {len(frames)} frames.")


def no_clip(model: VideoModel) -> Clip:
    """What there is before a video is dropped."""
    return Clip("", torch.empty(0, model.channels, *model.size, dtype=torch.uint8), "")
