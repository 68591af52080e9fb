"""Problems whose perfect denoiser and whose flow from noise to data are known in closed form."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule, Coefficients

MEAN, STD = 0.3, 0.4

_spec = importlib.util.spec_from_file_location(
    "sampler_errors", Path(__file__).parents[2] / "tools" / "sampler_errors.py"
)
sampler_errors = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sampler_errors)


def gaussian(schedule, mean=MEAN, std=STD):
    """The exact clean estimate for independent pixels from N(mean, std^2)."""

    def denoise(noisy, t):
        at = schedule(t).like(noisy)
        gain = at.alpha * std**2 / (at.alpha**2 * std**2 + at.sigma**2)
        return mean + gain * (noisy - at.alpha * mean)

    return denoise


def gaussian_flow(x, start: Coefficients, end: Coefficients, mean=MEAN, std=STD):
    """Where the probability flow takes x: it keeps the distance from the mean in standard deviations."""
    before, after = (((at.alpha * std) ** 2 + at.sigma**2).sqrt() for at in (start, end))
    return end.alpha * mean + after / before * (x - start.alpha * mean)


def moments(sampler, schedule, mean=MEAN, std=STD):
    """Mean and standard deviation of the samples of `gaussian` data, without sampling error.

    With that denoiser a sample is a fixed number plus multiples of the first noise and of every draw, as long as the
    sampler's choices do not depend on the state. Row 0 has no noise at all and each other row one unit of one noise.
    """
    num_draws = 0

    def counting(x):
        nonlocal num_draws
        num_draws += 1
        return torch.zeros_like(x)

    at, denoise = schedule(time(1.0)), gaussian(schedule, mean, std)
    sampler(denoise, torch.zeros(1, 1, dtype=torch.float64), schedule, counting)
    units = iter(torch.eye(num_draws + 2, dtype=torch.float64)[2:, :, None])
    start = torch.full((num_draws + 2, 1), (at.alpha * mean).item(), dtype=torch.float64)
    start[1] += ((at.alpha * std) ** 2 + at.sigma**2).sqrt()
    sample = sampler(denoise, start, schedule, lambda x: next(units))
    return sample[0].item(), (sample[1:] - sample[0]).norm().item()


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


def seeded(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype)
