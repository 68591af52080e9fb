#!/bin/sh
# ema-pytorch 0.8.3: KarrasEMA and PostHocEMA average over a far longer time than sigma_rel asks for, unless update_every=1.
#
# Valid input: a weight that is the number of its step, averaged by KarrasEMA(sigma_rel=0.05) over 20000 calls of update(); and
# PostHocEMA as its README has it: sigma_rels=(0.05, 0.28), update_every=10, then synthesize_ema_model(sigma_rel=0.15). Expected: the
# average of EDM2 (Karras and others, 2024), which weighs step t by t ** gamma: its mean lies at (gamma + 1) / (gamma + 2) of the
# training, 5.3% before its end for 0.05, 18.0% for 0.15. Seen: the decay of one step, (1 - 1 / (t + 1)) ** (gamma + 1), is applied
# once in update_every calls, and not to their power: gamma + 1 is divided by update_every. 100 is what it comes with.
# Output seen (Python 3.11, torch 2.13.0, 2026-11-30): how far the mean lies before the end, of the training: sigma_rel 0.05:
# update_every 1: 5.3%, 10: 35.8%, as it comes: 84.8%; 0.15: 18.0%, 68.7%, 95.7%; post hoc, update_every 1: 18.0%, 10: 76.0%
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  ema-pytorch==0.8.3 torch==2.13.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from ema_pytorch import KarrasEMA, PostHocEMA
from torch import nn

torch.set_num_threads(1)


class Step(nn.Module):
    """A weight that is the number of its step, from 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def train_with(self, averages, num_steps):
        for step in range(1, num_steps + 1):
            self.weight.fill_(step)
            averages.update()


def age(averages, num_steps):
    """How far the mean of the average lies before the end, as a share of the training."""
    return 1 - averages.ema_model.weight.item() / num_steps


def asked(averages):
    return 1 / (averages.gamma + 2)


for sigma_rel in (0.05, 0.15):
    ages = []
    for options in ({"update_every": 1}, {"update_every": 10}, {}):
        model = Step()
        averages = KarrasEMA(model, sigma_rel=sigma_rel, **options)
        model.train_with(averages, 20_000)
        ages.append(age(averages, 20_000))
    print(f"sigma_rel {sigma_rel}: asked {asked(averages):.1%}, update_every 1, 10, as it comes:", *(f"{each:.1%}" for each in ages))
    assert abs(ages[0] - asked(averages)) < 0.001
    assert ages[1] > 3.5 * asked(averages) and ages[2] > 0.8
    for every, each in zip((10, 100), ages[1:], strict=True):  # a formula for what it does instead
        assert abs(each - 1 / ((averages.gamma + 1) / every + 1)) < 0.02

for every in (1, 10):
    model = Step()
    averages = PostHocEMA(
        model,
        sigma_rels=(0.05, 0.28),
        update_every=every,
        checkpoint_every_num_steps=500,
        checkpoint_folder=f"checkpoints{every}",
        checkpoint_dtype=torch.float64,
    )
    model.train_with(averages, 10_000)
    made = averages.synthesize_ema_model(sigma_rel=0.15)
    print(f"post hoc, update_every {every}: asked {asked(made):.1%}, made {age(made, 10_000):.1%}")
    assert (abs(age(made, 10_000) - asked(made)) < 0.005) == (every == 1)
PYTHON
