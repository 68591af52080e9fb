"""What given frames tell of the others of a block, wherever they lie in it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mcvd.diffusion.color_axes import AllChannels, ColorAxes
from mcvd.diffusion.context_sides import over_pixels
from mcvd.diffusion.parametrization import SIGMA_DATA
from mcvd.diffusion.reference import FLOOR, MAX_RATIO, Residual, around, check_floor, keep_near
from mcvd.frames import Condition, FrameBlock
from mcvd.runtime.distributed import sum_over_processes

MAX_FRAMES = 256  # of a block: the table grows with the square

ONE_SIDE, BETWEEN = range(2)  # of the table


class GivenReference(nn.Module):
    """As `ContextReference`, of any given frames, also of those among the current ones: `mcvd.Condition.given`.

    ============= ========================================== ==========================================
    a frame lies  base                                       seen
    ============= ========================================== ==========================================
    after given   the last of them                           between the last two
    before given  the first of them                          between the first two
    between given the cross-fade of its two neighbours       between these two
    with none     0                                          (the scale is 1)
    ============= ========================================== ==========================================

    A given frame itself is shown as it is: its base is 0 and its scale 1. The scale of the others is that of
    `ContextReference`, and ``growth`` (2, T, T) is measured for all distances between frames of a block of T: one given
    side by the distance to the base and that to the given frame beyond it (0 where there is none), two by the distances
    to both neighbours. So a network that says nothing cross-fades, whichever frames are given.

    Args:
        block: of the model.
        floor: as in `ContextReference`.
        bound: the largest absolute value of frames.
        colors: as in `ContextReference`.

    Raises:
        ValueError: the floor is not above 0, or the block is longer than `MAX_FRAMES`.

    Examples:
        >>> block = FrameBlock(past=1, current=3)
        >>> past, current = torch.zeros(1, 1, 1, 8, 8), torch.ones(1, 3, 1, 8, 8)
        >>> keep = torch.tensor([[False, False, True]])
        >>> visible = Condition.visible(past, past[:, :0]).showing(current, keep)
        >>> GivenReference(block)(visible).base[0, :, 0, 0, 0]
        tensor([0.3333, 0.6667, 0.0000])
    """

    growth: Tensor
    motion: Tensor
    sums: Tensor
    motion_sum: Tensor
    num_clips: Tensor

    def __init__(self, block: FrameBlock, floor: float = FLOOR, bound: float = 1.0, colors: bool = False):
        super().__init__()
        check_floor(floor)
        if block.num_frames > MAX_FRAMES:
            raise ValueError(f"reference 'given' is for blocks of {MAX_FRAMES} frames at most, got {block}")
        self.block, self.floor, self.bound = block, floor, bound
        self.colors = ColorAxes() if colors else AllChannels()
        with torch.device("cpu"):  # arithmetic on the meta device would import torch's compiler
            apart = torch.arange(block.num_frames, dtype=torch.float32)
            here, there = apart[:, None], apart[None]
            one_side = here / there.clamp(min=1)  # of a random walk, as long as nothing is measured
            walks = torch.stack([one_side, _bridge(here, there) / (here + there).clamp(min=1)])
        self.register_buffer("growth", walks.sqrt_())
        self.register_buffer("motion", torch.tensor(0.1))
        self.register_buffer("sums", torch.zeros_like(self.growth))
        self.register_buffer("motion_sum", torch.zeros(()))
        self.register_buffer("num_clips", torch.zeros(()))

    def forward(self, condition: Condition) -> Residual:
        """The residual's base and scale for each of the B samples of a condition; masked frames have no influence."""
        frames, keep, noise = self._shown(condition)
        near = _neighbours(keep, slice(self.block.past, self.block.past + self.block.current))
        share = torch.where(near.is_between, near.before_apart / (near.before_apart + near.after_apart).clamp(min=1), 0)
        of_after = torch.where(near.is_after_alone, 1.0, share)
        known = near.has_before | near.has_after
        before, after, here, there = (_frames_at(frames, each) for each in (near.before, near.after, *near.seen))
        base = before + over_pixels(of_after).to(frames) * (after - before)

        seen = around(self.colors.squared((here - there).flatten(0, 1))).unflatten(0, here.shape[:2])
        level = [noise.gather(1, each.clamp(0, noise.shape[1] - 1)) for each in (near.before, near.after, *near.seen)]
        seen = self.colors.capped(seen - self.colors.of_noise(over_pixels(level[2] + level[3]))).clamp(min=0)
        seen = torch.where(over_pixels(near.sees_motion), seen, self.motion.square())

        walk = torch.where(near.is_between, _bridge(near.before_apart, near.after_apart), near.one_apart)
        of_noise = (1 - of_after).square() * level[0] + of_after.square() * level[1]
        growth = torch.where(
            near.is_between,
            self.growth[BETWEEN][near.before_apart.long(), near.after_apart.long()],
            self.growth[ONE_SIDE][near.one_apart.long(), near.beyond_apart.long()],
        )
        fixed = over_pixels(self.floor**2 * walk) + self.colors.of_noise(over_pixels(of_noise))
        variance = fixed + over_pixels(growth.square()) * seen
        is_given = keep[:, self.block.past : self.block.past + self.block.current]
        told = over_pixels(known & ~is_given)
        scale = torch.where(told, variance.sqrt() / SIGMA_DATA, 1.0)
        return Residual(torch.where(told, base, 0.0), scale.to(base.dtype), self.bound, self.colors.axes)

    @torch.no_grad()
    def measure(self, past: Tensor, current: Tensor, future: Tensor) -> None:
        """Take clips into account, as `ContextReference.measure` does: all frames of a block as if each were given."""
        frames = torch.cat([past, current, future], 1)
        self.colors.measure(frames.diff(dim=1))
        clip = frames.flatten(2).double()
        clip = clip - clip.mean(1, keepdim=True)
        length, inner = clip.shape[1], clip @ clip.mT / max(clip.shape[2], 1)
        size = inner.diagonal(dim1=1, dim2=2)
        distance = (size[:, :, None] + size[:, None] - 2 * inner).clamp(min=0)
        by_gap = [distance.diagonal(-gap, 1, 2) for gap in range(length)]  # entry k: between frames k and k + gap
        motion = by_gap[1].mean(1, keepdim=True) if length > 1 else distance.new_zeros(len(clip), 1)
        new = torch.zeros_like(self.sums)
        for here in range(1, length):
            new[ONE_SIDE, here, 0] = self._ratio(by_gap[here], motion)
            for there in range(1, length - here):
                left = length - here - there
                after = self._ratio(by_gap[here][:, there:], by_gap[there][:, :left])
                before = self._ratio(by_gap[here][:, :left], by_gap[there][:, here:])
                new[ONE_SIDE, here, there] = (after + before) / 2
                share, ends = here / (here + there), by_gap[here + there]
                fade = (1 - share) * by_gap[here][:, :left] + share * by_gap[there][:, here:]
                # |x - (1 - s) a - s b|^2 from the squared distances of the three.
                fade = (fade - share * (1 - share) * ends).clamp(min=0)
                new[BETWEEN, here, there] = self._ratio(fade, ends)
        self.sums += sum_over_processes(new)
        self.motion_sum += sum_over_processes(motion.sum().to(self.motion_sum))
        self.num_clips += sum_over_processes(torch.full_like(self.num_clips, len(clip)))
        mean = self.sums / self.num_clips.clamp(min=1)
        self.growth.copy_(torch.where(mean > 0, mean.sqrt(), self.growth))
        motion = (self.motion_sum / self.num_clips.clamp(min=1)).sqrt()
        self.motion.copy_(torch.where(self.num_clips > 0, motion, self.motion))

    def _ratio(self, distance: Tensor, seen: Tensor) -> Tensor:
        """How much farther frames lie than what is seen, squared: summed over clips (B, K), the mean over places."""
        ratio = (distance + self.floor**2) / (seen + self.floor**2)
        return ratio.clamp(max=MAX_RATIO).mean(1).sum().to(self.sums)

    def _shown(self, condition: Condition) -> tuple[Tensor, Tensor, Tensor]:
        """All frames of the block (B, T, C, H, W), which are given (B, T), and the variance of their noise (B, T)."""
        keep_past, keep_future = keep_near(condition)
        given, keep = condition.given, condition.keep_given
        if given is None or keep is None:
            given = condition.past.new_zeros(len(condition.past), self.block.current, *condition.past.shape[2:])
            keep = keep_past.new_zeros(given.shape[:2])
        noise = condition.noise_level.square()[:, None]
        clean = torch.zeros_like(keep, dtype=noise.dtype)
        levels = [noise.expand(keep_past.shape), clean, noise.expand(keep_future.shape)]
        frames = torch.cat([condition.past, given, condition.future], 1)
        return frames, torch.cat([keep_past, keep, keep_future], 1), torch.cat(levels, 1)


