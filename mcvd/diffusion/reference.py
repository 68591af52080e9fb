"""What the context alone tells of the current frames, and how far the true ones lie from that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from mcvd.diffusion.box_mean import box_mean
from mcvd.diffusion.color_axes import AllChannels, ColorAxes, mixed
from mcvd.diffusion.context_sides import ContextSide, context_sides, over_pixels
from mcvd.diffusion.moving_base import Movement, MovingBase
from mcvd.diffusion.parametrization import SIGMA_DATA
from mcvd.frames import Condition, FrameBlock
from mcvd.runtime.distributed import sum_over_processes

FLOOR = 0.04  # distance of neighbouring frames that is reckoned with where nothing moves, if nobody says
FORESEEN = 0.2  # part of the squared motion seen that is expected again where the base moves as the flow says
GLOBAL = 0.05  # part of the motion in a whole frame that is expected wherever none was seen
MAX_GAIN = 16.0  # of squared motion in a generated context, towards that of the frames that were given
MAX_RATIO = 25.0  # of squared distances to what was seen: clips of more, such as cuts, count for no more
MEASURED_STEPS = 200  # of a training: their clips make the table

PAST, FUTURE, BOTH = range(3)  # which sides are visible: rows of the table


@dataclass(frozen=True)
class Residual:
    """The change of variables between frames and what is diffused: ``frames = base + scale * residual``.

    Args:
        base: float (B, N, C, H, W), what the context lets expect.
        scale: float, broadcasts to them, above 0.
        bound: the largest absolute value of frames.
        axes: float (C, C), orthonormal columns: mixtures of channels that the scale is of, in place of the channels
            themselves, ``frames = base + axes @ (scale * (axes.T @ residual))``. None: of the channels.
        trust: float (B, S, H, W), how well the motion of a base that moves is explained; see
            `mcvd.diffusion.moving_base.Movement`. None: the base stands still.
    """

    base: Tensor
    scale: Tensor
    bound: float = 1.0
    axes: Tensor | None = None
    trust: Tensor | None = None

    def from_frames(self, frames: Tensor) -> Tensor:
        """Frames in the model's range, whatever broadcasts to (B, N, C, H, W), as residuals."""
        return self.from_difference(frames - self.base)

    def to_frames(self, residual: Tensor) -> Tensor:
        """The inverse of `from_frames`."""
        if self.axes is None:
            return self.base + self.scale * residual
        return self.base + mixed(self.axes, self.scale * mixed(self.axes.T, residual))

    def from_difference(self, difference: Tensor) -> Tensor:
        """Differences from the base as residuals."""
        if self.axes is None:
            return difference / self.scale
        return mixed(self.axes, mixed(self.axes.T, difference) / self.scale)

    def from_variance(self, variance: Tensor) -> Tensor:
        """Variances of frames, whatever broadcasts to (B, N, C, H, W), as those of residuals, channel by channel."""
        if self.axes is None:
            return variance / self.scale.square()
        return variance * mixed(self.axes.square(), self.scale.square().reciprocal())

    def clip(self, residual: Tensor) -> Tensor:
        """The residuals of the nearest frames that there can be, of pixels between black and white."""
        if self.axes is None:
            return residual.clamp(*self._bounds)
        return self.from_frames(self.to_frames(residual).clamp(-self.bound, self.bound))

    @cached_property
    def _bounds(self) -> tuple[Tensor, Tensor]:
        """The residuals of the least and the greatest frames: the same in all steps of a sampler."""
        return (-self.bound - self.base) / self.scale, (self.bound - self.base) / self.scale

    def repeat(self, num_samples: int) -> Residual:
        """For so many samples of each condition, adjacent in the batch."""
        if num_samples == 1:
            return self
        base, scale = (each.repeat_interleave(num_samples, 0) for each in (self.base, self.scale))
        return Residual(base, scale, self.bound, self.axes)


