#!/bin/sh
# azula 0.11.1: REABSampler is of first order, whatever order it is given: more steps help no more than with Euler's method.
#
# Valid input: REABSampler (order 2, as it comes, and 3), the variance-exploding schedule as it comes, and the exact denoiser of
# Gaussian data of standard deviation 0.5. Expected: 8 times as many steps divide the error by about 64 with order 2, as they do
# with vABSampler, and with the formula of the class's own docstring. Seen: by 8 or 9, with either order. The last term of a step
# from t to s is scaled by sqrt(alpha_s^2 + sigma_t^2), where the docstring has the noise of s.
# Output seen (Python 3.11, torch 2.13.0, 2026-11-30): error of the spread by 64 steps and by 512: order 2: 0.03208, 0.003676, by
# hand 0.00202, 0.000032; order 3: 0.03020, 0.003643, by hand 0.00013, 0.000001; vABSampler, order 2: 0.00212, 0.000032
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  azula==0.11.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from azula.denoise import Denoiser, DiracPosterior
from azula.noise import VESchedule
from azula.sample import REABSampler, vABSampler

SPREAD = 0.5  # of the data: Gaussian with mean 0, so that the best denoiser is known
SCHEDULE = VESchedule()


class Exact(Denoiser):
    schedule = SCHEDULE

    def forward(self, x_t, t):
        alpha, sigma = SCHEDULE(t)
        return DiracPosterior(mean=alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2) * x_t)


def sampled(sampler):
    """The flow is linear here: one number, carried from the noise to the data, tells the spread of all samples."""
    return sampler(start()).item()


def start():
    alpha, sigma = SCHEDULE(torch.ones((), dtype=torch.float64))
    return (alpha**2 * SPREAD**2 + sigma**2).sqrt().reshape(1)


def by_hand(order, num_steps):
    """The step of the docstring, for alpha = 1: its two square roots are of the time that is reached, s."""
    times = torch.linspace(1, 0, num_steps + 1, dtype=torch.float64)
    sigmas = SCHEDULE(times)[1]
    x, past = start(), []
    for i, (sigma, reached) in enumerate(zip(sigmas, sigmas[1:])):
        share = sigma**2 / (1 + sigma**2)
        past = [*past, ((1 - share) * x - Exact()(x, times[i]).mean) / share.sqrt()][-order:]
        weights = REABSampler._exponential_adams_bashforth(sigmas.log(), i=i, n=order)
        total = sum(weight * each for weight, each in zip(weights, past))
        x = ((1 + reached**2) / (1 + sigma**2)).sqrt() * x + (1 + reached**2).sqrt() * total
    return x.item()


def gain(name, sample):
    """By how much the error shrinks from 64 to 512 steps."""
    errors = [abs(sample(num_steps) - SPREAD) for num_steps in (64, 512)]
    print(f"{name}: error {errors[0]:.5f} by 64 steps, {errors[1]:.6f} by 512: {errors[0] / errors[1]:.0f} times less")
    return errors[0] / errors[1]


for order in (2, 3):
    seen = gain(f"REAB, order {order}", lambda n: sampled(REABSampler(Exact(), order=order, steps=n, silent=True)))
    hand = gain(f"by hand, order {order}", lambda n: by_hand(order, n))
    assert seen < 12 and hand > 40
assert gain("vAB, order 2", lambda n: sampled(vABSampler(Exact(), order=2, steps=n, silent=True))) > 40
PYTHON
