"""Few-step sampling with fresh noise, predictor and corrector (SA-Solver: Xue et al. 2023, arXiv 2309.05019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw
from mcvd.samplers.multistep import extrapolated_weights, noisy_step
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing

BOTH_ENDS = torch.full((2,), 0.5, dtype=torch.float64)


@dataclass(frozen=True)
class SASolver(AbstractGridSampler):
    """Makes each step of `SDEDPMSolverPP` again when the estimate at its end is there, which the next step needs too.

    Args:
        num_steps: network calls.
        eta: how much fresh noise: 1 follows the reverse diffusion of `DDPM`, 0 draws nothing; it is tau^2 in the paper.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.

    The step is made towards the estimate of its middle, extrapolated from the last two, and made again with the same
    noise towards the mean of the estimates at both ends: a predictor of two steps and a corrector of one, with the
    short weights of DPM-Solver++ and UniPC. The paper's are exact for a straight line between the estimates, which
    looks further ahead than the middle and makes samples vary 5% too much with 20 calls. The last step, to t = 0,
    follows the last estimate alone.
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
        steps = self.grid(schedule, noise)
        times = steps.half_log_snrs
        x, predicted, added = noise, noise, torch.zeros_like(noise)
        cleans: list[Tensor] = []  # the latest first
        for i in range(self.num_steps):
            cleans = [self.clean(denoise, predicted, steps.t[i]), *cleans[:1]]
            if i > 0:  # x is still the state at i - 1
                x = noisy_step(x, steps.at(i - 1), steps.at(i), cleans, BOTH_ENDS, self.eta)[0] + added
            order = min(2, i + 1) if steps.sigma[i + 1] > 0 else 1
            weights = extrapolated_weights(times, i, order)
            predicted, fresh = noisy_step(x, steps.at(i), steps.at(i + 1), cleans[:order], weights, self.eta)
            if fresh > 0:
                added = fresh * draw(x)
                predicted = predicted + added
        return predicted
