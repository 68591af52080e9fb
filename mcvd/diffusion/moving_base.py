"""What the optical flow of the context adds to a base of residuals that stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mcvd.diffusion.color_axes import AllChannels
from mcvd.diffusion.optical_flow import carried_on, carry, explained, optical_flow
from mcvd.frames import Condition
from mcvd.runtime.distributed import sum_over_processes

RELIANCE = 0.75  # before any clip was measured
ACROSS = 0.4  # part of the flow across a gap in what each end of it is expected to do, if its own motion is seen too
ODD = 1e-3  # squared change of a clip, range [-1, 1], below which it counts less


@dataclass(frozen=True)
class Movement:
    """What moves on, of B samples.

    Args:
        added: float32 (B, N, C, H, W), what would be added to the base if all of the flow were to be relied on.
        left: float32 (B, K, H, W), the squared difference between the two visible frames that the flow leaves.
        is_known: bool (B,), whether there were two frames to see it; elsewhere ``left`` means nothing.
        trust: float32 (B, S, H, W), how well the flow explains each side of the block that has two frames, 0 to 1.
    """

    added: Tensor
    left: Tensor
    is_known: Tensor
    trust: Tensor


class MovingBase(nn.Module):
    """Carries the nearest visible frames on along the optical flow, as far as that is to be relied on.

    From one side, the nearest frame goes on as it moved from its neighbour. In a gap both sides do, cross-faded, and
    the frames on both ends also go along the flow between these two, as frames of a video codec are predicted from both
    directions. Where the flow explains nothing of what was seen, half of what it adds is taken, where it explains all
    of it, everything, and of that the part ``reliance`` (3, N): what things do is not always what they did, and less so
    with every frame. It is the part that leaves the least squared error, measured on the first clips of a training.

    On 14 films on which nothing was trained the squared error of such a base is 0.68 of that of the repeated frame, and
    0.64 of that of the cross-fade (`docs/results/recipe.md`).

    Args:
        num_frames: N, how many are made.
    """

    reliance: Tensor
    sums: Tensor
    num_clips: Tensor

    def __init__(self, num_frames: int):
        super().__init__()
        self.register_buffer("reliance", torch.full((3, num_frames), RELIANCE))
        self.register_buffer("sums", torch.zeros(2, 3, num_frames))
        self.register_buffer("num_clips", torch.zeros(()))

    def forward(
        self, condition: Condition, keep: tuple[Tensor, Tensor], weights: Tensor, axes: AllChannels
    ) -> Movement:
        """What moves on.

        Args:
            condition: of B samples.
            keep: bool (B, P) and (B, F), which past and future frames to look at.
            weights: float (2, B, N), of the nearest past and the nearest future frame in a base that stands still.
            axes: of which mixtures of channels differences are squared.
        """
        num_frames = weights.shape[2]
        away = torch.arange(1, num_frames + 1, device=weights.device) / (num_frames + 1)  # of the way across
        past, future = (condition.past.flip(1), keep[0].flip(1)), (condition.future, keep[1])  # nearest first
        added = weights.new_zeros(*weights.shape[1:], *condition.past.shape[2:])
        left, nowhere = axes.squared(added[:, 0]), keep[0].new_zeros(len(keep[0]))
        is_known, trusts = nowhere, []
        for side, ((frames, kept), (others, others_kept)) in enumerate(((past, future), (future, past))):
            told, is_seen = torch.zeros_like(added), nowhere
            if frames.shape[1] >= 2:
                is_seen = kept[:, :2].all(1)
                own = _Told.by(frames[:, 0], frames[:, 1], is_seen, axes, _onward(num_frames, side))
                told, alone = own.added, is_seen & ~others_kept.any(1)
                left, is_known = torch.where(_over(alone), own.left, left), is_known | alone
                trusts.append(own.trust)
            if frames.shape[1] and others.shape[1]:
                is_gap = kept[:, 0] & others_kept[:, 0]
                across = _Told.by(frames[:, 0], others[:, 0], is_gap, axes, _across(away.flip(0) if side else away))
                part = _over(torch.where(is_seen, ACROSS, 1.0))[..., None]
                told = torch.where(_over(is_gap)[..., None], (1 - part) * told + part * across.added, told)
                left, is_known = left + torch.where(_over(is_gap), across.left / 2, 0.0), is_known | is_gap
            added = added + weights[side][..., None, None, None] * told
        return Movement(added, left, is_known, torch.cat(trusts, 1) if trusts else added[:, 0, :0])

    def measure(self, current: Tensor, cases: Iterable[tuple[Tensor, Movement]]) -> None:
        """Take clips into account; processes that train together put theirs together.

        Args:
            current: float (B, N, C, H, W), the true frames.
            cases: of the past alone, the future alone, and both: the base that stands still, and what moves on.
        """
        new = torch.zeros_like(self.sums)
        for case, (base, movement) in enumerate(cases):
            change = current - base
            weight = 1 / (change.square().flatten(1).mean(1) + ODD)[:, None]  # a wild clip counts for no more
            for row, factor in enumerate((change, movement.added)):
                new[row, case] = (weight * (factor * movement.added).flatten(2).mean(2)).sum(0)
        self.sums += sum_over_processes(new)
        self.num_clips += sum_over_processes(torch.full_like(self.num_clips, len(current)))
        found = (self.sums[0] / self.sums[1].clamp(min=1e-6)).clamp(0, 1)
        self.reliance.copy_(torch.where(self.sums[1] > 1e-6, found, self.reliance))


Carried = Callable[[Tensor, Tensor], list[Tensor]]
"""From frames (B, C, H, W) and their flow, the N frames that it leads to."""


def _onward(num_frames: int, side: int) -> Carried:
    """One, two and more frames away, in the order of time: those of the future begin with the farthest."""
    order = -1 if side else 1
    return lambda frame, flow: carried_on(frame, flow, num_frames)[::order]


def _across(ways: Tensor) -> Carried:
    """These parts (N,) of the way to the other frame."""
    return lambda frame, flow: [carry(frame, -way * flow) for way in ways]


@dataclass(frozen=True)
class _Told:
    """What the flow from some frames (B, C, H, W) to others tells; nothing of those that are not to be looked at.

    Args:
        added: float32 (B, N, C, H, W), what carried frames add to the one where they began, as far as the flow explains
            the other one.
        trust: float32 (B, 1, H, W), how well it does.
        left: float32 (B, K, H, W), the squared difference that it leaves.
    """

    added: Tensor
    trust: Tensor
    left: Tensor

    @classmethod
    def by(cls, frame: Tensor, other: Tensor, is_seen: Tensor, axes: AllChannels, carried: Carried) -> _Told:
        """Of those samples (B,) that show both."""
        if is_seen.device.type != "cpu" or type(is_seen) is not Tensor:  # choosing rows would wait, or need numbers
            return cls._of_all(frame, torch.where(_over(is_seen), other, frame), axes, carried)
        if not is_seen.any():
            nothing = torch.zeros_like(frame, dtype=torch.float32)
            return cls(nothing[:, None], nothing[:, :1], axes.squared(nothing))
        found = cls._of_all(frame[is_seen], other[is_seen], axes, carried)
        parts = (found.added, found.trust, found.left)
        return cls(*(each.new_zeros(len(frame), *each.shape[1:]).index_put((is_seen,), each) for each in parts))

    @classmethod
    def _of_all(cls, frame: Tensor, other: Tensor, axes: AllChannels, carried: Carried) -> _Told:
        flow = optical_flow(frame, other)
        trust, left = explained(frame, other, flow), axes.squared(frame - carry(other, flow))
        added = torch.stack(carried(frame, flow), 1) - frame[:, None]
        return cls((1 + trust[:, None]) / 2 * added, trust, left)


def _over(each: Tensor) -> Tensor:
    """(B,) with axes for channels, height and width."""
    return each[:, None, None, None]
