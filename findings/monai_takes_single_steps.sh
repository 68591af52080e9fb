#!/bin/sh
# MONAI 1.6.1: DDPM with fewer steps than in training returns noise: each step goes one time on, however far the next one is.
#
# Valid input: DDPMScheduler(1000).set_timesteps(50), DiffusionInferer.sample, and the exact noise prediction for Gaussian data of
# standard deviation 0.5. Expected: samples of about 0.5, as with 1000 steps, and as by DDIMScheduler with the same 50 times.
# Seen: 0.94. The times are 999, 979, 958, ..., but step() takes the noise off from t to t - 1, not to the time that comes next.
# Output seen (Python 3.11, torch 2.13.0, 2026-11-29): DDPM 0.495 by 1000 steps, 0.756 by 250, 0.884 by 100, 0.940 by 50; DDIM
# 0.499, 0.497, 0.490, 0.480; DDPM by hand, from each time to the next one, 0.495, 0.491, 0.470, 0.442
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  monai==1.6.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from monai.inferers import DiffusionInferer
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler

SPREAD = 0.5  # of the data: Gaussian with mean 0, so that the best prediction of the noise is known
START = torch.randn(1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
SIGNAL = DDPMScheduler(1000).alphas_cumprod  # share of the signal in the variance, at each time


class Exact(torch.nn.Module):
    def forward(self, x, timesteps, context=None):
        signal = SIGNAL[timesteps.long()].view(-1, 1, 1, 1)
        return (1 - signal).sqrt() * x / (signal * SPREAD**2 + 1 - signal)


def sampled(scheduler, num_steps):
    torch.manual_seed(1)
    scheduler.set_timesteps(num_steps)
    samples = DiffusionInferer(scheduler).sample(START, Exact(), scheduler, verbose=False)
    return samples.std().item(), scheduler.timesteps.tolist()


def by_hand(times):
    """Ancestral sampling from each time to the one that follows it, at last to no noise."""
    torch.manual_seed(1)
    x = START
    for time, then in zip(times, [*times[1:], None], strict=True):
        signal, next_signal = SIGNAL[time], torch.ones(()) if then is None else SIGNAL[then]
        clean = (x - (1 - signal).sqrt() * Exact()(x, torch.tensor([time]))) / signal.sqrt()
        ratio, share = signal / next_signal, (1 - next_signal) / (1 - signal)
        x = next_signal.sqrt() * (1 - ratio) / (1 - signal) * clean + ratio.sqrt() * share * x
        x = x + ((1 - ratio) * share).sqrt() * torch.randn(x.shape)
    return x.std().item()


for num_steps in (1000, 250, 100, 50):
    ddpm, times = sampled(DDPMScheduler(1000, clip_sample=False), num_steps)
    ddim, same = sampled(DDIMScheduler(1000, clip_sample=False), num_steps)
    assert times == same
    hand = by_hand(times)
    print(f"{num_steps} steps: DDPM {ddpm:.3f}, DDIM {ddim:.3f}, by hand {hand:.3f}; of the data {SPREAD}")
    assert abs(hand - SPREAD) < 0.1 and abs(ddim - SPREAD) < 0.1
    assert abs(ddpm - SPREAD) < 0.02 if num_steps == 1000 else ddpm > 0.7
PYTHON