class ContextReference(nn.Module):
    """Makes residuals of frames: their difference from the nearest visible ones, at the scale of what moves there.

    ========= ================================== ==============================
    visible   base                               seen
    ========= ================================== ==============================
    past      its last frame                     between its last two frames
    future    its first frame                    between its first two frames
    both      the cross-fade between these two   between these two
    nothing   0                                  (the scale is 1)
    ========= ================================== ==============================

    The scale of a pixel is ``2 * sqrt(distance * floor^2 + growth^2 * seen^2)``. ``seen`` is the root mean square of
    the difference named above around this pixel (and a little of that of the whole frame, for what enters where nothing
    moved), ``distance`` how many frames away the base is. So residuals have a standard deviation of about 0.5 whether
    a scene moves, stands still or does both in different places, and the error of an imperfect network is small where
    little moves. ``growth`` (3, N) tells for each case how much farther than what is seen frame n lies from its base;
    it is measured on the first clips of a training. Where one frame alone is visible, the typical motion of these clips
    stands for what is seen.

    Frames that are told to lie elsewhere than their place in the block says, such as one from long before, count as
    hidden.

    Frames that a model makes move a little less than true ones, so where each block of a rollout is made at the scale
    of the one before, motion dies out, or grows without bound. With ``memory`` the ``seen`` of a generated context is
    multiplied until its mean is that of the frames that were given (`Condition.motion`), 16 times at most: where things
    move is what the context tells, how much on the whole the given frames.

    Noise that the context is said to carry is no motion, and adds to the scale, because the base carries it too.

    With ``colors`` grey and the two hues have a scale each, from what is seen to move of each; see `ColorAxes`.

    With ``flow`` the base does not stand still, but moves on along the optical flow of the context; see `MovingBase`.
    Then ``seen`` is what the flow leaves of the difference named above, and a fifth of this difference itself, because
    things may move otherwise than they did.

    That residuals to predicted frames are easier to diffuse than frames was shown by Yang et al. (2022,
    arXiv 2203.09481); GenCast (Price et al. 2023, arXiv 2312.15796) does so for the weather, at fixed scales.

    Args:
        block: of the model.
        floor: distance of neighbouring frames that is reckoned with where nothing moves, range of the frames: [-1, 1].
            Lower makes stills cleaner, and what begins to move out of rest a greater surprise.
        bound: the largest absolute value of frames.
        memory: see above.
        colors: see above; for frames of three channels.
        flow: see above.

    Raises:
        ValueError: the floor is not above 0.
    """

    distance: Tensor
    growth: Tensor
    motion: Tensor
    sums: Tensor
    num_clips: Tensor

    def __init__(
        self,
        block: FrameBlock,
        floor: float = FLOOR,
        bound: float = 1.0,
        memory: bool = False,
        colors: bool = False,
        flow: bool = False,
    ):
        super().__init__()
        check_floor(floor)
        self.floor, self.bound, self.memory = floor, bound, memory
        self.colors = ColorAxes() if colors else AllChannels()
        num_frames = block.current
        self.moving = MovingBase(num_frames) if flow else None
        with torch.device("cpu"):  # arithmetic on the meta device would import torch's compiler
            place = torch.arange(num_frames) + 1.0
            bridge = place * (num_frames + 1 - place) / (num_frames + 1)
            walk = torch.stack([place, place.flip(0), bridge])  # variance of a random walk away from what is known
            growth = walk.sqrt() / torch.tensor([1.0, 1.0, (num_frames + 1.0) ** 0.5])[:, None]
        self.register_buffer("distance", walk, persistent=False)
        self.register_buffer("growth", growth)
        self.register_buffer("motion", torch.tensor(0.1))
        self.register_buffer("sums", torch.zeros(4, num_frames))
        self.register_buffer("num_clips", torch.zeros(()))

    def forward(self, condition: Condition) -> Residual:
        """The residual's base and scale for each of the B samples of a condition; masked frames have no influence."""
        expected = self._expected(condition, self.motion.square(), self.colors)
        seen, weights, case = expected.seen, expected.weights, expected.case
        if self.memory and condition.motion is not None:
            gain = (condition.motion / self.colors.together(seen).flatten(1).mean(1).clamp(min=1e-12)).clamp(
                1 / MAX_GAIN, MAX_GAIN
            )
            seen = seen * over_pixels(torch.where((condition.motion > 0) & (case != BOTH), gain, 1.0))
        noise = over_pixels(condition.noise_level.square()[:, None] * weights.square().sum(0))
        fixed = over_pixels(self.floor**2 * self.distance[case]) + self.colors.of_noise(noise)
        variance = fixed + over_pixels(self.growth[case].square()) * seen[:, None]
        known = over_pixels(weights.sum(0) > 0)
        scale = torch.where(known, variance.sqrt() / SIGMA_DATA, 1.0)
        base, movement = self._moved(expected), expected.movement
        trust = None if movement is None else movement.trust
        return Residual(base, scale.to(base.dtype), self.bound, self.colors.axes, trust)

    @torch.no_grad()
    def measure(self, past: Tensor, current: Tensor, future: Tensor) -> None:
        """Take clips into account; processes that train together put theirs together.

        Args:
            past: float (B, P, C, H, W) in the model's range, none masked.
            current: float (B, N, C, H, W).
            future: float (B, F, C, H, W).
        """
        clip = torch.cat([past, current, future], 1)
        apart = clip[:, 1:] - clip[:, :-1] if clip.shape[1] > 1 else torch.zeros_like(clip)  # one frame does not move
        motion = apart.square().flatten(1).mean(1)
        visible = Condition.visible(past, future)
        typical, alike, cases = motion[:, None, None, None], AllChannels(), []
        for condition in (visible.null(past=False), visible.null(future=False), visible):
            cases.append(self._expected(condition, typical, alike))
        if self.moving is not None:
            has_moved = self.moving.num_clips > 0  # sums of a base that stood still tell nothing
            self.sums *= has_moved
            self.num_clips *= has_moved
            self.moving.measure(current, [(each.base, each.movement) for each in cases if each.movement is not None])
        new = torch.zeros_like(self.sums)
        for case, expected in enumerate(cases):
            distance = (current - self._moved(expected)).square().flatten(2).mean(2)
            ratio = (distance + self.floor**2) / (expected.seen.flatten(1).mean(1, keepdim=True) + self.floor**2)
            new[case] = torch.where(expected.case[:, None] == case, ratio.clamp(max=MAX_RATIO), 0.0).sum(0)
        new[3] = motion.sum()
        self.sums += sum_over_processes(new)
        self.num_clips += sum_over_processes(torch.full_like(self.num_clips, len(clip)))
        mean = self.sums / self.num_clips.clamp(min=1)
        for case, sides in enumerate((past.shape[1], future.shape[1], past.shape[1] * future.shape[1])):
            if sides:
                self.growth[case] = torch.where(self.num_clips > 0, mean[case].sqrt(), self.growth[case])
        self.motion.copy_(torch.where(self.num_clips > 0, mean[3, 0].sqrt(), self.motion))
        self.colors.measure(apart)

    def _moved(self, expected: _Expected) -> Tensor:
        """The base, after it moved on."""
        if self.moving is None or expected.movement is None:
            return expected.base
        part = over_pixels(self.moving.reliance[expected.case])
        return expected.base + (part * expected.movement.added).to(expected.base)

    def _expected(self, condition: Condition, typical: Tensor, colors: AllChannels) -> _Expected:
        num_frames = self.growth.shape[1]
        keep = keep_near(condition)
        nearest = [_nearest_two(side) for side in context_sides(condition, keep)]
        ((past, before), (has_past, has_before)), ((future, after), (has_future, has_after)) = nearest
        both = has_past & has_future
        place = (torch.arange(num_frames, device=past.device) + 1.0) / (num_frames + 1)
        of_future = torch.where(both[:, None], place, has_future[:, None].float())
        of_past = torch.where(both[:, None], 1 - place, has_past[:, None].float())
        base = over_pixels(of_past).to(past) * past[:, None] + over_pixels(of_future).to(past) * future[:, None]

        case = torch.where(both, BOTH, torch.where(has_past, PAST, FUTURE))
        side = over_pixels(has_past)
        here, there = torch.where(side, past, future), torch.where(side, before, after)
        there = torch.where(over_pixels(both), future, there)
        noise = colors.of_noise(over_pixels(2 * condition.noise_level.square()))
        seen = colors.capped(around(colors.squared(here - there)) - noise)
        weights = torch.stack([of_past, of_future])
        movement = None
        if self.moving is not None:
            movement = self.moving(condition, keep, weights, colors)
            left = torch.minimum(colors.capped(around(movement.left) - noise), seen)
            seen = FORESEEN * seen + torch.where(over_pixels(movement.is_known), left, seen)
        sees_motion = torch.where(both, both, torch.where(has_past, has_before, has_after))
        seen = torch.where(over_pixels(sees_motion), seen.clamp(min=0), typical)
        return _Expected(base, seen, weights, case, movement)


