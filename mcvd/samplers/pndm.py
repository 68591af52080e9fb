"""Linear multistep sampling on noise estimates (PNDM: Liu et al. 2022, arXiv 2202.09778)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import clean_from_noise, noisy_from_clean
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw, TimeGrid, clipped
from mcvd.samplers.spacing import UNIFORM

# Adams-Bashforth weights of the last noise estimates, the latest first; the longest are those of eq. 12.
WEIGHTS = (
    (1,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


@dataclass(frozen=True)
class PNDM(AbstractGridSampler):
    """Moves as `DDIM` does, with a noise estimate extrapolated from the last four (the pseudo linear multistep method).

    Args:
        num_steps: network calls.
        clip: clip the clean estimates that belong to the extrapolated noise to [-1, 1].

    The weights ask for equal steps of time, so there is no choice of spacing. The first three steps extrapolate from
    the estimates there are, one to three, instead of making the paper's nine extra calls. The method is of second
    order as a whole, as the paper shows, because the move of DDIM is exact only for constant noise.
    """

    num_steps: int = 50
    clip: bool = True
    order = 2
    spacing = UNIFORM

    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        latest: list[Tensor] = []
        for i in range(self.num_steps):
            clean, eps = self.estimate(denoise, x, steps.t[i], steps.at(i))
            latest = [eps, *latest[:3]]
            weighted = (weight * eps for weight, eps in zip(WEIGHTS[len(latest) - 1], latest, strict=True))
            mixture = sum(weighted, torch.zeros_like(x))
            if i > 0:  # the first estimate stands as it is: at alpha = 0 its noise does not tell it
                clean = clean_from_noise(x, mixture, steps.at(i))
                clean = clipped(clean, denoise) if self.clip else clean
            x = noisy_from_clean(clean, mixture, steps.at(i + 1))  # eq. 11
        return x