class _Neighbours(NamedTuple):
    """Of the N current frames, (B, N) each: places of the given frames around them, and how far away these are."""

    before: Tensor
    after: Tensor
    seen: tuple[Tensor, Tensor]
    has_before: Tensor
    has_after: Tensor
    sees_motion: Tensor
    before_apart: Tensor
    after_apart: Tensor
    one_apart: Tensor
    beyond_apart: Tensor

    @property
    def is_between(self) -> Tensor:
        """Frames are given on both sides."""
        return self.has_before & self.has_after

    @property
    def is_after_alone(self) -> Tensor:
        """They are given after it alone."""
        return self.has_after & ~self.has_before


def _neighbours(keep: Tensor, current: slice) -> _Neighbours:
    """Which frames of a block are given next to the current ones, bool (B, T)."""
    length = keep.shape[1]
    place = torch.arange(length, device=keep.device).expand(keep.shape)
    last = torch.where(keep, place, -1).cummax(1).values  # the given frame at a place or before it
    first = torch.where(keep, place, length).flip(1).cummin(1).values.flip(1)
    before_last = torch.cat([torch.full_like(last[:, :1], -1), last[:, :-1]], 1)
    after_first = torch.cat([first[:, 1:], torch.full_like(first[:, :1], length)], 1)
    before, after = before_last[:, current], after_first[:, current]
    has_before, has_after = before >= 0, after < length
    beyond_before = before_last.gather(1, before.clamp(min=0))
    beyond_after = after_first.gather(1, after.clamp(max=length - 1))
    here, between = torch.where(has_before, before, after), has_before & has_after
    beyond = torch.where(has_before, beyond_before, beyond_after)
    has_beyond = torch.where(has_before, beyond_before >= 0, beyond_after < length) & (has_before | has_after)
    here_apart = torch.where(has_before | has_after, (place[:, current] - here).abs(), 1)
    return _Neighbours(
        before,
        after,
        (here, torch.where(between, after, torch.where(has_beyond, beyond, here))),
        has_before,
        has_after,
        between | has_beyond,
        torch.where(has_before, place[:, current] - before, 0).float(),
        torch.where(has_after, after - place[:, current], 0).float(),
        here_apart.float(),
        torch.where(has_beyond, (here - beyond).abs(), 0).float(),
    )


def _frames_at(frames: Tensor, places: Tensor) -> Tensor:
    """Of (B, T, C, H, W), those at places (B, N), zero where a place is none of the block's."""
    rows = torch.arange(len(frames), device=frames.device)[:, None]
    found = frames[rows, places.clamp(0, frames.shape[1] - 1)]
    return torch.where(over_pixels((places >= 0) & (places < frames.shape[1])), found, 0.0)


def _bridge(before: Tensor, after: Tensor) -> Tensor:
    """Variance of a random walk so many steps after one known place and before another."""
    return before * after / (before + after).clamp(min=1)
