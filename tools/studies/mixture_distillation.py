"""What distillation brings where the truth is known: pixels from a mixture of three normal distributions.

    python tools/studies/mixture_distillation.py [--steps 2000] [--num-samples 20000]
    python tools/studies/mixture_distillation.py --perfect

The teacher is the mixture's own denoiser, a formula. The student is the teacher plus a small network that begins at 0
and learns the targets of `mcvd.diffusion.distillation`. The figure is the mean distance between sorted samples and the
quantiles of the mixture (Wasserstein-1, in units of the pixel range [-1, 1]; a grey level is 0.008). ``--perfect`` is
about students that answer each target exactly, after any number of steps: what the teacher's steps alone decide.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from mcvd.diffusion.distillation import Distillation, Method
from mcvd.noise import AbstractNoiseSchedule, Cosine
from mcvd.samplers import DDIM, AbstractSampler, UniPC
from mcvd.samplers.base import Denoise
from mcvd.samplers.spacing import LOG_SNR, log_snr

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.known_answers import exact_denoiser, quantiles

CALLS, TEACHER_CALLS, BATCH_SIZE = (1, 2, 4, 8), 64, 256


class Correction(nn.Module):
    """What a student of this teacher says beyond it, of single pixels."""

    def __init__(self, teacher: Denoise, schedule: AbstractNoiseSchedule, width: int = 128) -> None:
        super().__init__()
        self.teacher, self.schedule = teacher, schedule
        self.net = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.last = nn.Linear(width, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The clean estimate of x (B, N) at times t (B,)."""
        level = log_snr(t.double(), self.schedule).clamp(-12, 12).to(x)[:, None].expand_as(x) / 4
        return self.teacher(x, t) + self.last(self.net(torch.stack([x, level], -1)))[..., 0]


def distilled(distillation: Distillation, schedule: AbstractNoiseSchedule, clean: Tensor, num_steps: int) -> Denoise:
    """A trained student."""
    torch.manual_seed(0)
    teacher = exact_denoiser(schedule)
    student = Correction(teacher, schedule).double()
    optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / num_steps)
    for _ in range(num_steps):
        chosen = clean[torch.randint(len(clean), (BATCH_SIZE, 1))]
        times = distillation.times(torch.rand(BATCH_SIZE, dtype=torch.float64), schedule)
        noisy, weight = distillation.start(chosen, torch.randn_like(chosen), times, schedule)
        with torch.no_grad():
            target = distillation.target(noisy, times, teacher, student, schedule)
        loss = (weight * (student(noisy, times[:, 0]) - target).square()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falling.step()
    return student.requires_grad_(False)


def perfect(distillation: Distillation, schedule: AbstractNoiseSchedule) -> Denoise:
    """A student that answers its targets exactly, at the times of its own sampler."""
    teacher, sampler = exact_denoiser(schedule), distillation.sampler
    grid = sampler.spacing(sampler.num_steps, schedule)

    def student(x: Tensor, t: Tensor) -> Tensor:
        step = (grid[:-1] - t[0].double()).abs().argmin().item()
        uniform = torch.full((len(x),), (step + 1e-9) / sampler.num_steps, dtype=torch.float64)
        return distillation.target(x, distillation.times(uniform, schedule), teacher, teacher, schedule)

    return student


def show_perfect(schedule: AbstractNoiseSchedule, truth: Tensor) -> None:
    """Print how far perfect students are off, and their standard deviation as a share of the true one."""
    parts = (2, 3, 5, 7, 16)
    print("| calls | order | " + " | ".join(f"{each} parts" for each in parts) + " |")
    print("|---" * (len(parts) + 2) + "|")
    for calls in (4, 2):
        for order in (1, 2):
            cells = []
            for each in parts:
                sampler = DDIM(calls, spacing=LOG_SNR)
                student = perfect(Distillation(sampler, each, order=order), schedule)
                sample = samples(sampler, student, schedule, len(truth))
                off = (sample - truth).abs().mean().item()
                cells.append(f"{off:.4f}, {100 * (sample.std() / truth.std()).item():.0f}%")
            print(f"| {calls} | {order} | " + " | ".join(cells) + " |", flush=True)


def samples(sampler: AbstractSampler, denoise: Denoise, schedule: AbstractNoiseSchedule, count: int) -> Tensor:
    """From evenly spread noise, sorted, (count,)."""
    places = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return sampler(denoise, torch.special.ndtri(places)[None], schedule)[0].sort().values


def error(sampler: AbstractSampler, denoise: Denoise, schedule: AbstractNoiseSchedule, truth: Tensor) -> float:
    """Of samples from evenly spread noise."""
    return (samples(sampler, denoise, schedule, len(truth)) - truth).abs().mean().item()


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--num-samples", type=int, default=20000)
    parser.add_argument("--perfect", action="store_true", help="train nothing: students that answer exactly")
    options = parser.parse_args()
    schedule, truth = Cosine(), quantiles(options.num_samples)
    if options.perfect:
        return show_perfect(schedule, truth)
    teacher = exact_denoiser(schedule)
    print("| network calls | " + " | ".join(map(str, CALLS)) + " |")
    print("|---" * (len(CALLS) + 1) + "|")
    for name, sampler in (("DDIM", DDIM), ("UniPC", UniPC)):
        cells = [f"{error(sampler(calls), teacher, schedule, truth):.4f}" for calls in CALLS]
        print(f"| not distilled, `{name}` | " + " | ".join(cells) + " |", flush=True)
    methods: tuple[Method, ...] = ("progressive", "consistency")
    for method in methods:
        cells = []
        for calls in CALLS:
            distillation = Distillation(DDIM(calls), TEACHER_CALLS // calls, method)
            student = distilled(distillation, schedule, truth, options.steps)
            cells.append(f"{error(DDIM(calls), student, schedule, truth):.4f}")
        print(f"| distilled, {method} | " + " | ".join(cells) + " |", flush=True)
    limit = error(DDIM(TEACHER_CALLS), teacher, schedule, truth)
    print(f"the teacher with {TEACHER_CALLS} calls: {limit:.4f}")


if __name__ == "__main__":
    main()
