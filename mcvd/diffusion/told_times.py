"""When frames are, as a model is told it: clips of several frame rates, and a frame from long before."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor

from mcvd.diffusion.plan import Window
from mcvd.frames import FrameBlock, check_format


@dataclass(frozen=True)
class ToldTimes:
    """Which times a model was told in training; see `mcvd.data.ClipTimes`.

    Times are told in frames of the model's own rate (``frame_rate_hz``), after the first current one: so its unit is
    ``1 / frame_rate_hz`` seconds.

    Args:
        frame_rates_hz: of the clips; () where all had the model's own.
        max_far_seconds: how long before a block its oldest past frame was at most; 0 where it always was next to it.

    Raises:
        ValueError: a number is out of range.
    """

    frame_rates_hz: tuple[float, ...] = ()
    max_far_seconds: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame_rates_hz", tuple(self.frame_rates_hz))
        for rate in self.frame_rates_hz:
            check_format((1, 1), rate)
        if not 0 <= self.max_far_seconds < 1e9:
            raise ValueError(f"max_far_seconds must be 0 or more, got {self.max_far_seconds}")

    def check(self, block: FrameBlock, per_frame: bool) -> None:
        """Refuse a model that could not be told.

        Raises:
            ValueError: says why.
        """
        if not per_frame:
            raise ValueError(
                "clips of several frame rates, and frames from long before (data.times), need a network that is told "
                "when each frame is: mcvd.nets.SpaceTimeUNet"
            )
        if self.max_far_seconds and block.past < 2:
            raise ValueError(
                f"a frame from long before (data.times.p_far) takes a past slot of two or more, this block is {block}"
            )


@dataclass(frozen=True)
class WindowTimes:
    """What the windows of a rollout are told of time.

    Args:
        step: from one frame to the next, in frames of the model's own rate.
        farthest: how far before a block its first past frame is told to be at most, in the same unit; None: windows do
            not see the first frame of the video once they are past it.
    """

    step: float = 1.0
    farthest: float | None = None

    @classmethod
    def of(
        cls, told: ToldTimes | None, own_rate_hz: float | None, frame_rate_hz: float | None, keep_first: bool
    ) -> WindowTimes | None:
        """Those of a work that a model does not refuse; None where there is nothing to tell."""
        if told is None or own_rate_hz is None or (frame_rate_hz is None and not keep_first):
            return None
        step = own_rate_hz / (frame_rate_hz or own_rate_hz)
        return cls(step, told.max_far_seconds * own_rate_hz if keep_first else None)

    def shows_first(self, window: Window) -> bool:
        """Whether the oldest past slot of a window holds the first frame of the video, which lies before its others."""
        return self.farthest is not None and len(window.past) > 0 and 0 not in window.past

    def told(self, window: Window, block: FrameBlock) -> Tensor | None:
        """The times (P + N + F,) of a window's frames; None where they come one after the other as in training.

        Examples:
            >>> window = Window(range(6, 8), range(8, 11), range(8, 11), range(11, 11))
            >>> WindowTimes(step=2.0, farthest=100).told(window, FrameBlock(2, 3)).tolist()
            [-16.0, -2.0, 0.0, 2.0, 4.0]
        """
        is_far = self.shows_first(window)
        if self.step == 1 and not is_far:
            return None
        times = self.step * torch.arange(-block.past, block.current + block.future, dtype=torch.float32)
        if is_far and self.farthest is not None:
            times[0] = -min(window.current.start * self.step, max(self.farthest, block.past * self.step))
        return times


def refused_times(
    told: ToldTimes | None, own_rate_hz: float | None, frame_rate_hz: float | None, keep_first: bool, num_future: int
) -> str | None:
    """Why a model cannot be told so, or None if it can."""
    rates = told.frame_rates_hz if told else ()
    if frame_rate_hz is not None:
        if not rates or own_rate_hz is None:
            if frame_rate_hz == own_rate_hz:
                return None
            own = f", {own_rate_hz:g} Hz" if own_rate_hz else ""
            return (
                f"frame_rate_hz {frame_rate_hz}: this model was trained at one rate{own}, and makes no other (those do "
                "that were trained with data.times): leave it out; for more frames a second see mcvd upsample"
            )
        if not (isinstance(frame_rate_hz, Real) and min(rates) <= frame_rate_hz <= max(rates)):
            return f"frame_rate_hz {frame_rate_hz}: this model was trained at {min(rates):g} to {max(rates):g} Hz"
    if keep_first and not (told and told.max_far_seconds):
        return "keep_first: this model never saw a frame from long before (data.times.p_far)"
    if keep_first and num_future:
        return "keep_first goes forward: no frames after can be given"
    return None
