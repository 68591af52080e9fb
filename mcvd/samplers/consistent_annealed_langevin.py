"""Consistent annealed sampling (Jolicoeur-Martineau et al. 2021, arXiv 2009.05475, algorithm 3)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mcvd.samplers.annealed_langevin import check_variance_exploding
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw, TimeGrid
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing


@dataclass(frozen=True)
class ConsistentAnnealedLangevin(AbstractGridSampler):
    """One Langevin step at each noise level, after which the state has exactly the noise of the next one.

    `AnnealedLangevin` leaves more noise in its states than the network is told. Here what remains of the old noise and
    what is added fresh make up the standard deviation of the level, always. For variance exploding schedules alone.

    Args:
        num_steps: network calls, one at each level.
        step_size: share of the way to the clean estimate that one call moves; the paper's ``epsilon / sigma_L^2``.
            Where that leaves more noise than the next level has, the step is as long as it must be, and adds none.
        clip: clip clean estimates to [-1, 1].
        spacing: where the noise levels lie; by default equal factors apart, as published.

    The last call, at the least noise, gives the video. What ``step_size`` leaves of the error does not fall with the
    number of steps: ``order`` is 0.
    """

    num_steps: int = 200
    step_size: float = 0.06
    clip: bool = True
    spacing: AbstractSpacing = LOG_SNR
    order = 0

    def __post_init__(self) -> None:
        if not 0 < self.step_size < 1:
            raise ValueError(f"step_size must lie between 0 and 1, got {self}")

    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        check_variance_exploding(self, steps)
        sigma = steps.sigma
        for i in range(self.num_steps - 1):
            kept = ((1 - self.step_size) * sigma[i]).clamp(max=sigma[i + 1])
            clean = self.clean(denoise, x, steps.t[i])
            x = clean + kept / sigma[i] * (x - clean) + (sigma[i + 1] ** 2 - kept**2).sqrt() * draw(x)
        return self.clean(denoise, x, steps.t[self.num_steps - 1])
