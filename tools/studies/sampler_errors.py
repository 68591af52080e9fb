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
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.known_answers import STD, error, moments, quantiles

SCHEDULES = {"LinearBeta": noise.LinearBeta, "Cosine": noise.Cosine, "Geometric": noise.Geometric}
CALLS = (5, 10, 20, 50, 100)

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
