"""What a visitor brings: a video as the model sees it, within limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcvd.apps.cli.fields import FieldChoice, read_for_model
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.data.synthetic.rain_fields import RainFields
from mcvd.models.video_model import VideoModel
from mcvd.video.decoders.base import VideoError
from mcvd.video.timing import DEFAULT_FPS, frames_at_rate, rate_of_repeated
from mcvd.video.transforms import to_channels

_MAX_NUMBERS = 3 * 4096 * 2304  # of a frame as stored: a small file can hold pictures that fill the memory
_OF_RAIN = "mm/h"  # the unit of models to which invented rain is shown
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
class Reading:
    """How a video is read for a task.

    Args:
        every_frame: all of its frames, not those at the model's rate.
        size: height and width; None: the model's.
    """

    every_frame: bool = False
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Clip:
    """A video fitted to a model.

    Args:
        name: what the visitor calls it.
        frames: (T, C, H, W) of the model's channels and dtype, at the rate and size of the reading; NaN where values
            are missing.
        note: what was done to it, in a sentence.
        file_name: of the upload: values are taken home in its format.
        rate_hz: frames per second; None: nobody knows it.
        reading: how it was read.
        synthetic: the number of an invented video; None for an upload.
    """

    name: str
    frames: Tensor
    note: str
    file_name: str = ""
    rate_hz: float | None = None
    reading: Reading = Reading()
    synthetic: int | None = None


def read_clip(
    path: str | Path,
    model: VideoModel,
    limits: Limits,
    fields: FieldChoice = FieldChoice(),
    reading: Reading = Reading(),
) -> Clip:
    """Read an uploaded video, or a file of values, as the command of a task would; of a long one only the beginning.

    Raises:
        VideoError: it is too large or cannot be read; the message names the file without its folder.
        ValueError: it holds values, and the model takes pixels.
    """
    path = Path(path)
    megabytes = path.stat().st_size / 1e6
    if megabytes > limits.megabytes:
        raise VideoError(f"{path.name} has {megabytes:.0f} MB, the studio takes up to {limits.megabytes} MB")
    try:
        with fields.open(str(path)) as reader:
            height, width = reader.size
            if height * width * reader.channels > _MAX_NUMBERS:
                raise VideoError(f"{path.name} has frames of {height}x{width} pixels: too large, scale it down first")
            rate = None if reading.every_frame else model.frame_rate_hz
            all_numbers = np.arange(reader.num_frames) if rate is None else frames_at_rate(reader.times, rate)
            numbers = all_numbers[: limits.frames].tolist()
            frames = read_for_model(reader, numbers, model, path.name, reading.size)
            own_hz = rate_of_repeated(reader.times, rate, numbers)
            rate = rate or reader.times.told_rate_hz or model.frame_rate_hz
    except (VideoError, FileNotFoundError) as error:
        raise VideoError(str(error).replace(str(path), path.name)) from None
    at_rate = f" at {rate:g} Hz" if rate else ""
    height, width = reading.size or model.size
    note = f"{path.name}: {len(frames)} frames{at_rate}, cut and scaled to {height}x{width} pixels."
    if len(numbers) < len(all_numbers):
        note += f" It has {len(all_numbers)}; only the first {limits.frames} were taken."
    if own_hz is not None:
        note += f" The video has {own_hz:.3g} per second: some come twice, and to the model nothing moves there."
    return Clip(path.name, frames, note, path.name, rate, reading)


def has_synthetic(model: VideoModel) -> bool:
    """Whether there are invented videos for a model: of pixels, or of rain."""
    of_rain = model.channels == 1 and model.codec.unit == _OF_RAIN
    return of_rain or not model.codec.dtype.is_floating_point


def synthetic_clip(
    model: VideoModel, number: int, frames: range = range(_SYNTHETIC_FRAMES), reading: Reading = Reading()
) -> Clip:
    """A street that `DrivingScenes` paints, or rain of `RainFields`, for whoever has no video at hand.

    Args:
        model: whose size, channels and rate it gets; one of those that `has_synthetic` knows.
        number: of the video, 0 or more; no model was trained on these.
        frames: which of its 60.
        reading: how a task reads it.
    """
    size, rate = reading.size or model.size, model.frame_rate_hz
    if model.codec.dtype.is_floating_point:
        painted = RainFields(number + 1, _SYNTHETIC_FRAMES, seed=number + 1000).read(number, frames, size)
        name, note = f"rain {number}", f"Invented rain {number}."
    else:
        scenes = DrivingScenes(number + 1, _SYNTHETIC_FRAMES, rate or DEFAULT_FPS, seed=1)
        painted = to_channels(scenes.read(number, frames, size), model.channels).contiguous()
        name, note = f"street {number}", f"Synthetic street {number}: {len(frames)} frames."
    return Clip(name, painted, note, "", rate, reading, number)


def no_clip(model: VideoModel) -> Clip:
    """What there is before a video is dropped."""
    return Clip("", torch.empty(0, model.channels, *model.size, dtype=model.codec.dtype), "")
