"""Frames, or parts of frames, that are known beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule


@dataclass(frozen=True)
class KnownFrames:
    """How improbable the clean estimate makes what is known: keyframes, and inpainting (reconstruction guidance).

    The probability is the normal one of Ho et al. (2022, arXiv 2204.03458, section 3.1), with variance
    ``sigma^2 / alpha^2``: little is told where there is much noise.

    Args:
        frames: float (B, N, C, H, W), the N current frames in units of the clean estimate.
        keep: bool, broadcasts to them; True where they are known. What is not known has no influence, even where it is
            NaN.
        schedule: of the denoiser.
    """

    frames: Tensor
    keep: Tensor
    schedule: AbstractNoiseSchedule

    def __call__(self, clean: Tensor, t: Tensor) -> Tensor:
        """The energy (B,) of clean frames of this shape at times t (B,)."""
        at = self.schedule(t).like(clean)
        apart = torch.where(self.keep, clean - self.frames, 0.0) * at.alpha / at.sigma.clamp(min=1e-4)
        return apart.square().flatten(1).sum(1) / 2
