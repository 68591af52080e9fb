"""Problems whose perfect denoiser and whose flow from noise to data are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule, Coefficients
from mcvd.samplers import AbstractSampler

# A mixture of three normal distributions, and one alone.
WEIGHTS, MEANS, STDS = (torch.tensor(v).double() for v in ([0.3, 0.3, 0.4], [-0.6, 0.1, 0.5], [0.1, 0.05, 0.1]))
MEAN, STD = 0.3, 0.4


def exact_denoiser(schedule: AbstractNoiseSchedule) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean of the clean pixel given the noisy one."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        at = schedule(t).like(x)
        alpha, sigma = at.alpha[..., None], at.sigma[..., None]
        variance = (alpha * STDS) ** 2 + sigma**2
        apart = x[..., None] - alpha * MEANS
        share = (WEIGHTS.log() - variance.log() / 2 - apart**2 / (2 * variance)).softmax(-1)
        return (share * (MEANS + alpha * STDS**2 / variance * apart)).sum(-1)

    return denoise


def quantiles(num: int) -> Tensor:
    """Values of the mixture at equal steps of probability, by halving."""
    wanted = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    low, high = torch.full_like(wanted, -2), torch.full_like(wanted, 2)
    for _ in range(50):
        middle = (low + high) / 2
        less = (WEIGHTS * torch.special.ndtr((middle[:, None] - MEANS) / STDS)).sum(-1) < wanted
        low, high = torch.where(less, middle, low), torch.where(less, high, middle)
    return high


def error(sampler: AbstractSampler, schedule: AbstractNoiseSchedule, truth: Tensor) -> tuple[float, int]:
    """(Wasserstein-1 distance, network calls)."""
    generator = torch.Generator().manual_seed(0)
    denoise, num_calls = exact_denoiser(schedule), 0

    def counted(x: Tensor, t: Tensor) -> Tensor:
        nonlocal num_calls
        num_calls += 1
        return denoise(x, t)

    def draw(x: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator, dtype=x.dtype)

    start = schedule(torch.ones(1, dtype=torch.float64)).sigma * torch.special.ndtri(
        (torch.arange(len(truth), dtype=torch.float64) + 0.5) / len(truth)
    )
    sample = sampler(counted, start[None], schedule, draw)
    return (sample[0].sort().values - truth).abs().mean().item(), num_calls


def gaussian(
    schedule: AbstractNoiseSchedule, mean: float = MEAN, std: float = STD
) -> Callable[[Tensor, Tensor], Tensor]:
    """The exact clean estimate for independent pixels from N(mean, std^2)."""

    def denoise(noisy: Tensor, t: Tensor) -> Tensor:
        at = schedule(t).like(noisy)
        gain = at.alpha * std**2 / (at.alpha**2 * std**2 + at.sigma**2)
        return mean + gain * (noisy - at.alpha * mean)

    return denoise


def moments(
    sampler: AbstractSampler, schedule: AbstractNoiseSchedule, mean: float = MEAN, std: float = STD
) -> tuple[float, float]:
    """Mean and standard deviation of the samples of `gaussian` data, without sampling error.

    With that denoiser a sample is a fixed number plus multiples of the first noise and of every draw, as long as the
    sampler's choices do not depend on the state. Row 0 has no noise at all and each other row one unit of one noise.
    """
    num_draws = 0

    def counting(x: Tensor) -> Tensor:
        nonlocal num_draws
        num_draws += 1
        return torch.zeros_like(x)

    at, denoise = schedule(torch.ones((), dtype=torch.float64)), gaussian(schedule, mean, std)
    sampler(denoise, torch.zeros(1, 1, dtype=torch.float64), schedule, counting)
    units = iter(torch.eye(num_draws + 2, dtype=torch.float64)[2:, :, None])
    start = torch.full((num_draws + 2, 1), (at.alpha * mean).item(), dtype=torch.float64)
    start[1] += ((at.alpha * std) ** 2 + at.sigma**2).sqrt()
    sample = sampler(denoise, start, schedule, lambda x: next(units))
    return sample[0].item(), (sample[1:] - sample[0]).norm().item()


def gaussian_flow(x, start: Coefficients, end: Coefficients, mean=MEAN, std=STD):
    """Where the probability flow takes x: it keeps the distance from the mean in standard deviations."""
    before, after = (((at.alpha * std) ** 2 + at.sigma**2).sqrt() for at in (start, end))
    return end.alpha * mean + after / before * (x - start.alpha * mean)


@dataclass(frozen=True)
class Part(AbstractNoiseSchedule):
    """Another schedule between two times, so that a whole run stays where everything is smooth."""

    whole: AbstractNoiseSchedule
    end: float = 0.02
    start: float = 0.98
    num_steps: int = 1000

    def __call__(self, t: Tensor) -> Coefficients:
        return self.whole(self.end + (self.start - self.end) * t)


def time(value):
    return torch.tensor(value, dtype=torch.float64)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def called_times(sampler, denoise, start, schedule):
    """All times at which a sampler calls the network, of one run."""
    called = set()

    def recording(noisy, t):
        called.update(t.tolist())
        return denoise(noisy, t)

    sampler(recording, start, schedule, seeded())
    return called


def seeded(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype)
