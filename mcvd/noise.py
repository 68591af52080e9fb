"""Noise schedules, and the conversions between what a network may predict.

Legend (paper symbol -> name): x_0 -> clean, x_t -> noisy, z or eps -> noise, v -> velocity,
sqrt(alpha-bar) -> alpha, sqrt(1 - alpha-bar) -> sigma. With these, ``noisy = alpha * clean + sigma * noise``.
Time t runs from 0 (clean) to 1 (noise).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import log, pi

import torch
from torch import Tensor

# A schedule may come from a file that is not trusted: it is a table in memory, and its noise is squared.
MAX_STEPS = 1_000_000
MAX_SIGMA = 1e6


@dataclass(frozen=True)
class Coefficients:
    """How much clean video and how much noise a noisy one holds: ``noisy = alpha * clean + sigma * noise``.

    Args:
        alpha: float, any shape.
        sigma: float, the same shape.
    """

    alpha: Tensor
    sigma: Tensor

    def like(self, x: Tensor) -> Coefficients:
        """The same coefficients of shape (B,), or (B, N), made to broadcast over x (B, ...), or (B, N, ...)."""
        axes = self.alpha.shape or (1,)
        shape = (*axes, *(1,) * (x.ndim - len(axes)))
        return Coefficients(self.alpha.to(x).view(shape), self.sigma.to(x).view(shape))


class AbstractNoiseSchedule(ABC):
    """The amount of noise at each time, ``schedule(t) -> Coefficients``.

    ``num_steps`` is the number of training times, the grid ``t = (k + 1) / num_steps`` with k = 0 the cleanest.
    ``preserves_variance`` says that alpha^2 + sigma^2 = 1 everywhere.
    """

    num_steps: int
    preserves_variance: bool = True

    @abstractmethod
    def __call__(self, t: Tensor) -> Coefficients:
        """Coefficients at times t (float, any shape, 0 clean to 1 noise), of t's shape and dtype."""


@dataclass(frozen=True)
class LinearBeta(AbstractNoiseSchedule):
    """Variances that grow linearly with the step (DDPM, section 4; the schedule of all published MCVD models).

    Exact on its grid; between grid points the log signal-to-noise ratio is interpolated, and below the first one
    the noise variance is proportional to t.

    Args:
        num_steps: number of training times.
        beta_min: variance added by the cleanest step.
        beta_max: variance added by the noisiest step.

    Examples:
        >>> LinearBeta()(torch.tensor([0.0, 1.0])).sigma.tolist()
        [0.0, 0.9999797940254211]
    """

    num_steps: int = 1000
    beta_min: float = 1e-4
    beta_max: float = 0.02

    def __post_init__(self) -> None:
        if not 2 <= self.num_steps <= MAX_STEPS or not 0 < self.beta_min <= self.beta_max < 1:
            raise ValueError(f"needs num_steps 2 to {MAX_STEPS} and 0 < beta_min <= beta_max < 1, got {self}")

    def __call__(self, t: Tensor) -> Coefficients:
        """See `AbstractNoiseSchedule`."""
        table = _linear_log_snr(self.num_steps, self.beta_min, self.beta_max, t.device)
        step = t.double() * self.num_steps - 1
        nearest = step.round()  # a float32 t is off its grid point by rounding only
        step = torch.where((step - nearest).abs() < 4 * torch.finfo(t.dtype).eps * self.num_steps, nearest, step)
        low = step.floor().clamp(0, self.num_steps - 2)
        fraction = (step - low).clamp(min=0)
        below = table.take(low.long())  # not by brackets, which read a single place back to the host
        log_snr = below + fraction * (table.take(low.long() + 1) - below)
        log_snr = log_snr - torch.log((step + 1).clamp(max=1))  # sigma^2 ~ t under the first grid point
        return Coefficients(log_snr.sigmoid().sqrt().to(t.dtype), (-log_snr).sigmoid().sqrt().to(t.dtype))


@dataclass(frozen=True)
class Cosine(AbstractNoiseSchedule):
    """Signal variance that falls like a squared cosine (Nichol and Dhariwal 2021, eq. 17), without clipping.

    Args:
        num_steps: number of training times.
        offset: the small shift s of the paper, keeps the first steps from being too small.

    Examples:
        >>> round(Cosine()(torch.tensor([0.5])).alpha.item(), 4)
        0.7027
    """

    num_steps: int = 1000
    offset: float = 0.008

    def __post_init__(self) -> None:
        if not 2 <= self.num_steps <= MAX_STEPS or not 0 <= self.offset <= 1:
            raise ValueError(f"needs num_steps 2 to {MAX_STEPS} and offset 0 to 1, got {self}")

    def __call__(self, t: Tensor) -> Coefficients:
        """See `AbstractNoiseSchedule`."""
        start = pi / 2 * self.offset / (1 + self.offset)
        moved = pi / 2 * t.double() / (1 + self.offset)
        scale = torch.cos(torch.tensor(start, dtype=torch.float64))
        alpha = torch.cos(start + moved) / scale
        # cos^2(a) - cos^2(b) = sin(b - a) sin(b + a), without the cancellation near t = 0.
        sigma = (torch.sin(moved) * torch.sin(moved + 2 * start)).sqrt() / scale
        return Coefficients(alpha.to(t.dtype), sigma.to(t.dtype))


