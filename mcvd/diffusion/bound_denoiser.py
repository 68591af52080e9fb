"""A denoiser with its condition fixed: what samplers call."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.diffusion.reference import Residual
from mcvd.noise import Coefficients
from mcvd.samplers.base import Denoise, Draw


@dataclass(frozen=True)
class BoundDenoiser:
    """What `Denoiser.bind` makes: ``denoise(noisy, t) -> clean estimate`` for one condition, all that a sampler sees.

    Args:
        denoise: the function.
        residual: what the samples are, if not frames.
        bound: the largest absolute value of frames.
    """

    denoise: Denoise
    residual: Residual | None
    bound: float = 1.0

    def __call__(self, noisy: Tensor, t: Tensor) -> Tensor:
        """The clean estimate of (B * K, N, C, H, W) at times t (B * K,), not clipped."""
        return self.denoise(noisy, t)

    def bounds(self, batch_size: int) -> tuple[Tensor, Tensor] | None:
        """Between which values so many samples lie, if not between -1 and 1; see `mcvd.samplers.base.clipped`."""
        if self.residual is not None:
            return self.residual.repeat(batch_size // len(self.residual.base)).bounds
        return None if self.bound == 1 else (torch.tensor(-self.bound), torch.tensor(self.bound))

    def to_frames(self, sample: Tensor) -> Tensor:
        """What was sampled, (B * K, N, C, H, W), as frames in the model's range, not clamped."""
        if self.residual is None:
            return sample
        return self.residual.repeat(len(sample) // len(self.residual.base)).to_frames(sample)

    def from_frames(self, frames: Tensor) -> Tensor:
        """The inverse of `to_frames`."""
        if self.residual is None:
            return frames
        return self.residual.repeat(len(frames) // len(self.residual.base)).from_frames(frames)

    def from_variance(self, variance: Tensor) -> Tensor:
        """Variances of frames, whatever broadcasts to (B * K, N, C, H, W), as those of what is sampled."""
        if self.residual is None:
            return variance
        return variance / self.residual.repeat(len(variance) // len(self.residual.base)).scale.square()

    def noisy_frames(self, noisy: Tensor, at: Coefficients) -> tuple[Tensor, Coefficients]:
        """A state (B * K, N, C, H, W) as noisy frames, and how noisy they are, of residuals in the mean over pixels.

        Args:
            noisy: ``alpha * sample + sigma * noise``.
            at: these coefficients, (B * K,).
        """
        if self.residual is None:
            return noisy, at
        own = self.residual.repeat(len(noisy) // len(self.residual.base))
        scale = own.scale.expand_as(noisy).log().flatten(1).mean(1).exp()
        return at.like(noisy).alpha * own.base + own.scale * noisy, Coefficients(at.alpha, at.sigma * scale)


def same_for_both(draw: Draw | None) -> Draw | None:
    """Draws once for both halves of a batch."""
    return None if draw is None else lambda x: draw(x[: len(x) // 2]).repeat(2, *[1] * (x.ndim - 1))
