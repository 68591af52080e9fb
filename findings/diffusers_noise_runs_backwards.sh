#!/bin/sh
# diffusers 0.42.1: add_noise of four new schedulers runs backwards: time 0 gets the most noise, the last time the least.
#
# Valid input: a scheduler as its constructor makes it, frames, noise and times 0 to 999, as a training step has them.
# Expected: the noise of each time, which DDPMScheduler, EulerDiscreteScheduler and others of the same settings add. Seen:
# DPMSolverMultistep, DPMSolverSinglestep, DEISMultistep and UniPCMultistep add that of time 999 - t, without a word: until
# set_timesteps is called their table of noise ascends while their table of times descends. After set_timesteps(1000) it is
# right; after set_timesteps(20) a time that is not among the 20 gets the little noise of their last.
# Output seen (Python 3.11, torch 2.13.0, 2026-11-29): noise by signal at 0, 300, 999: DDPM 0.010, 1.240, 157.407; the four
# 157.407, 11.940, 0.010; at time 510, of 3.638: 0.176 after set_timesteps(20)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  diffusers==0.42.1 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import diffusers
import torch

times = torch.tensor([0, 300, 999])
noise = torch.randn(len(times), 4096, generator=torch.Generator().manual_seed(0))


def noise_by_signal(scheduler, times):
    """The standard deviation of what is added to frames, divided by what they are multiplied with."""
    some = noise[: len(times)]
    signal = scheduler.add_noise(torch.ones_like(some), torch.zeros_like(some), times).mean(1)
    return scheduler.add_noise(torch.zeros_like(some), some, times).std(1) / some.std(1) / signal


def shown(values):
    return ", ".join(f"{value:.3f}" for value in values.tolist())


right = noise_by_signal(diffusers.DDPMScheduler(), times)
print(f"DDPMScheduler: {shown(right)}")
assert right[0] < 0.02 < 100 < right[2]
assert torch.allclose(noise_by_signal(diffusers.EulerDiscreteScheduler(), times), right, rtol=1e-3)
backwards = noise_by_signal(diffusers.DDPMScheduler(), 999 - times)
for name in ("DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "UniPCMultistep"):
    scheduler = getattr(diffusers, f"{name}Scheduler")()
    new = noise_by_signal(scheduler, times)
    scheduler.set_timesteps(1000)
    told = noise_by_signal(scheduler, times)
    scheduler.set_timesteps(20)
    between = noise_by_signal(scheduler, torch.tensor([510]))
    print(f"{name}Scheduler: {shown(new)}; after set_timesteps(1000) {shown(told)}; time 510 after (20): {shown(between)}")
    assert torch.allclose(new, backwards, rtol=1e-3)
    assert torch.allclose(told[1:], right[1:], rtol=1e-3)
    assert 510 not in scheduler.timesteps and between < 1
PYTHON
