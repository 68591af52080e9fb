"""Clips: the short windows of videos that a model trains on, each found again by its number.

A video is divided into slots, as many as clips fit into it side by side. Training visits every slot once per
epoch, in random order, and starts its clip anywhere inside the slot; validation takes fixed, evenly spread
clips. Everything random about a draw derives from (seed, number of the draw), never from a global generator.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mcvd.data.augment import Augmentation, Change
from mcvd.data.fitting import crop, with_channels
from mcvd.data.readers import VideoError, average_rate, frames_at_rate
from mcvd.data.videos import AbstractVideos

MAX_FAILURES_IN_A_ROW = 100
UNCHANGED, NO_AUGMENTATION = Change(), Augmentation()


@dataclass(frozen=True)
class ClipSpec:
    """What a clip is.

    Args:
        num_frames: frames of a clip.
        size: (height, width) in pixels.
        channels: 3 for colour, 1 for grey (Rec. 601 luma of a coloured source).
        frame_rate_hz: rate at which a video is read, by the times of its frames; None takes every frame as it comes.
        stride: every how many frames of that rate one is taken.
        crop: "centre", or "random": where the window of ``size`` lies in the scaled frame, one place per clip.
        flip: mirror half of the clips, left and right exchanged.

    Example:
        >>> spec = ClipSpec(num_frames=3, size=(64, 64), stride=2)
        >>> list(spec.frames(np.arange(10) / 25, start=4)), spec.count_starts(np.arange(10) / 25)
        ([4, 6, 8], 6)
    """

    num_frames: int
    size: tuple[int, int]
    channels: int = 3
    frame_rate_hz: float | None = None
    stride: int = 1
    crop: Literal["centre", "random"] = "centre"
    flip: bool = False

    def __post_init__(self) -> None:
        for name, value in {"num_frames": self.num_frames, "stride": self.stride, "channels": self.channels}.items():
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size must be (height, width), both 1 or more pixels, got {self.size}")
        if self.frame_rate_hz is not None and not 0 < self.frame_rate_hz < np.inf:
            raise ValueError(f"frame_rate_hz must be more than 0, got {self.frame_rate_hz}")
        if self.crop not in ("centre", "random"):
            raise ValueError(f'crop must be "centre" or "random", got {self.crop!r}')

    def __str__(self) -> str:
        step = "" if self.stride == 1 else f", every {self.stride}th"
        rate = "as they come" if self.frame_rate_hz is None else f"at {self.frame_rate_hz:g} Hz"
        return f"{self.num_frames} frames {rate}{step}"

    def at_pace(self, pace: int) -> ClipSpec:
        """The same clips played so many times as fast: the stride multiplied."""
        return self if pace == 1 else replace(self, stride=self.stride * pace)

    def frames(self, times_seconds: np.ndarray, start: int) -> Sequence[int]:
        """Numbers of the ``num_frames`` frames of the clip that begins with frame ``start``."""
        if self.frame_rate_hz is None:
            return range(start, start + self.stride * self.num_frames, self.stride)
        return frames_at_rate(times_seconds, self.frame_rate_hz / self.stride, start, self.num_frames).tolist()

    def count_starts(self, times_seconds: np.ndarray) -> int:
        """How many frames of a video can begin a clip: the frames ``0 <= start < count``."""
        return self._count(times_seconds)[0]

    def count_slots(self, times_seconds: np.ndarray) -> int:
        """How many clips fit into a video side by side."""
        return self._count(times_seconds)[1]

    def _count(self, times_seconds: np.ndarray) -> tuple[int, int]:
        if len(times_seconds) == 0:
            return 0, 0
        if self.frame_rate_hz is None:
            times, period = np.arange(len(times_seconds)), float(self.stride)
        else:
            times, period = times_seconds, self.stride / self.frame_rate_hz
        reach = (self.num_frames - 1) * period
        frame = 1 / average_rate(times, 1 / period)
        # The last wanted time may lie on the last frame's display. Half of that is left out: stored times are rounded
        # (to milliseconds in some formats), and a start more or less matters less than a last frame that is not there.
        num_starts = int(np.searchsorted(times, times[-1] + frame / 2 - reach, side="right"))
        num_slots = int((times[-1] + frame) / (reach + frame) + 1e-6)
        return num_starts, min(num_starts, max(1, num_slots))


@dataclass(frozen=True)
class Slots:
    """Where the clips of a collection lie; arrays, because a collection may have millions.

    Args:
        video: int64 (N,), the video of each slot.
        first, stop: int64 (N,), a clip of the slot begins at a frame ``first <= start < stop``; the slots of a video
            share out all its possible starts.
        even: int64 (N,), a fixed start: those of one video are evenly spread from its first to its last possible
            start, and their clips do not overlap.
    """

    video: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    even: np.ndarray

    def __len__(self) -> int:
        return len(self.video)


def find_slots(videos: AbstractVideos, spec: ClipSpec) -> Slots:
    """Divide the videos of a collection into slots of one clip each.

    Videos that are shorter than one clip are left out and named in one warning.

    Raises:
        ValueError: if no video is long enough.
    """
    columns, too_short = [], []
    longest, longest_seconds, longest_frames = "", -1.0, 0
    for index in range(len(videos)):
        times = videos.times_seconds(index)
        starts, slots = spec.count_starts(times), spec.count_slots(times)
        if slots == 0:
            too_short.append(videos.name(index))
            if len(times) and times[-1] > longest_seconds:
                longest, longest_seconds, longest_frames = videos.name(index), times[-1], len(times)
            continue
        edges = np.arange(slots + 1) * starts // slots
        even = np.arange(slots) * (starts - 1) // max(1, slots - 1)
        columns.append(np.stack([np.full(slots, index), edges[:-1], edges[1:], even]))
    if not columns:
        raise ValueError(
            f"no video is long enough for a clip of {spec}: the longest of {len(videos)}, {longest}, has "
            f"{longest_frames} frames in {max(0.0, longest_seconds):.2f} s; "
            "use longer videos, fewer frames, a smaller stride or a higher frame rate"
        )
    if too_short:
        names = ", ".join(too_short[:5]) + (", ..." if len(too_short) > 5 else "")
        warnings.warn(
            f"{len(too_short)} of {len(videos)} videos are shorter than a clip of {spec} and are left out: {names}",
            stacklevel=2,
        )
    return Slots(*np.concatenate(columns, axis=1).astype(np.int64))


@dataclass(frozen=True)
class Draw:
    """One clip, completely determined.

    Args:
        video: number of the video.
        start: number of its first frame.
        corner: where the window lies, (down, right) as fractions in [0, 1) of the room there is; None is the centre.
        flip: whether left and right are exchanged.
        change: what else is done to it.
    """

    video: int
    start: int
    corner: tuple[float, float] | None = None
    flip: bool = False
    change: Change = UNCHANGED


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


@lru_cache(maxsize=2)  # Batches fetched ahead may straddle two epochs.
def _epoch_order(seed: int, epoch: int, num_slots: int) -> np.ndarray:
    return _generator(seed, 0, epoch).permutation(num_slots)


class AbstractDraws(Protocol):
    """From the number of a draw to a clip."""

    @property
    def slots(self) -> Slots:
        """Where clips lie."""

    def __len__(self) -> int: ...

    def __call__(self, draw: int, attempt: int = 0) -> Draw:
        """The clip; ``attempt`` counts the replacements of one that could not be read."""


@dataclass(frozen=True)
class RandomDraws:
    """The clips of training: every slot once per epoch, in random order, at a random start.

    Args:
        slots: where clips lie; with a pace, those of ``spec.at_pace(augmentation.max_pace)``, so that all clips fit.
        spec: whether to crop at random and to flip.
        seed: 0 or more; the same seed gives the same clips.
        augmentation: what else is drawn for each clip.

    Calling it with the number of a draw gives the clip; ``attempt`` counts the replacements of a clip that could not
    be read, each another random slot.
    """

    slots: Slots
    spec: ClipSpec
    seed: int = 0
    augmentation: Augmentation = NO_AUGMENTATION

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")

    def __len__(self) -> int:
        return len(self.slots)

    def __call__(self, draw: int, attempt: int = 0) -> Draw:
        """The clip of a draw."""
        epoch, position = divmod(draw, len(self.slots))
        random = _generator(self.seed, 1, draw, attempt)
        replacement = random.integers(len(self.slots))
        slot = replacement if attempt else _epoch_order(self.seed, epoch, len(self.slots))[position]
        start = int(random.integers(self.slots.first[slot], self.slots.stop[slot]))
        down, right, mirror = random.random(3).tolist()
        return Draw(
            video=int(self.slots.video[slot]),
            start=start,
            corner=(down, right) if self.spec.crop == "random" else None,
            flip=self.spec.flip and mirror < 0.5,
            change=self.augmentation.draw(random),
        )


@dataclass(frozen=True)
class FixedDraws:
    """The clips of validation: always the same, evenly spread over all videos, from the centre, never flipped.

    Args:
        slots: where clips lie.
        num_clips: how many to take, at most; None takes all.

    ``attempt`` counts the replacements of a clip that could not be read, each the next clip.
    """

    slots: Slots
    num_clips: int | None = None

    def __post_init__(self) -> None:
        if self.num_clips is not None and self.num_clips < 1:
            raise ValueError(f"num_clips must be 1 or more, or None for all, got {self.num_clips}")

    def __len__(self) -> int:
        return len(self.slots) if self.num_clips is None else min(self.num_clips, len(self.slots))

    def __call__(self, draw: int, attempt: int = 0) -> Draw:
        """The clip of a draw."""
        slot = (draw + attempt) % len(self) * len(self.slots) // len(self)
        return Draw(int(self.slots.video[slot]), int(self.slots.even[slot]))


def read_clip(videos: AbstractVideos, spec: ClipSpec, draw: Draw) -> Tensor:
    """Read one clip: uint8 (T, C, H, W) as ``spec`` says.

    Raises:
        VideoError: if the video cannot be read.
    """
    frames = spec.at_pace(draw.change.pace).frames(videos.times_seconds(draw.video), draw.start)
    video = videos.read(draw.video, frames, spec.size)
    video = draw.change(with_channels(crop(video, spec.size, draw.corner), spec.channels))
    return (video.flip(-1) if draw.flip else video).contiguous()


class ClipDataset(Dataset):
    """Clips by number: ``dataset[draw]`` is ``{"video": uint8 (T, C, H, W), "index": draw}``.

    Args:
        videos: where frames come from.
        spec: what a clip is.
        draws: from the number of a draw to a clip, `RandomDraws` or `FixedDraws`.

    A video that can no longer be read (vanished, damaged) is named in one warning and its clips are replaced by
    others, the same ones each time; ``failures`` counts them per video, over all workers. After 100 replacements in
    a row the last error is raised.
    """

    def __init__(self, videos: AbstractVideos, spec: ClipSpec, draws: AbstractDraws) -> None:
        if spec.channels != videos.channels and {spec.channels, videos.channels} != {1, 3}:
            raise ValueError(f"clips of {spec.channels} channels cannot be made of videos with {videos.channels}")
        self.videos = videos
        self.spec = spec
        self.draws = draws
        self.failures = torch.zeros(len(videos), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.draws)

    def __getitem__(self, draw: int) -> dict[str, Any]:
        for attempt in range(MAX_FAILURES_IN_A_ROW):
            clip = self.draws(draw, attempt)
            try:
                return {"video": read_clip(self.videos, self.spec, clip), "index": draw}
            except (VideoError, OSError) as fault:
                error = fault
                self._report(clip.video, fault)
        raise VideoError(f"{MAX_FAILURES_IN_A_ROW} clips in a row could not be read; the last error: {error}")

    def _report(self, video: int, fault: Exception) -> None:
        self.failures[video] += 1
        if self.failures[video] == 1:
            warnings.warn(f"{fault}; clips of this video are replaced by others", stacklevel=3)
