"""Stochastic sampling that chooses its own steps (Jolicoeur-Martineau et al. 2021, arXiv 2105.14080, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule, Coefficients
from mcvd.samplers.base import AbstractSampler, Denoise, Draw, posterior
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing, LogSNR

# The walk goes down a ladder, by default of equal parts of the log-SNR. A step is a number of rungs: at least one, and
# at most an eighth of the ladder, because both of the pair agree on a blurred video if the noise vanishes at once.
NUM_RUNGS = 256
MOST_RUNGS = NUM_RUNGS // 8
SAFETY, EXPONENT = 0.9, 0.9  # the paper's theta and r: how the next step follows from the error of this one


@dataclass(frozen=True)
class AdaptiveSDE(AbstractSampler):
    """Makes steps as long as two estimates of where they lead agree, for each video on its own; two calls per step.

    Args:
        tolerance: allowed difference of the two, relative to the value of a pixel; 0.01 (careful) to 0.1 (fast).
        clip: clip clean estimates to [-1, 1].
        absolute_tolerance: and at least this much; None is the smaller of the paper's value, one grey level of 256, and
            the tolerance.
        spacing: its first and its last noise but one are where the walk begins and ends, and equal parts of it the
            shortest steps; None is `LogSNR` down to the smaller of its own last noise and the tolerance, because an
            estimate that is asked for at more noise than that is less exact than the steps.

    The lower of the embedded pair is the exact solution for a constant clean estimate, where the paper has a step of
    Euler and Maruyama: it is right for every schedule and stable at any length. The higher one takes the mean of the
    clean estimates at both ends, and is what is kept. Both use the same noise. A refused step is tried again, at most
    half as long, with fresh noise as in the paper: over the many pixels of a video the decision hardly depends on it.

    The last call, at the last noise, gives the video. Each step waits for the device
    once, to see whether a video is left. Neighbours in the batch do not influence each other if ``draw`` gives each row
    noise of its own, as `mcvd.runtime.rng.KeyedNoise` does.
    """

    tolerance: float = 0.05
    clip: bool = True
    absolute_tolerance: float | None = None
    spacing: AbstractSpacing | None = None
    order = 1

    def __post_init__(self) -> None:
        if not (self.tolerance > 0 and self._least_allowed > 0):
            raise ValueError(f"tolerance and absolute_tolerance must be positive, got {self}")

    @property
    def num_calls(self) -> int:
        """The most there can be: each kept step at most doubles the length, each refused one at least halves it."""
        return 2 * (2 * NUM_RUNGS + MOST_RUNGS.bit_length()) + 1

    @property
    def _least_allowed(self) -> float:
        return min(2 / 256, self.tolerance) if self.absolute_tolerance is None else self.absolute_tolerance

    def times(self, schedule: AbstractNoiseSchedule) -> Tensor:
        """The rungs, the noisiest first."""
        spacing = LogSNR(min(LOG_SNR.sigma_min, self.tolerance)) if self.spacing is None else self.spacing
        return spacing(NUM_RUNGS + 1, schedule)[:-1]

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """Sample until all videos of the batch have come down the ladder."""
        times = self.times(schedule)
        ladder, times = schedule(times), times.to(noise)
        ladder = Coefficients(ladder.alpha.to(noise.device), ladder.sigma.to(noise.device))
        column = (-1, *(1,) * (noise.ndim - 1))

        x = before = noise
        rung = torch.zeros(len(x), dtype=torch.long, device=x.device)
        num_rungs = torch.full_like(rung, MOST_RUNGS)
        while (num_rungs > 0).any():
            there = rung + num_rungs
            factors = posterior(_at(ladder, rung), _at(ladder, there))
            of_clean, of_state, fresh = (factor.to(x).view(column) for factor in factors)
            clean = self.clean(denoise, x, times[rung])
            low = of_clean * clean + of_state * x + fresh * draw(x)
            change = of_clean * (self.clean(denoise, low, times[there]) - clean) / 2

            allowed = (self.tolerance * torch.maximum(low.abs(), before.abs())).clamp(min=self._least_allowed)
            error = (change / allowed).flatten(1).square().mean(1).sqrt()
            kept = (error <= 1) | (num_rungs <= 1)
            x = torch.where(kept.view(column), low + change, x)
            before = torch.where(kept.view(column), low, before)
            rung = torch.where(kept, there, rung)
            factor = (SAFETY * error**-EXPONENT).clamp(max=torch.where(kept, 2.0, 0.5))
            wanted = (num_rungs * factor).long().clamp(1, MOST_RUNGS)
            num_rungs = torch.minimum(wanted, NUM_RUNGS - rung)
        return self.clean(denoise, x, times[rung])


def _at(ladder: Coefficients, rung: Tensor) -> Coefficients:
    return Coefficients(ladder.alpha[rung], ladder.sigma[rung])
