"""Problems whose perfect denoiser and whose flow from noise to data are known in closed form."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule, Coefficients

_spec = importlib.util.spec_from_file_location(
    "sampler_errors", Path(__file__).parents[2] / "tools/studies/sampler_errors.py"
)
sampler_errors = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sampler_errors)
MEAN, STD = sampler_errors.MEAN, sampler_errors.STD
gaussian, moments = sampler_errors.gaussian, sampler_errors.moments


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
