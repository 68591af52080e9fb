"""What the optical flow of the context adds to a base of residuals that stands still."""

from __future__ import annotations

from collections.abc import Iterable
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
        batch, num_frames = weights.shape[1:]
        sides = (condition.past.flip(1), keep[0].flip(1)), (condition.future, keep[1])  # nearest first
        away = torch.arange(num_frames, device=weights.device) + 1.0
        added = weights.new_zeros(batch, num_frames, *condition.past.shape[2:])
        left, nowhere = axes.squared(added[:, 0]), keep[0].new_zeros(batch)
        is_known, trusts = nowhere, []
        for side, ((frames, kept), (others, others_kept)) in enumerate((sides, sides[::-1])):
            told, is_seen = torch.zeros_like(added), nowhere
            if frames.shape[1] >= 2:
                is_seen = kept[:, :2].all(1)
                if flow := _Flow.between(frames[:, 0], frames[:, 1], is_seen, axes):
                    onward = flow.expected(carried_on(flow.frame, flow.flow, num_frames))
                    told = onward if side == 0 else onward.flip(1)
                    alone = is_seen & ~others_kept.any(1)
                    left, is_known = torch.where(_over(alone), flow.left, left), is_known | alone
                trusts.append(flow.trust if flow else torch.zeros_like(added[:, 0, :1]))
            if frames.shape[1] and others.shape[1]:
                is_gap = kept[:, 0] & others_kept[:, 0]
                if flow := _Flow.between(frames[:, 0], others[:, 0], is_gap, axes):
                    ways = (away if side == 0 else away.flip(0)) / (num_frames + 1)
                    crossing = flow.expected([carry(flow.frame, -way * flow.flow) for way in ways])
                    both_ways = (1 - ACROSS) * told + ACROSS * crossing
                    crossing = torch.where(_over(is_seen)[..., None], both_ways, crossing)
                    told = torch.where(_over(is_gap)[..., None], crossing, told)
                    left = left + torch.where(_over(is_gap), flow.left / 2, 0.0)
                    is_known = is_known | is_gap
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


@dataclass(frozen=True)
class _Flow:
    """From frames (B, C, H, W) to others; zero where they are not to be looked at.

    Args:
        frame: where it begins.
        flow: float32 (B, 2, H, W), see `optical_flow`.
        trust: float32 (B, 1, H, W), how well it explains the other frame.
        left: float32 (B, K, H, W), the squared difference that it leaves.
    """

    frame: Tensor
    flow: Tensor
    trust: Tensor
    left: Tensor

    @classmethod
    def between(cls, frame: Tensor, other: Tensor, is_seen: Tensor, axes: AllChannels) -> _Flow | None:
        """Of those samples (B,) that show both; None: none does, as far as that is known without waiting."""
        if is_seen.device.type != "cpu" or type(is_seen) is not Tensor:  # choosing rows would wait, or need numbers
            return cls(frame, *_found(frame, torch.where(_over(is_seen), other, frame), axes))
        if not is_seen.any():
            return None
        found = _found(frame[is_seen], other[is_seen], axes)
        whole = (each.new_zeros(len(frame), *each.shape[1:]) for each in found)
        return cls(frame, *(into.index_put((is_seen,), each) for into, each in zip(whole, found, strict=True)))

    def expected(self, carried: list[Tensor]) -> Tensor:
        """What N carried frames (B, C, H, W) add to the one where they began, as far as the flow explains things."""
        return (1 + self.trust[:, None]) / 2 * (torch.stack(carried, 1) - self.frame[:, None])


def _found(frame: Tensor, other: Tensor, axes: AllChannels) -> tuple[Tensor, Tensor, Tensor]:
    """Flow, trust and what is left, of `_Flow`; nothing is found between equal frames."""
    flow = optical_flow(frame, other)
    return flow, explained(frame, other, flow), axes.squared(frame - carry(other, flow))


def _over(each: Tensor) -> Tensor:
    """(B,) with axes for channels, height and width."""
    return each[:, None, None, None]
