"""Few-step sampling with fresh noise (SDE-DPM-Solver++(2M): Lu et al. 2022, arXiv 2211.01095)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw
from mcvd.samplers.multistep import extrapolated_weights, noisy_step
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing


@dataclass(frozen=True)
class SDEDPMSolverPP(AbstractGridSampler):
    """Steps as `DDPM` does, but towards the clean estimate of the middle of the step, extrapolated from the last two.

    Args:
        num_steps: network calls.
        eta: how much fresh noise: 1 follows the reverse diffusion of `DDPM`, 0 draws nothing and is `DPMSolverPP`, and
            with a perfect network all have the same distribution.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.

    `DDPM` follows the estimate at the noisy end of a step. That one is too blurred for the rest of the step, and with
    few steps the samples vary too little. Extrapolated, the error of mean and variance falls with the square of the
    steps. The first step and the last one, to t = 0, have no second estimate to use.
    """

    num_steps: int = 20
    eta: float = 1.0
    clip: bool = True
    spacing: AbstractSpacing = LOG_SNR
    order = 2

    def __post_init__(self) -> None:
        if self.eta < 0:
            raise ValueError(f"eta must not be negative, got {self.eta}")

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`."""
        x, steps = noise, self.grid(schedule, noise)
        times = steps.half_log_snrs
        cleans: list[Tensor] = []  # the latest first
        for i in range(self.num_steps):
            cleans = [self.clean(denoise, x, steps.t[i]), *cleans[:1]]
            order = min(2, i + 1) if steps.sigma[i + 1] > 0 else 1
            weights = extrapolated_weights(times, i, order)
            x, fresh = noisy_step(x, steps.at(i), steps.at(i + 1), cleans[:order], weights, self.eta)
            if fresh > 0:
                x = x + fresh * draw(x)
        return x
