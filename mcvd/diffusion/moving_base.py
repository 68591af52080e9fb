"""What the optical flow of the context adds to a base of residuals that stands still."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mcvd.diffusion.box_mean import box_mean
from mcvd.diffusion.color_axes import AllChannels
from mcvd.diffusion.context_sides import context_sides, over_pixels
from mcvd.diffusion.optical_flow import carried_on, carry, explained, optical_flow
from mcvd.frames import Condition
from mcvd.runtime.distributed import sum_over_processes

RELIANCE = 0.75  # before any clip was measured
ACROSS = 0.4  # part of the flow across a gap in what each end of it is expected to do, if its own motion is seen too
STILL = 0.04  # difference of neighbouring frames, range [-1, 1], below which flow is mostly that of noise
REACH = 2  # pixels of the box filters around each pixel, within which it is looked for
ODD = 1e-3  # squared change of a clip, range [-1, 1], below which it counts less

_Name = tuple[str, bool]  # of a flow: of a side of its own, or across the gap; whether it begins after the block


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
    of it, everything, where hardly anything moves, nothing; and of that the part ``reliance`` (3, N): what things do is
    not always what they did, and less so with every frame. It is the part that leaves the least squared error, measured
    on the first clips of a training.

    On 14 films on which nothing was trained the squared error of such a base is 0.70 of that of the repeated frame, and
    0.66 of that of the cross-fade (`docs/results/recipe.md`).

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
        sides, pairs = context_sides(condition, keep), {}
        for side, other in zip(sides, reversed(sides), strict=True):
            if side.has(2):
                pairs["own", side.is_after] = side.frames[:, 0], side.frames[:, 1], side.keep[:, :2].all(1)
            if side.has(1) and other.has(1):
                is_gap = side.keep[:, 0] & other.keep[:, 0]
                pairs["across", side.is_after] = side.frames[:, 0], other.frames[:, 0], is_gap
        flows = _flows(pairs, axes)
        away = torch.arange(1, num_frames + 1, device=weights.device) / (num_frames + 1)  # of the way across a gap
        added = weights.new_zeros(*weights.shape[1:], *condition.past.shape[2:])
        left, nowhere = axes.squared(added[:, 0]), keep[0].new_zeros(len(keep[0]))
        is_known, trusts = nowhere, []
        for side, other in zip(sides, reversed(sides), strict=True):
            told, is_seen = torch.zeros_like(added), nowhere
            if own := flows.get(("own", side.is_after)):
                if own.may_be_seen:
                    told = own.added(carried_on(own.frame, own.flow, num_frames)[:: -1 if side.is_after else 1])
                is_seen, alone = own.is_seen, own.is_seen & ~other.keep.any(1)
                left, is_known = torch.where(over_pixels(alone), own.left, left), is_known | alone
                trusts.append(own.trust)
            if (across := flows.get(("across", side.is_after))) and across.may_be_seen:
                ways = away.flip(0) if side.is_after else away
                crossing = across.added([carry(across.frame, -way * across.flow) for way in ways])
                part = torch.where(is_seen, ACROSS, 1.0)
                mixed = torch.lerp(told, crossing, over_pixels(part[:, None]))
                is_gap = across.is_seen
                told = torch.where(over_pixels(is_gap[:, None]), mixed, told)
                left = left + torch.where(over_pixels(is_gap), across.left / 2, 0.0)
                is_known = is_known | is_gap
            added = added + over_pixels(weights[int(side.is_after)]) * told
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
    """Of frames (B, C, H, W) to others; of no meaning in samples that do not show both.

    Args:
        frame: where it begins.
        is_seen: bool (B,), which samples show both.
        may_be_seen: False where it is known, without waiting for a device, that none does.
        flow: float32 (B, 2, H, W), see `optical_flow`.
        trust: float32 (B, 1, H, W), how well it explains the other frame; 0 where that is not seen.
        part: float32 (B, 1, H, W), how much of what it adds is taken, 0 to 1.
        left: float32 (B, K, H, W), the squared difference that it leaves.
    """

    frame: Tensor
    is_seen: Tensor
    may_be_seen: bool
    flow: Tensor
    trust: Tensor
    part: Tensor
    left: Tensor

    def added(self, carried: list[Tensor]) -> Tensor:
        """What is taken of what N carried frames add to that one: (B, N, C, H, W)."""
        return self.part[:, None] * (torch.stack(carried, 1) - self.frame[:, None])


def _flows(pairs: dict[_Name, tuple[Tensor, Tensor, Tensor]], axes: AllChannels) -> dict[_Name, _Flow]:
    """All flows in one go, on a CPU only of samples that show them: elsewhere to choose would wait for the device.

    Args:
        pairs: frames (B, C, H, W), others, and in which samples both are to be looked at, bool (B,).
        axes: of which mixtures of channels differences are squared.
    """
    if not pairs:
        return {}
    frame, other, is_seen = (torch.cat(each) for each in zip(*pairs.values(), strict=True))
    frame, other = frame.float(), other.float()
    is_told = is_seen.device.type == "cpu" and type(is_seen) is Tensor  # not so where numbers are only reckoned with
    rows = is_seen.nonzero()[:, 0] if is_told else torch.arange(len(is_seen), device=is_seen.device)
    here, there = frame[rows], torch.where(over_pixels(is_seen), other, frame)[rows]
    flow = optical_flow(here, there)
    trust = explained(here, there, flow)
    moved = box_mean((here - there).square().mean(1, keepdim=True), REACH, times=2)
    part = (1 + trust) / 2 * moved / (moved + STILL**2)
    found = flow, trust, part, axes.squared(here - carry(there, flow))
    whole = [each.new_zeros(len(frame), *each.shape[1:]).index_copy(0, rows, each) for each in found]
    whole[1] = torch.where(over_pixels(is_seen), whole[1], 0.0)
    parts = zip(*(each.unflatten(0, (len(pairs), -1)) for each in (frame, is_seen, *whole)), strict=True)
    flows = [_Flow(one, seen, not is_told or bool(seen.any()), *rest) for one, seen, *rest in parts]
    return dict(zip(pairs, flows, strict=True))
