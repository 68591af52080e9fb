"""When the frames of training clips are, where that differs from clip to clip: several rates, a frame long before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mcvd.data.clips.spec import MAX_COUNT, MAX_RATE_HZ, ClipSpec
from mcvd.video.timing import FrameTimes, frames_around

MAX_SECONDS = 1e7


@dataclass(frozen=True)
class AppliedTimes:
    """What is drawn for one clip.

    Args:
        frame_rate_hz: its own; None is that of all clips.
        far: its first frame is one from before: how far, as a fraction in [0, 1) of the room there is, by orders of
            magnitude; None: it lies next to the others.
    """

    frame_rate_hz: float | None = None
    far: float | None = None


@dataclass(frozen=True)
class ClipTimes:
    """The frame rates of training clips, and how often their first frame is one from long before.

    Clips come with the times of their frames, which a model with a network that sees frame by frame is told
    (`mcvd.nets.SpaceTimeUNet`). Clips of validation stay as the other options say.

    Args:
        frame_rates_hz: of the clips, each as often as the others; the videos must tell their own. None: all have the
            rate of ``data.frame_rate_hz``, or of the videos.
        p_far: probability that the first frame of a clip, which is the oldest past frame of a block, is one from
            before: by a whole number of frames from 1 to as many as ``max_far_seconds`` hold, or as the video has, each
            order of magnitude as often as the next. A model that was trained so can keep the beginning of a long video
            in view (``keep_first``).
        max_far_seconds: how long before its place that frame is at most.

    Raises:
        ValueError: a number is out of range.

    Examples:
        >>> ClipTimes((10.0, 5.0), p_far=1, max_far_seconds=20).draw(np.random.default_rng(0))
        AppliedTimes(frame_rate_hz=5.0, far=0.2697867137638703)
    """

    frame_rates_hz: Sequence[float] | None = None
    p_far: float = 0.0
    max_far_seconds: float = 30.0

    def __post_init__(self) -> None:
        rates = tuple(self.frame_rates_hz or ())
        object.__setattr__(self, "frame_rates_hz", rates)
        for rate in rates:
            if not 0 < rate <= MAX_RATE_HZ:
                raise ValueError(f"frame_rates_hz must be more than 0 and at most {MAX_RATE_HZ:g}, got {rate}")
        if len(set(rates)) < len(rates) or len(rates) > MAX_COUNT:
            raise ValueError(f"frame_rates_hz are different rates, got {', '.join(f'{rate:g}' for rate in rates)}")
        if not 0 <= self.p_far <= 1:
            raise ValueError(f"p_far is a probability from 0 to 1, got {self.p_far}")
        if not 0 < self.max_far_seconds <= MAX_SECONDS:
            raise ValueError(
                f"max_far_seconds must be more than 0, at most {MAX_SECONDS:g}, got {self.max_far_seconds}"
            )

    @property
    def rates(self) -> tuple[float, ...]:
        """The frame rates, () where there are none of their own."""
        return tuple(self.frame_rates_hz or ())

    @property
    def farthest_seconds(self) -> float:
        """How long before its place the first frame of a clip is at most."""
        return self.max_far_seconds if self.p_far else 0.0

    def draw(self, random: np.random.Generator) -> AppliedTimes:
        """What is drawn for one clip; every call takes as many random numbers, whatever is switched on."""
        which, is_far, far = random.random(3).tolist()
        rate = self.rates[int(which * len(self.rates))] if self.rates else None
        return AppliedTimes(rate, far if is_far < self.p_far else None)

    def slowest(self, spec: ClipSpec) -> ClipSpec:
        """The clips that need the longest videos."""
        return with_rate(spec, min(self.rates)) if self.rates else spec

    def check(self, spec: ClipSpec, backwards: bool, speeds: bool) -> None:
        """Refuse what would make the told times wrong; ``backwards`` and ``speeds`` are what augmentation may do.

        Raises:
            ValueError: says what to set.
        """
        if speeds:
            raise ValueError("data.augment.max_speed would make times wrong that data.times tells: set it to 1")
        if self.rates and spec.stride != 1:
            raise ValueError("data.times.frame_rates_hz are the rates of the clips as they are: set data.stride to 1")
        if self.p_far and backwards:
            raise ValueError(
                "data.augment.reverse would put the frame from long before last: set it to false for p_far"
            )
        if self.p_far and spec.num_frames < 3:
            raise ValueError(f"data.times.p_far needs clips of 3 frames or more, got {spec.num_frames}")

    def check_videos(self, videos: Iterable[tuple[str, FrameTimes]], own_rate_hz: float | None) -> None:
        """Refuse videos of which no such clips can be made; ``own_rate_hz`` is the rate of clips without one.

        Raises:
            ValueError: names some of them.
        """
        if own_rate_hz is None:
            raise ValueError("the videos tell no frame rate, in which data.times counts: set data.frame_rate_hz")
        if not self.rates:
            return
        fastest, known = max(self.rates), [(name, times.told_rate_hz) for name, times in videos]
        slow = [name if rate is None else f"{name}: {rate:.4g}" for name, rate in known if (rate or 0) < 0.9 * fastest]
        if slow:
            which = ", ".join(slow[:3]) + (", ..." if len(slow) > 3 else "")
            raise ValueError(
                f"data.times.frame_rates_hz: {len(slow)} of {len(known)} videos tell no frame rate, or have fewer "
                f"frames per second than {fastest:g} ({which}): leave them out, or this rate"
            )


def with_rate(spec: ClipSpec, frame_rate_hz: float | None) -> ClipSpec:
    """The same clips at another rate, if one is named."""
    return spec if frame_rate_hz is None else replace(spec, frame_rate_hz=frame_rate_hz)


def far_frame(
    times: FrameTimes, spec: ClipSpec, start: int, rate_hz: float, max_seconds: float, far: float
) -> tuple[int, int] | None:
    """The frame that stands in place of the first one of a clip, and how many frames of the clip it lies before that.

    Args:
        times: of the video.
        spec: what a clip is.
        start: number of the clip's first frame.
        rate_hz: of the frames of the clip.
        max_seconds: how long before at most.
        far: a fraction in [0, 1), see `AppliedTimes`.

    Returns:
        None where the clip is at the beginning of its video.
    """
    by_number = spec.frame_rate_hz is None or not times.is_told
    before = start / spec.stride if by_number else float(times.starts[start] - times.starts[0]) * rate_hz
    most = int(min(before, max_seconds * rate_hz) + 1e-6)
    if most < 1:
        return None
    steps = int((most + 1) ** far)
    if by_number:
        return start - steps * spec.stride, steps
    (frame,) = frames_around(times, start, rate_hz, range(-steps, 1 - steps))
    return frame, steps


def offsets_seconds(num_frames: int, rate_hz: float, steps_before: int) -> Tensor:
    """When the frames of a clip are, after the place of its first: float32 (T,); the first is so many steps before."""
    offsets = torch.arange(num_frames, dtype=torch.float64) / rate_hz
    offsets[0] -= steps_before / rate_hz
    return offsets.float()
