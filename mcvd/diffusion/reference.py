"""What the context alone tells of the current frames, and how far the true ones lie from that."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mcvd.diffusion.parametrization import SIGMA_DATA
from mcvd.frames import Condition, FrameBlock
from mcvd.runtime.distributed import sum_over_processes

FLOOR = 0.02  # distance of frames in which nothing moves, in the model's range: the noise of cameras and codecs
MEASURED_STEPS = 200  # of a training: their clips make the table

PAST, FUTURE, BOTH = range(3)  # which sides are visible: rows of the table


@dataclass(frozen=True)
class Residual:
    """The change of variables between frames and what is diffused: ``frames = base + scale * residual``.

    Args:
        base: float (B, N, C, H, W), what the context lets expect.
        scale: float (B, N, 1, 1, 1), above 0.
    """

    base: Tensor
    scale: Tensor

    def from_frames(self, frames: Tensor) -> Tensor:
        """Frames in the model's range, whatever broadcasts to (B, N, C, H, W), as residuals."""
        return (frames - self.base) / self.scale

    def to_frames(self, residual: Tensor) -> Tensor:
        """The inverse of `from_frames`."""
        return self.base + self.scale * residual

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """The residuals of black and of white frames, between which a sampler clips."""
        return self.from_frames(self.base.new_tensor(-1.0)), self.from_frames(self.base.new_tensor(1.0))

    def repeat(self, num_samples: int) -> Residual:
        """For so many samples of each condition, adjacent in the batch."""
        if num_samples == 1:
            return self
        return Residual(self.base.repeat_interleave(num_samples, 0), self.scale.repeat_interleave(num_samples, 0))


class ContextReference(nn.Module):
    """Makes residuals of frames: their difference from the nearest visible ones, at a scale of each clip's own.

    ========= ================================== ==============================
    visible   base                               seen
    ========= ================================== ==============================
    past      its last frame                     between its last two frames
    future    its first frame                    between its first two frames
    both      the cross-fade between these two   between these two
    nothing   0                                  (the scale is 1)
    ========= ================================== ==============================

    The scale of a frame is ``2 * sqrt(FLOOR^2 + (growth * seen)^2)``, where ``seen`` is the root mean square of the
    difference named above: residuals have a standard deviation of about 0.5 whether a scene moves or stands still, and
    the error of an imperfect network is small where little moves. ``growth`` (3, N) tells for each case how much
    farther frame n lies from its base than what is seen; it is measured on the first clips of a training. Where one
    frame alone is visible, the typical motion of these clips stands for what is seen.

    Noise that the context is said to carry is no motion, and adds to the scale, because the base carries it too.

    That residuals to predicted frames are easier to diffuse than frames was shown by Yang et al. (2022,
    arXiv 2203.09481); GenCast (Price et al. 2023, arXiv 2312.15796) does so for the weather, at fixed scales.

    Args:
        block: of the model.
    """

    growth: Tensor
    motion: Tensor
    sums: Tensor
    num_clips: Tensor

    def __init__(self, block: FrameBlock):
        super().__init__()
        place = torch.arange(block.current) + 1.0
        apart = block.current + 1
        walk = (place.sqrt(), place.flip(0).sqrt(), (place * (apart - place) / apart).sqrt() / apart**0.5)
        self.register_buffer("growth", torch.stack(walk))  # of a random walk, until measured
        self.register_buffer("motion", torch.tensor(0.1))
        self.register_buffer("sums", torch.zeros(4, block.current))
        self.register_buffer("num_clips", torch.zeros(()))

    def forward(self, condition: Condition) -> Residual:
        """The residual's base and scale for each of the B samples of a condition; masked frames have no influence."""
        base, seen, weights, case = self._expected(condition, self.motion.square())
        noise = condition.noise_level.square()[:, None]
        variance = FLOOR**2 + self.growth[case].square() * seen[:, None] + weights.square().sum(0) * noise
        known = weights.sum(0) > 0
        scale = torch.where(known, variance.sqrt() / SIGMA_DATA, 1.0)
        return Residual(base, _over_pixels(scale).to(base.dtype))

    @torch.no_grad()
    def measure(self, past: Tensor, current: Tensor, future: Tensor) -> None:
        """Take clips into account; processes that train together put theirs together.

        Args:
            past: float (B, P, C, H, W) in the model's range, none masked.
            current: float (B, N, C, H, W).
            future: float (B, F, C, H, W).
        """
        clip = torch.cat([past, current, future], 1)
        motion = _distance(clip[:, 1:], clip[:, :-1]).mean(1)  # squared, (B,)
        new = torch.zeros_like(self.sums)
        visible = Condition.visible(past, future)
        for case, condition in enumerate((visible.null(past=False), visible.null(future=False), visible)):
            base, seen, _, found = self._expected(condition, motion)
            distance = (current - base).square().flatten(2).mean(2)
            ratio = (distance + FLOOR**2) / (seen[:, None] + FLOOR**2)
            new[case] = torch.where(found[:, None] == case, ratio.log(), 0.0).sum(0)
        new[3] = motion.sum()
        self.sums += sum_over_processes(new)
        self.num_clips += sum_over_processes(torch.full_like(self.num_clips, len(clip)))
        mean = self.sums / self.num_clips
        self.growth.copy_((mean[:3] / 2).exp())
        self.motion.copy_(mean[3, 0].sqrt())

    def _expected(self, condition: Condition, typical: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Base (B, N, C, H, W), squared motion seen (B,), weights of past and future (2, B, N), case (B,)."""
        num_frames = self.growth.shape[1]
        (past, before), (has_past, has_before) = _nearest_two(condition.past.flip(1), condition.keep_past.flip(1))
        (future, after), (has_future, has_after) = _nearest_two(condition.future, condition.keep_future)
        both = has_past & has_future
        place = (torch.arange(num_frames, device=past.device) + 1.0) / (num_frames + 1)
        of_future = torch.where(both[:, None], place, has_future[:, None].float())
        of_past = torch.where(both[:, None], 1 - place, has_past[:, None].float())
        base = _over_pixels(of_past).to(past) * past[:, None] + _over_pixels(of_future).to(past) * future[:, None]

        noise = 2 * condition.noise_level.square()
        within_past = torch.where(has_before, _distance(past, before) - noise, typical)
        within_future = torch.where(has_after, _distance(future, after) - noise, typical)
        seen = torch.where(both, _distance(past, future) - noise, torch.where(has_past, within_past, within_future))
        case = torch.where(both, BOTH, torch.where(has_past, PAST, FUTURE))
        return base, seen.clamp(min=0), torch.stack([of_past, of_future]), case


def _nearest_two(frames: Tensor, keep: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The first two visible frames (B, C, H, W) of those that lie nearest first, and whether there are such, (B,)."""
    blank = frames.new_zeros(frames.shape[0], 2, *frames.shape[2:])
    frames, keep = torch.cat([frames, blank], 1), torch.cat([keep, keep.new_zeros(len(keep), 2)], 1)
    nearest = keep.int().argsort(dim=1, descending=True, stable=True)[:, :2]
    first, second = frames[torch.arange(len(frames), device=frames.device)[:, None], nearest].unbind(1)
    is_first, is_second = keep.gather(1, nearest).unbind(1)
    return (first, second), (is_first, is_second)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference over the last three axes, float32."""
    return (a - b).float().square().flatten(-3).mean(-1)


def _over_pixels(each: Tensor) -> Tensor:
    """(B, N) as (B, N, 1, 1, 1)."""
    return each[..., None, None, None]
