"""Which frames make a clip, and where clips can begin."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mcvd.data.videos import AbstractVideos
from mcvd.video.decoders.base import MAX_SIDE
from mcvd.video.timing import FrameTimes, frames_at_rate

# What a recipe claims is believed up to here.
MAX_COUNT = 1 << 16
MAX_RATE_HZ = 1e5


@dataclass(frozen=True)
class ClipSpec:
    """What a clip is: its length, size and frame rate.

    Args:
        num_frames: frames of a clip.
        size: (height, width) in pixels.
        channels: 3 for colour, 1 for grey (Rec. 601 luma of a coloured source).
        frame_rate_hz: rate at which a video is read, by the times of its frames; None takes every frame as it comes.
        stride: take every ``stride``-th frame of that rate.
        crop: "centre", or "random": where the window of ``size`` lies in the scaled frame, one place per clip.
        flip: mirror half of the clips, left and right exchanged.

    Examples:
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
            if value > MAX_COUNT:
                raise ValueError(f"{name} must be at most {MAX_COUNT}, got {value}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size must be (height, width), both 1 or more pixels, got {self.size}")
        if max(self.size) > MAX_SIDE:
            raise ValueError(f"size must be (height, width), each at most {MAX_SIDE} pixels, got {self.size}")
        if self.frame_rate_hz is not None and not 0 < self.frame_rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"frame_rate_hz must be more than 0 and at most {MAX_RATE_HZ:g}, got {self.frame_rate_hz}")
        if self.crop not in ("centre", "random"):
            raise ValueError(f'crop must be "centre" or "random", got {self.crop!r}')

    def __str__(self) -> str:
        step = "" if self.stride == 1 else f", every {self.stride}th"
        rate = "as they come" if self.frame_rate_hz is None else f"at {self.frame_rate_hz:g} Hz"
        return f"{self.num_frames} frames {rate}{step}"

    def at_speed(self, speed: int) -> ClipSpec:
        """The same clips played ``speed`` times as fast: the stride multiplied."""
        return self if speed == 1 else replace(self, stride=self.stride * speed)

    def frames(self, times: FrameTimes | np.ndarray, start: int) -> Sequence[int]:
        """Numbers of the ``num_frames`` frames of the clip that begins with frame ``start``."""
        if self.frame_rate_hz is None:
            return range(start, start + self.stride * self.num_frames, self.stride)
        times = FrameTimes.of(times, self.frame_rate_hz / self.stride).at(self.frame_rate_hz)
        return frames_at_rate(times, self.frame_rate_hz / self.stride, start, self.num_frames).tolist()

    def count_starts(self, times: FrameTimes | np.ndarray) -> int:
        """How many frames of a video can begin a clip: the frames ``0 <= start < count``."""
        return self._count(times)[0]

    def count_clips(self, times: FrameTimes | np.ndarray) -> int:
        """How many clips fit into a video side by side."""
        return self._count(times)[1]

    def _count(self, times: FrameTimes | np.ndarray) -> tuple[int, int]:
        if len(times) == 0:
            return 0, 0
        if self.frame_rate_hz is None:
            times, period = FrameTimes(np.arange(len(times)), len(times)), float(self.stride)
        else:
            period = self.stride / self.frame_rate_hz
            times = FrameTimes.of(times, 1 / period).at(self.frame_rate_hz)
        reach = (self.num_frames - 1) * period
        frame = min(1 / times.rate_hz, times.last_seconds)
        # The last wanted time may lie on the last frame's display. Half of a frame is left out: stored times are
        # rounded (to milliseconds in some formats), and a start more or less matters less than a last frame that is
        # not there.
        num_starts = int(np.searchsorted(times.starts, times.end - frame / 2 - reach, side="right"))
        num_clips = int(times.duration_seconds / (reach + frame) + 1e-6)
        return num_starts, min(num_starts, max(1, num_clips))


@dataclass(frozen=True)
class ClipIndex:
    """Where the clips of a collection lie; arrays, because a collection may have millions.

    Args:
        video: int64 (N,), the video of each entry.
        first, stop: int64 (N,), a clip of the entry begins at a frame ``first <= start < stop``; the entries of a
            video divide all its possible starts.
        even: int64 (N,), a fixed start: those of one video are evenly spread from its first to its last possible
            start, and their clips do not overlap.
        speed: int64 (N,), how fast its clips may be played at most.
    """

    video: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    even: np.ndarray
    speed: np.ndarray

    def __len__(self) -> int:
        return len(self.video)


def find_clips(videos: AbstractVideos, spec: ClipSpec, max_speed: int = 1) -> ClipIndex:
    """Index the clips of a collection: as many entries as clips fit into its videos side by side.

    Videos that are shorter than one clip are left out and named in one warning. Clips are as long as at ``max_speed``,
    or in a video that is shorter, at the highest speed at which one fits.

    Raises:
        ValueError: if no video is long enough.
    """
    columns, too_short = [], []
    longest, longest_seconds, longest_frames = "", -1.0, 0
    for index in range(len(videos)):
        times = videos.frame_times(index)
        speed = _fastest(spec, times, max_speed)
        if not speed:
            too_short.append(videos.name(index))
            if len(times) and times.starts[-1] > longest_seconds:
                longest, longest_seconds, longest_frames = videos.name(index), times.starts[-1], len(times)
            continue
        played = spec.at_speed(speed)
        starts, clips = played.count_starts(times), played.count_clips(times)
        edges = np.arange(clips + 1) * starts // clips
        even = np.arange(clips) * (starts - 1) // max(1, clips - 1)
        columns.append(np.stack([np.full(clips, index), edges[:-1], edges[1:], even, np.full(clips, speed)]))
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
    return ClipIndex(*np.concatenate(columns, axis=1).astype(np.int64))


def _fastest(spec: ClipSpec, times: FrameTimes, max_speed: int) -> int:
    """The highest speed at which a clip fits into a video; 0: none does."""
    speeds = range(max_speed, 0, -1)
    return max_speed - bisect_left(speeds, True, key=lambda speed: spec.at_speed(speed).count_starts(times) > 0)
