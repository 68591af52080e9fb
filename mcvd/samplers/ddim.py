"""Deterministic sampling, or partly so (DDIM: Song et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mcvd.samplers.base import Denoise, Draw, TimeGrid, added_sigma
from mcvd.samplers.published import AbstractPublishedSampler
from mcvd.samplers.spacing import UNIFORM, AbstractSpacing


@dataclass(frozen=True)
class DDIM(AbstractPublishedSampler):
    """Follows the estimated noise down in a straight line; few steps are enough.

    Args:
        num_steps: network calls.
        clip: clip clean estimates to [-1, 1]; the noise estimate is the one of the unclipped video, as published.
        eta: share of fresh noise, 0 deterministic, 1 as much as `DDPM` (eq. 16).
        published_final_denoise: repeat the published code's last call with its wrong label (`mcvd.samplers.published`).
        spacing: where the steps lie.
    """

    num_steps: int = 50
    clip: bool = True
    eta: float = 0.0
    published_final_denoise: bool = False
    spacing: AbstractSpacing = UNIFORM
    order = 1

    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        alpha, sigma = steps.alpha, steps.sigma
        for i in range(self.num_steps):
            clean, eps = self.estimate(denoise, x, steps.t[i], steps.at(i))
            fresh = self.eta * added_sigma(steps.at(i), steps.at(i + 1)) * sigma[i + 1] / sigma[i]
            x = alpha[i + 1] * clean + (sigma[i + 1] ** 2 - fresh**2).clamp(min=0).sqrt() * eps  # eq. 12
            if fresh > 0:
                x = x + fresh * draw(x)
        return self.finish(x, denoise, steps.schedule)
