"""Ancestral sampling (DDPM: Ho et al. 2020, algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw, added_sigma, posterior
from mcvd.samplers.published import published_final_denoise, published_final_time
from mcvd.samplers.spacing import UNIFORM, AbstractSpacing


@dataclass(frozen=True)
class DDPM(AbstractGridSampler):
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

    @property
    def num_extra_calls(self) -> int:
        """The published last one."""
        return int(self.published_final_denoise)

    def call_times(self, grid: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
        """The published last call is told a time of its own."""
        final = published_final_time(schedule, self.num_steps).expand(int(self.published_final_denoise))
        return torch.cat([grid[:-1], final])

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`."""
        x, steps = noise, self.grid(schedule, noise)
        for i in range(self.num_steps):
            here, there = steps.at(i), steps.at(i + 1)
            of_clean, of_state, fresh = posterior(here, there)
            x = of_clean * self.clean(denoise, x, steps.t[i]) + of_state * x
            if there.sigma > 0:
                x = x + (added_sigma(here, there) if self.just_beta else fresh) * draw(x)
        if self.published_final_denoise:
            x = published_final_denoise(x, denoise, schedule, self.num_steps)
        return x