@dataclass(frozen=True)
class Geometric(AbstractNoiseSchedule):
    """Noise that grows by the same factor in each step while the video keeps its size (Song and Ermon 2019, section 5).

    This is the variance exploding schedule: alpha is 1, and the noise of the last step drowns the video. Below the
    first grid point the noise variance is proportional to t.

    Args:
        num_steps: number of training times.
        sigma_min: standard deviation of the noise in the cleanest step, in the model's range [-1, 1].
        sigma_max: in the noisiest step; about the largest distance between two videos (Song and Ermon 2020).

    Examples:
        >>> [round(sigma, 4) for sigma in Geometric(num_steps=3)(torch.tensor([1 / 3, 2 / 3, 1.0])).sigma.tolist()]
        [0.01, 0.7071, 50.0]
    """

    num_steps: int = 1000
    sigma_min: float = 0.01
    sigma_max: float = 50.0
    preserves_variance: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not 2 <= self.num_steps <= MAX_STEPS or not 0 < self.sigma_min < self.sigma_max <= MAX_SIGMA:
            raise ValueError(
                f"needs num_steps 2 to {MAX_STEPS} and 0 < sigma_min < sigma_max <= {MAX_SIGMA:g}, got {self}"
            )

    def __call__(self, t: Tensor) -> Coefficients:
        """See `AbstractNoiseSchedule`."""
        step = t.double() * self.num_steps - 1
        growth = log(self.sigma_max / self.sigma_min) / (self.num_steps - 1)
        sigma = self.sigma_min * torch.exp(growth * step.clamp(min=0)) * (step + 1).clamp(max=1).sqrt()
        return Coefficients(torch.ones_like(t), sigma.to(t.dtype))


@dataclass(frozen=True)
class SubVP(AbstractNoiseSchedule):
    """The sub-VP SDE, whose noise is always less than that which preserves the variance (Song et al. 2021, eq. 29).

    With ``b(t) = beta_min t + (beta_max - beta_min) t^2 / 2``: ``alpha = exp(-b / 2)`` and ``sigma = 1 - alpha^2``, the
    square of what a variance preserving schedule has. The authors report the best likelihoods with it.

    Args:
        num_steps: number of training times.
        beta_min: rate at which the video is lost at t = 0, per unit of time.
        beta_max: at t = 1.

    Examples:
        >>> at = SubVP()(torch.tensor([0.0, 0.5, 1.0]))
        >>> [round(value, 4) for value in (at.sigma + at.alpha**2).tolist()]
        [1.0, 1.0, 1.0]
    """

    num_steps: int = 1000
    beta_min: float = 0.1
    beta_max: float = 20.0
    preserves_variance: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not 2 <= self.num_steps <= MAX_STEPS or not 0 < self.beta_min <= self.beta_max <= 100:
            raise ValueError(f"needs num_steps 2 to {MAX_STEPS} and 0 < beta_min <= beta_max <= 100, got {self}")

    def __call__(self, t: Tensor) -> Coefficients:
        """See `AbstractNoiseSchedule`."""
        time = t.double()
        lost = self.beta_min * time + (self.beta_max - self.beta_min) * time**2 / 2
        return Coefficients(torch.exp(-lost / 2).to(t.dtype), -torch.expm1(-lost).to(t.dtype))


@dataclass(frozen=True)
class ZeroTerminalSNR(AbstractNoiseSchedule):
    """Another schedule stretched until its last step is noise alone (Lin et al. 2023, arXiv 2305.08891, algorithm 1).

    A schedule that leaves some signal at t = 1 (`LinearBeta` leaves 0.6%) shows a model the mean brightness of each
    video in training and none in sampling, so that samples tend to medium brightness. Needs a network that predicts
    v, x0 or edm: at t = 1 the noise says nothing about the video.

    Args:
        schedule: variance preserving.

    Examples:
        >>> ZeroTerminalSNR(LinearBeta())(torch.tensor([0.0, 1.0])).alpha.tolist()
        [1.0, 0.0]
    """

    schedule: AbstractNoiseSchedule

    def __post_init__(self) -> None:
        if not self.schedule.preserves_variance:
            raise ValueError(f"only a variance preserving schedule can be stretched, got {self.schedule}")

    @property
    def num_steps(self) -> int:  # type: ignore[override]
        """Of the schedule within."""
        return self.schedule.num_steps

    def __call__(self, t: Tensor) -> Coefficients:
        """See `AbstractNoiseSchedule`."""
        at, end = self.schedule(t.double()), self.schedule(torch.ones((), dtype=torch.float64, device=t.device))
        lost = at.sigma.square() / (1 + at.alpha) / (1 - end.alpha)  # 1 - the new alpha, without cancellation
        alpha = ((at.alpha - end.alpha) / (1 - end.alpha)).clamp(min=0)
        return Coefficients(alpha.to(t.dtype), (lost * (1 + alpha)).sqrt().to(t.dtype))


