"""Ancestral sampling (DDPM: Ho et al. 2020, algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mcvd.samplers.base import Denoise, Draw, TimeGrid, added_sigma, posterior
from mcvd.samplers.published import AbstractPublishedSampler
from mcvd.samplers.spacing import UNIFORM, AbstractSpacing


@dataclass(frozen=True)
class DDPM(AbstractPublishedSampler):
    """Walks back with fresh noise in each step: the sampler of the MCVD paper.

    Args:
        num_steps: network calls; the paper's tables use 100 and 1000.
        clip: clip clean estimates to [-1, 1].
        just_beta: the larger of the two variances of the paper (beta, not beta-tilde) for the fresh noise.
        published_final_denoise: repeat the published code's last call with its wrong label (`mcvd.samplers.published`).
        spacing: where the steps lie.
    """

    num_steps: int = 100
    clip: bool = True
    just_beta: bool = False
    published_final_denoise: bool = False
    spacing: AbstractSpacing = UNIFORM
    order = 1

    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        for i in range(self.num_steps):
            here, there = steps.at(i), steps.at(i + 1)
            of_clean, of_state, fresh = posterior(here, there)
            x = of_clean * self.clean(denoise, x, steps.t[i]) + of_state * x
            if there.sigma > 0:
                x = x + (added_sigma(here, there) if self.just_beta else fresh) * draw(x)
        return self.finish(x, denoise, steps.schedule)