@dataclass(frozen=True)
class _Expected:
    """What a condition tells: the base of residuals before it moves on, and what its scale is made of.

    Args:
        base: float (B, N, C, H, W).
        seen: float32 (B, K, H, W), squared motion of each axis that has a scale.
        weights: float (2, B, N), of the nearest past and the nearest future frame in the base.
        case: (B,), which sides are visible.
        movement: what moves on; None: nothing does.
    """

    base: Tensor
    seen: Tensor
    weights: Tensor
    case: Tensor
    movement: Movement | None


def keep_near(condition: Condition) -> tuple[Tensor, Tensor]:
    """Which past and future frames are visible and lie where frames that come one after the other lie."""
    keep_past, keep_future, times = condition.keep_past, condition.keep_future, condition.times
    if times is None:
        return keep_past, keep_future
    num_past, num_future = keep_past.shape[1], keep_future.shape[1]
    step = times.diff(dim=1).abs().amin(1, keepdim=True)
    place = torch.arange(times.shape[1], device=times.device) - num_past
    near = (times - place * step).abs() < step / 2
    return keep_past & near[:, :num_past], keep_future & near[:, near.shape[1] - num_future :]


def _nearest_two(side: ContextSide) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The nearest two visible frames (B, C, H, W) of a side, and whether there are such, (B,)."""
    blank = side.frames.new_zeros(len(side.frames), 2, *side.frames.shape[2:])
    frames = torch.cat([side.frames, blank], 1)
    keep = torch.cat([side.keep, side.keep.new_zeros(len(side.keep), 2)], 1)
    nearest = keep.int().argsort(dim=1, descending=True, stable=True)[:, :2]
    first, second = frames[torch.arange(len(frames), device=frames.device)[:, None], nearest].unbind(1)
    is_first, is_second = keep.gather(1, nearest).unbind(1)
    return (first, second), (is_first, is_second)


def check_floor(floor: float) -> None:
    """Refuse a floor that is no distance between frames.

    Raises:
        ValueError: it is not above 0, or beyond the range of frames.
    """
    if not 0 < floor < 2:
        raise ValueError(f"reference_floor is a distance in the range [-1, 1], above 0, got {floor}")


def around(each: Tensor) -> Tensor:
    """Means of (B, K, H, W) around each pixel, with a little of that of the whole picture."""
    reach = max(1, min(each.shape[-2:]) // 24)
    padding = "reflect" if min(each.shape[-2:]) > reach else "replicate"  # one pixel has no mirror image
    local = box_mean(each, reach, times=2, padding=padding)  # about a Gaussian
    return (1 - GLOBAL) * local + GLOBAL * each.mean((2, 3), keepdim=True)