# Not kept in the schedule: who reads its arguments off the default of a constructor would find the table among them.
_TABLES: dict[tuple[int, float, float, torch.device], Tensor] = {}
_MAX_TABLES = 8


def _linear_log_snr(num_steps: int, beta_min: float, beta_max: float, device: torch.device) -> Tensor:
    """Log of alpha^2 / sigma^2 of `LinearBeta` on its grid, float64 (num_steps,), cleanest first.

    It is kept on the device: every network call asks for it, and moving it there would wait for all that the device
    has to do before. A table of shapes alone (`torch._subclasses.FakeTensor`), as an estimate of memory makes it before
    the training that needs the numbers, is not kept.
    """
    key = num_steps, beta_min, beta_max, device
    table = _TABLES.get(key)
    if table is None:
        with torch.inference_mode(False):
            betas = torch.linspace(beta_min, beta_max, num_steps, dtype=torch.float64, device="cpu")
            log_alpha_bar = torch.log1p(-betas).cumsum(0)
            table = (log_alpha_bar - torch.log(-torch.expm1(log_alpha_bar))).to(device)
        if type(table) is Tensor:
            if len(_TABLES) >= _MAX_TABLES:
                _TABLES.clear()
            _TABLES[key] = table
    return table


def gamma_noise(normal: Tensor, theta: float, at: Coefficients) -> Tensor:
    """Noise of a gamma distribution, scaled to mean 0 and variance 1 (Nachmani et al. 2021, arXiv 2110.05948).

    What it adds to the frames, ``sigma * noise``, has the shape ``k = (sigma / (alpha * theta))^2`` and the scale
    ``alpha * theta``, as in the published MCVD code: it leans to one side, by ``2 / sqrt(k)``, where there is little
    noise, and is normal where there is much.

    Args:
        normal: standard normal noise, which is transformed (Wilson and Hilferty 1931): float of any shape. No
            probability is wrong by more than 6e-5 for k of 100 and more, as in `LinearBeta` with the published scale.
        theta: scale, above 0; 0.001 in the published code.
        at: of the noise level, broadcasting against ``normal``.

    Examples:
        >>> gamma_noise(torch.zeros(1), 0.001, Coefficients(torch.tensor(1.0), torch.tensor(0.01)))
        tensor([-0.0333])
    """
    third = theta * at.alpha / (3 * at.sigma)  # 1 / (3 sqrt(k))
    shifted = normal - third
    power = third * shifted
    return shifted * (1 + power + power.square() / 3)


def label_from_time(t: Tensor, num_steps: int) -> Tensor:
    """The published network input for time t: 0 is the noisiest step, ``num_steps - 1`` the cleanest.

    Args:
        t: float (B,), 0 is clean, 1 is noise.
        num_steps: of the schedule.

    Returns:
        float (B,), ``num_steps * (1 - t)``, an exact integer on the schedule's grid.
    """
    label = num_steps * (1 - t.double())
    nearest = label.round()
    return torch.where((label - nearest).abs() < 1e-3, nearest, label).to(t.dtype)


def noisy_from_clean(clean: Tensor, noise: Tensor, at: Coefficients) -> Tensor:
    """Add noise: ``alpha * clean + sigma * noise``."""
    return at.alpha * clean + at.sigma * noise


def clean_from_noise(noisy: Tensor, noise: Tensor, at: Coefficients) -> Tensor:
    """The clean video that the noise leaves; needs alpha > 0."""
    return (noisy - at.sigma * noise) / at.alpha


def noise_from_clean(noisy: Tensor, clean: Tensor, at: Coefficients) -> Tensor:
    """The noise that the clean video leaves; needs sigma > 0."""
    return (noisy - at.alpha * clean) / at.sigma


def velocity_from_clean(clean: Tensor, noise: Tensor, at: Coefficients) -> Tensor:
    """The v target of progressive distillation (Salimans and Ho 2022): ``alpha * noise - sigma * clean``."""
    return at.alpha * noise - at.sigma * clean


def clean_from_velocity(noisy: Tensor, velocity: Tensor, at: Coefficients) -> Tensor:
    """The clean video behind a velocity, at any alpha and sigma."""
    return (at.alpha * noisy - at.sigma * velocity) / (at.alpha**2 + at.sigma**2)
