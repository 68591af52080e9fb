"""How far each sampler is from the truth after so many network calls, where the perfect network is known.

    python tools/studies/sampler_errors.py [--num-samples 20000] [--schedule LinearBeta | Cosine | Geometric] [--spread]

The data are independent pixels from a mixture of three normal distributions. The figure is the mean distance between
the sorted samples and the quantiles of the mixture (Wasserstein-1, in units of the pixel range [-1, 1]). It shows what
a method loses by taking few steps; what a trained network loses is another matter.

With --spread the data are pixels from one normal distribution, and the figure is the standard deviation of the samples
divided by that of the data, exactly: 1 is right, below it samples vary too little.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from mcvd import noise
from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers import (
    DDIM,
    DDPM,
    PNDM,
    AbstractSampler,
    AdaptiveSDE,
    AnnealedLangevin,
    DPMSolverPP,
    Heun,
    PredictorCorrector,
    SASolver,
    SDEDPMSolverPP,
    UniPC,
)
from mcvd.samplers.spacing import Karras, LogSNR, Uniform

SCHEDULES = {"LinearBeta": noise.LinearBeta, "Cosine": noise.Cosine, "Geometric": noise.Geometric}
CALLS = (5, 10, 20, 50, 100)
WEIGHTS, MEANS, STDS = (torch.tensor(v).double() for v in ([0.3, 0.3, 0.4], [-0.6, 0.1, 0.5], [0.1, 0.05, 0.1]))
MEAN, STD = 0.3, 0.4  # of the one normal distribution

FIXED: dict[str, Callable[[int], AbstractSampler]] = {
    "DDPM()": lambda calls: DDPM(calls),
    "DDPM(spacing=LogSNR())": lambda calls: DDPM(calls, spacing=LogSNR()),
    "SASolver()": lambda calls: SASolver(calls),
    "SASolver(spacing=LogSNR(0))": lambda calls: SASolver(calls, spacing=LogSNR(0)),
    "SASolver(spacing=Uniform())": lambda calls: SASolver(calls, spacing=Uniform()),
    "SDEDPMSolverPP()": lambda calls: SDEDPMSolverPP(calls),
    "PredictorCorrector()": lambda calls: PredictorCorrector((calls + 1) // 2),
    "DDIM()": lambda calls: DDIM(calls),
    "DDIM(spacing=LogSNR())": lambda calls: DDIM(calls, spacing=LogSNR()),
    "PNDM()": lambda calls: PNDM(calls),
    "DPMSolverPP()": lambda calls: DPMSolverPP(calls),
    "DPMSolverPP(spacing=Uniform())": lambda calls: DPMSolverPP(calls, spacing=Uniform()),
    "DPMSolverPP(spacing=Karras())": lambda calls: DPMSolverPP(calls, spacing=Karras()),
    "DPMSolverPP(spacing=LogSNR(0))": lambda calls: DPMSolverPP(calls, spacing=LogSNR(0)),
    "DPMSolverPP(order=3)": lambda calls: DPMSolverPP(calls, order=3),
    "UniPC()": lambda calls: UniPC(calls),
    "UniPC(order=3)": lambda calls: UniPC(calls, order=3),
    "Heun()": lambda calls: Heun((calls + 1) // 2),
    "Heun(spacing=LogSNR())": lambda calls: Heun((calls + 1) // 2, spacing=LogSNR()),
    "Heun(s_churn=10)": lambda calls: Heun((calls + 1) // 2, s_churn=10),
}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-samples", type=int, default=20000)
    parser.add_argument("--schedule", choices=list(SCHEDULES), default="LinearBeta")
    parser.add_argument("--spread", action="store_true", help="the spread of samples of a normal distribution instead")
    options = parser.parse_args()
    schedule = SCHEDULES[options.schedule]()
    if options.spread:
        return print_spread(schedule, options.schedule)
    truth = quantiles(options.num_samples)

    print(f"| {options.schedule}, network calls | " + " | ".join(map(str, CALLS)) + " |")
    print("|---" * (len(CALLS) + 1) + "|")
    for name, make in FIXED.items():
        if name == "PNDM()" and not schedule.preserves_variance:
            continue  # its noise estimates are of use only where the state stays of one size
        cells = [f"{error(make(calls), schedule, truth)[0]:.4f}" for calls in CALLS]
        print(f"| `{name}` | " + " | ".join(cells) + " |")
    others: list[AbstractSampler] = [AdaptiveSDE(tolerance) for tolerance in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)]
    if not schedule.preserves_variance:
        others += [AnnealedLangevin(num_steps) for num_steps in (10, 20, 50, 100, 200)]
    for sampler in others:
        distance, num_calls = error(sampler, schedule, truth)
        print(f"`{sampler}`: {distance:.4f} after {num_calls} calls")


def print_spread(schedule: AbstractNoiseSchedule, name: str) -> None:
    """The table of --spread."""
    print(f"| {name}, network calls | " + " | ".join(map(str, CALLS)) + " |")
    print("|---" * (len(CALLS) + 1) + "|")
    for title, make in FIXED.items():
        if title != "PredictorCorrector()":  # its steps depend on the state
            samplers = [replace(make(calls), clip=False) for calls in CALLS]
            cells = [f"{moments(sampler, schedule)[1] / STD:.3f}" for sampler in samplers]
            print(f"| `{title}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
