"""Every kind of model trains and samples: a network that has seen one video makes it."""

import json
from functools import cache

import pytest
import torch
from reference.tiny import pixels, tiny_config

import mcvd
from mcvd.metrics.frames import psnr
from mcvd.samplers import DDIM, AnnealedLangevin, DPMSolverPP, Heun, PredictorCorrector, UniPC

NUM_STEPS = 150
VIDEO = pixels(1, 7, 1, 4, 4).repeat_interleave(4, -1).repeat_interleave(4, -2)
LINEAR = {"class_path": "mcvd.noise.LinearBeta"}
COSINE = {"class_path": "mcvd.noise.Cosine"}
EXPLODING = {"class_path": "mcvd.noise.Geometric"}
ZERO = {"class_path": "mcvd.noise.ZeroTerminalSNR", "init_args": {"schedule": LINEAR}}


@pytest.mark.parametrize(
    ("kind", "sampler"),
    [
        ({"schedule": LINEAR, "predicts": "eps"}, DDIM(20)),
        ({"schedule": COSINE, "predicts": "x0", "min_snr": 5.0}, UniPC(10)),
        ({"schedule": ZERO, "predicts": "v"}, DPMSolverPP(10)),
        ({"schedule": COSINE, "predicts": "edm"}, UniPC(10)),
        ({"schedule": EXPLODING, "predicts": "edm"}, Heun(10)),
        ({"schedule": EXPLODING, "predicts": "edm"}, PredictorCorrector(50)),
        ({"schedule": EXPLODING, "predicts": "edm"}, AnnealedLangevin(120, num_langevin_steps=5)),
        ({"schedule": EXPLODING, "predicts": "eps"}, DDIM(20)),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else type(value).__name__,
)
def test_a_model_learns_the_one_video_that_it_sees(kind, sampler):
    model, first_loss, last_loss = trained(json.dumps(kind))
    past, truth, future = model.block.split(VIDEO)
    made = model.interpolate(past, future, 3, sampler=sampler)
    untrained = mcvd.build(tiny_config(p=0.0) | kind).eval().interpolate(past, future, 3, sampler=sampler)
    assert psnr(made, truth).mean() > psnr(untrained, truth).mean() + 3
    assert last_loss < first_loss


@cache
def trained(kind):
    """A model after some steps of training, and the loss of the first and of the last step."""
    torch.manual_seed(0)
    model = mcvd.build(tiny_config(p=0.0) | json.loads(kind))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for step in range(NUM_STEPS):
        optimizer.zero_grad()
        loss = model.loss({"video": VIDEO.expand(8, -1, -1, -1, -1), "index": range(8 * step, 8 * step + 8)}).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model.eval(), losses[0], losses[-1]
