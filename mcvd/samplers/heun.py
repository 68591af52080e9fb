"""Second-order sampling with optional churn (EDM: Karras et al. 2022, arXiv 2206.00364, algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw, TimeGrid
from mcvd.samplers.spacing import KARRAS, LEAST_ALPHA, AbstractSpacing, time_from_log_snr


@dataclass(frozen=True)
class Heun(AbstractGridSampler):
    """Takes each step twice, the second time with the mean of the slopes at both ends.

    Args:
        num_steps: each but the last makes two network calls.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.
        s_churn: how much fresh noise is added and removed again over the whole run; 0 is deterministic.
        s_min: no churn at ``sigma / alpha`` below this.
        s_max: no churn at ``sigma / alpha`` above this.
        s_noise: standard deviation of the fresh noise, about 1.

    The state is ``y = x / alpha``, whose noise level is ``s = sigma / alpha``: in these variables every schedule is the
    paper's ``sigma(t) = t``, and the flow is ``dy / ds = (y - clean) / s`` (eq. 1 and 3, where D is the clean video).
    Called with a schedule and spacing that start with next to no signal, it raises ValueError.
    """

    num_steps: int = 18
    clip: bool = True
    spacing: AbstractSpacing = KARRAS
    s_churn: float = 0.0
    s_min: float = 0.0
    s_max: float = inf
    s_noise: float = 1.0
    order = 2

    def __post_init__(self) -> None:
        if min(self.s_churn, self.s_min, self.s_noise) < 0 or self.s_max < self.s_min:
            raise ValueError(f"needs s_churn, s_noise >= 0 and 0 <= s_min <= s_max, got {self}")

    @property
    def num_extra_calls(self) -> int:
        """The second one of every step but the last."""
        return self.num_steps - 1

    def call_times(self, grid: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
        """With churn, the first call of each step comes at a raised time."""
        if self.s_churn == 0:
            return grid[:-1]
        at = schedule(grid)
        return torch.cat([grid[1:-1], self._raised(at.sigma / at.alpha, schedule)[:-1]])

    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        if steps.alpha[0] < LEAST_ALPHA / 2:
            raise ValueError(
                f"{steps.schedule} has no signal at the first time of {self.spacing}, and 1 / alpha would drown all "
                "digits: use mcvd.samplers.spacing.Karras() or LogSNR(), which start a little later"
            )
        s, t_hat = steps.sigma / steps.alpha, steps.t
        s_hat, alpha_hat = s, steps.alpha
        if self.s_churn > 0:
            times = self._raised(s, steps.schedule)
            at = steps.schedule(times)
            s_hat, alpha_hat, t_hat = at.sigma / at.alpha, at.alpha, times.to(x)

        y = x / steps.alpha[0]
        for i in range(self.num_steps):
            if s_hat[i] > s[i]:
                y = y + (s_hat[i] ** 2 - s[i] ** 2).sqrt() * self.s_noise * draw(y)
            slope = (y - self.clean(denoise, alpha_hat[i] * y, t_hat[i])) / s_hat[i]
            end = y + (s[i + 1] - s_hat[i]) * slope
            if i + 1 < self.num_steps:
                end_slope = (end - self.clean(denoise, steps.alpha[i + 1] * end, steps.t[i + 1])) / s[i + 1]
                end = y + (s[i + 1] - s_hat[i]) * (slope + end_slope) / 2
            y = end
        return steps.alpha[-1] * y

    def _raised(self, s: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
        """The times of noise levels s to which fresh noise was added (the paper's t-hat), of s's shape."""
        gamma = min(self.s_churn / self.num_steps, sqrt(2) - 1)
        churned = (s >= self.s_min) & (s <= self.s_max) & (s > 0)
        raised = torch.where(churned, s * (1 + gamma), s).clamp(max=s[0])  # the network knows nothing noisier
        return time_from_log_snr(-2 * raised.log(), schedule)
