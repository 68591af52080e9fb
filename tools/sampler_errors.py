"""How far each sampler is from the truth after so many network calls, where the perfect network is known.

    python tools/sampler_errors.py [--num-samples 20000] [--schedule LinearBeta | Cosine | Geometric]

The data are independent pixels from a mixture of three normal distributions. The figure is the mean distance between
the sorted samples and the quantiles of the mixture (Wasserstein-1, in units of the pixel range [-1, 1]). It shows what
a method loses by taking few steps; what a trained network loses is another matter.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

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
    SDEDPMSolverPP,
    UniPC,
)
from mcvd.samplers.spacing import Karras, LogSNR, Uniform

SCHEDULES = {"LinearBeta": noise.LinearBeta, "Cosine": noise.Cosine, "Geometric": noise.Geometric}
CALLS = (5, 10, 20, 50, 100)
WEIGHTS, MEANS, STDS = (torch.tensor(v).double() for v in ([0.3, 0.3, 0.4], [-0.6, 0.1, 0.5], [0.1, 0.05, 0.1]))

FIXED: dict[str, Callable[[int], AbstractSampler]] = {
    "DDPM()": lambda calls: DDPM(calls),
    "DDPM(spacing=LogSNR())": lambda calls: DDPM(calls, spacing=LogSNR()),
    "SDEDPMSolverPP()": lambda calls: SDEDPMSolverPP(calls),
    "SDEDPMSolverPP(eta=0.5)": lambda calls: SDEDPMSolverPP(calls, eta=0.5),
    "SDEDPMSolverPP(spacing=Uniform())": lambda calls: SDEDPMSolverPP(calls, spacing=Uniform()),
    "PredictorCorrector()": lambda calls: PredictorCorrector((calls + 1) // 2),
    "DDIM()": lambda calls: DDIM(calls),
    "DDIM(spacing=LogSNR())": lambda calls: DDIM(calls, spacing=LogSNR()),
    "PNDM()": lambda calls: PNDM(calls),
    "DPMSolverPP()": lambda calls: DPMSolverPP(calls),
    "DPMSolverPP(spacing=Uniform())": lambda calls: DPMSolverPP(calls, spacing=Uniform()),
    "DPMSolverPP(spacing=Karras())": lambda calls: DPMSolverPP(calls, spacing=Karras()),
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-samples", type=int, default=20000)
    parser.add_argument("--schedule", choices=list(SCHEDULES), default="LinearBeta")
    options = parser.parse_args()
    schedule = SCHEDULES[options.schedule]()
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


if __name__ == "__main__":
    main()
