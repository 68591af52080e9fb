"""A denoiser with its condition fixed: what samplers call."""

from __future__ import annotations

from dataclasses import dataclass

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

    @property
    def is_in_range(self) -> bool:
        """Whether samples lie between -1 and 1, as frames do; see `mcvd.samplers.base.clipped`."""
        return self.residual is None and self.bound == 1

    def clip(self, clean: Tensor) -> Tensor:
        """A clean estimate (B * K, N, C, H, W) as that of the nearest frames that there can be."""
        if self.residual is None:
            return clean.clamp(-self.bound, self.bound)
        return self.residual.repeat(len(clean) // len(self.residual.base)).clip(clean)

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
        return self.residual.repeat(len(variance) // len(self.residual.base)).from_variance(variance)

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
        frames = own.to_frames(noisy) + (at.like(noisy).alpha - 1) * own.base
        return frames, Coefficients(at.alpha, at.sigma * scale)


def same_for_both(draw: Draw | None) -> Draw | None:
    """Draws once for both halves of a batch."""
    return None if draw is None else lambda x: draw(x[: len(x) // 2]).repeat(2, *[1] * (x.ndim - 1))
