"""Langevin sampling at ever less noise (NCSN: Song and Ermon 2019, algorithm 1; with the final step of 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from torch import Tensor

from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw, TimeGrid
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing


@dataclass(frozen=True)
class AnnealedLangevin(AbstractGridSampler):
    """Shakes the state at each noise level until it looks like noisy data; for variance exploding schedules alone.

    Args:
        num_steps: noise levels.
        num_langevin_steps: network calls at each level.
        step_size: share of the way to the clean estimate that one call moves; the papers' ``epsilon / sigma_L^2``.
        clip: clip clean estimates to [-1, 1].
        spacing: where the noise levels lie; by default equal factors apart, as published.

    The last call, at the least noise, gives the video (Song and Ermon 2020, algorithm 1). What ``step_size`` leaves of
    the error does not fall with the number of steps: ``order`` is 0. Called with a schedule that
    is not variance exploding, where the data shrink from level to level, it raises ValueError.
    """

    num_steps: int = 200
    num_langevin_steps: int = 5
    step_size: float = 0.06
    clip: bool = True
    spacing: AbstractSpacing = LOG_SNR
    order = 0

    def __post_init__(self) -> None:
        if self.num_langevin_steps < 1 or not 0 < self.step_size < 1:
            raise ValueError(f"needs num_langevin_steps >= 1 and step_size between 0 and 1, got {self}")

    @property
    def num_extra_calls(self) -> int:
        """The other Langevin steps of each level, and the last call."""
        return self.num_steps * (self.num_langevin_steps - 1) + 1

    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        check_variance_exploding(self, steps)
        for i in range(self.num_steps):
            for _ in range(self.num_langevin_steps):
                # x + a * score + sqrt(2 a) * z with a = step_size * sigma^2 and score = (clean - x) / sigma^2.
                way = self.clean(denoise, x, steps.t[i]) - x
                x = x + self.step_size * way + sqrt(2 * self.step_size) * steps.sigma[i] * draw(x)
        return self.clean(denoise, x, steps.t[self.num_steps - 1])


def check_variance_exploding(sampler: AbstractGridSampler, steps: TimeGrid) -> None:
    """Refuse schedules in which the data shrink from level to level."""
    if (steps.alpha != 1).any():
        raise ValueError(
            f"{type(sampler).__name__} needs alpha = 1 at all times, as in mcvd.noise.Geometric, got {steps.schedule}: "
            "use mcvd.samplers.PredictorCorrector"
        )
