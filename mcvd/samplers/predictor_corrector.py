"""Ancestral steps, each followed by Langevin steps (Song et al. 2021, arXiv 2011.13456, algorithms 2 to 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw, TimeGrid, posterior
from mcvd.samplers.spacing import UNIFORM, AbstractSpacing


@dataclass(frozen=True)
class PredictorCorrector(AbstractGridSampler):
    """Steps as `DDPM` does, then shakes the new state so that it looks like noisy data; for any schedule.

    Args:
        num_steps: of the predictor, one network call each.
        num_corrections: Langevin steps, with a network call each, after all but the last step.
        signal_to_noise: the paper's r: how far a correction moves compared with its fresh noise.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.

    The length of a correction follows from the norms of each video, not from their mean over the batch as in the
    authors' code, so that videos do not influence each other; the factor 1 - beta that the
    paper's algorithm 5 puts before it, nearly 1, is left out.
    """

    num_steps: int = 100
    num_corrections: int = 1
    signal_to_noise: float = 0.16
    clip: bool = True
    spacing: AbstractSpacing = UNIFORM
    order = 1

    def __post_init__(self) -> None:
        if self.num_corrections < 0 or not self.signal_to_noise > 0:
            raise ValueError(f"needs num_corrections >= 0 and signal_to_noise > 0, got {self}")

    @property
    def num_extra_calls(self) -> int:
        """Those of the corrections."""
        return (self.num_steps - 1) * self.num_corrections

    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        for i in range(self.num_steps):
            of_clean, of_state, fresh = posterior(steps.at(i), steps.at(i + 1))
            x = of_clean * self.clean(denoise, x, steps.t[i]) + of_state * x
            if i + 1 == self.num_steps:
                break
            x = x + fresh * draw(x)
            for _ in range(self.num_corrections):
                # x + a * score + sqrt(2 a) * noise, with score = way / sigma^2, a = 2 (r |noise| / |score|)^2 and
                # size = a / sigma^2; z is sigma * noise.
                way = steps.alpha[i + 1] * self.clean(denoise, x, steps.t[i + 1]) - x
                z = steps.sigma[i + 1] * draw(x)
                ratio = self.signal_to_noise * _norm(z) / _norm(way).clamp(min=torch.finfo(x.dtype).tiny)
                size = (2 * ratio**2).clamp(max=1)  # at 1 the correction goes all the way to the clean estimate
                x = x + size * way + (2 * size).sqrt() * z
        return x


def _norm(x: Tensor) -> Tensor:
    """Length of each video, (B, 1, ...)."""
    return x.flatten(1).norm(dim=1).view(-1, *(1,) * (x.ndim - 1))
