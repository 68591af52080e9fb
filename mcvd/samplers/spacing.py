"""Where the steps of a sampler lie between noise and clean video."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule

LEAST_ALPHA = 0.006
"""Signal at which `LogSNR` and `Karras` start if a schedule goes on to less, about where `LinearBeta` ends.

`Cosine` ends with no signal at all, where the log-SNR has no bound and so cannot be divided into equal parts.
"""


class AbstractSpacing(ABC):
    """The times at which a sampler calls the network, ``spacing(num_steps, schedule) -> times``."""

    @abstractmethod
    def __call__(self, num_steps: int, schedule: AbstractNoiseSchedule) -> Tensor:
        """Times of a run, float64 (num_steps + 1,) on the CPU, falling from the noisiest time to exactly 0."""

    def divided(self, num_steps: int, num_parts: int, schedule: AbstractNoiseSchedule) -> Tensor:
        """The steps of a run, each in parts of equal time: float64 (num_steps, num_parts + 1), falling."""
        grid = self(num_steps, schedule)[:, None]
        return torch.lerp(grid[:-1], grid[1:], torch.arange(num_parts + 1, dtype=torch.float64) / num_parts)


@dataclass(frozen=True)
class Uniform(AbstractSpacing):
    """Steps of equal time, ``t_i = 1 - i / num_steps``, as in the published samplers of MCVD.

    Examples:
        >>> from mcvd.noise import LinearBeta
        >>> Uniform()(4, LinearBeta()).tolist()
        [1.0, 0.75, 0.5, 0.25, 0.0]
    """

    def __call__(self, num_steps: int, schedule: AbstractNoiseSchedule) -> Tensor:
        """Equal parts of the time."""
        return 1 - torch.arange(num_steps + 1, dtype=torch.float64) / num_steps


@dataclass(frozen=True)
class LogSNR(AbstractSpacing):
    """Steps of equal log-SNR (DPM-Solver: Lu et al. 2022) down to a little noise, then to 0.

    Args:
        sigma_min: noise in the last call, as a multiple of the signal, in the model's range [-1, 1]; or 0, for that of
            the cleanest trained time, which also bounds every other choice.

    A network that predicts the clean video is off by some grey levels at any noise. Where it is told less noise than
    that, a call makes the video no better, and sampling with fresh noise adds up what the network changes in it.
    """

    sigma_min: float = 0.03

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_min < 1:
            raise ValueError(f"sigma_min must be 0 or more and below 1, got {self.sigma_min}")

    def __call__(self, num_steps: int, schedule: AbstractNoiseSchedule) -> Tensor:
        """Equal parts of the log-SNR, then 0."""
        low, high = _log_snr_range(schedule)
        if self.sigma_min > 0:
            high = high.clamp(max=-2 * log(self.sigma_min))
        return _times(low + (high - low) * _fractions(num_steps), schedule)

    def divided(self, num_steps: int, num_parts: int, schedule: AbstractNoiseSchedule) -> Tensor:
        """Parts of equal log-SNR, so that all together are a run of ``(num_steps - 1) * num_parts + 1`` steps.

        The last step, from the last noise to 0, is one part however many there are: the network is asked nowhere below
        ``sigma_min``. A single step is a whole run of ``num_parts`` steps.
        """
        if num_steps == 1:
            return self(num_parts, schedule)[None]
        run = self((num_steps - 1) * num_parts + 1, schedule)
        last = torch.cat([run[-2:-1], run.new_zeros(num_parts)])
        return torch.cat([run[:-1].unfold(0, num_parts + 1, num_parts), last[None]])


@dataclass(frozen=True)
class Karras(AbstractSpacing):
    """Steps of equal ``(sigma / alpha)^(1 / rho)`` down to the cleanest trained time, then to 0 (EDM, eq. 5).

    Args:
        rho: the larger, the more of the steps lie near the clean end; 7 in the paper.
    """

    rho: float = 7.0

    def __post_init__(self) -> None:
        if not self.rho > 0:
            raise ValueError(f"rho must be positive, got {self.rho}")

    def __call__(self, num_steps: int, schedule: AbstractNoiseSchedule) -> Tensor:
        """Equal parts of the root of the noise, then 0."""
        first, last = ((-bound / 2 / self.rho).exp() for bound in _log_snr_range(schedule))
        root = first + (last - first) * _fractions(num_steps)
        return _times(-2 * self.rho * root.log(), schedule)


# Instances for defaults, which must not be calls.
UNIFORM, LOG_SNR, KARRAS = Uniform(), LogSNR(), Karras()


def log_snr(t: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
    """``log(alpha^2 / sigma^2)`` at times t, infinite at t = 0."""
    at = schedule(t)
    return 2 * (at.alpha.log() - at.sigma.log())


def time_from_log_snr(wanted: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
    """The inverse of `log_snr`: the time at which a schedule has that signal-to-noise ratio, to the last bit or two.

    Values are float64 of any shape; what lies beyond t = 1 gives 1. Cutting the interval needs no more than that noise
    grows with time.

    Examples:
        >>> from mcvd.noise import LinearBeta
        >>> t = torch.tensor([0.3], dtype=torch.float64)
        >>> round(time_from_log_snr(log_snr(t, LinearBeta()), LinearBeta()).item(), 12)
        0.3
    """
    low, high = torch.zeros_like(wanted)[..., None], torch.ones_like(wanted)[..., None]
    fractions = torch.linspace(0, 1, 65, dtype=wanted.dtype, device=wanted.device)
    for _ in range(10):  # each keeps one of 64 parts; 60 halvings give the same and take three times as long
        grid = torch.lerp(low, high, fractions)  # (..., 65)
        num_too_clean = (log_snr(grid, schedule) > wanted[..., None]).sum(-1, keepdim=True).clamp(1, 64)
        low, high = grid.gather(-1, num_too_clean - 1), grid.gather(-1, num_too_clean)
    return high[..., 0]


def _log_snr_range(schedule: AbstractNoiseSchedule) -> tuple[Tensor, Tensor]:
    """The log-SNR at the first time of a run and at the cleanest trained time, float64 ()."""
    ends = torch.tensor([1, 1 / schedule.num_steps], dtype=torch.float64)
    at, (first, last) = schedule(ends), log_snr(ends, schedule)
    return (first if at.alpha[0] >= LEAST_ALPHA else 2 * torch.log(LEAST_ALPHA / at.sigma[0])), last


def _fractions(num_steps: int) -> Tensor:
    """Equal parts from 0 to 1, (num_steps,); a single step starts at 0."""
    return torch.arange(num_steps, dtype=torch.float64) / max(num_steps - 1, 1)


def _times(log_snrs: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
    return torch.cat([time_from_log_snr(log_snrs, schedule), log_snrs.new_zeros(1)])
