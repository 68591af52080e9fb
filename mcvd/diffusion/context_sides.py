"""The frames before and after a block, each side nearest first."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mcvd.frames import Condition


@dataclass(frozen=True)
class ContextSide:
    """Frames on one side of a block.

    Args:
        frames: (B, T, C, H, W), nearest first.
        keep: bool (B, T), which of them to look at.
        is_after: whether it is the future.
    """

    frames: Tensor
    keep: Tensor
    is_after: bool

    def has(self, num_frames: int) -> bool:
        """Whether there are so many frames, visible or not."""
        return self.frames.shape[1] >= num_frames


def context_sides(condition: Condition, keep: tuple[Tensor, Tensor]) -> tuple[ContextSide, ContextSide]:
    """Past and future.

    Args:
        condition: of B samples.
        keep: bool (B, P) and (B, F), which past and future frames to look at, in order of time.
    """
    return (
        ContextSide(condition.past.flip(1), keep[0].flip(1), is_after=False),
        ContextSide(condition.future, keep[1], is_after=True),
    )


def over_pixels(each: Tensor) -> Tensor:
    """(B,) or (B, N) with axes for channels, height and width."""
    return each[..., None, None, None]
