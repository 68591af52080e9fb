"""On a GPU the host sends work ahead: neither the steps of samplers nor those of a training wait for it.

There is no GPU here: `reference.fake_gpu` knows what would be read from one, and sent to it.
"""

from functools import partial

import pytest
import torch
from reference.fake_gpu import FakeGPU
from reference.tiny import tiny_config
from torch._subclasses.fake_tensor import DataDependentOutputException

import mcvd
import mcvd.models.mcvd
import mcvd.noise
import mcvd.training.muon
from mcvd.runtime.rng import TrainingDraws
from mcvd.samplers import (
    DDIM,
    DDPM,
    PNDM,
    AdaptiveSDE,
    AnnealedLangevin,
    DPMSolverPP,
    Heun,
    SASolver,
    SDEDPMSolverPP,
    UniPC,
)
from mcvd.training import Muon
from mcvd.training.ema import _Averages
from mcvd.training.nonfinite import NonFiniteSkipper

SAMPLERS = [DDIM(3), DDPM(3), PNDM(5), SDEDPMSolverPP(3), DPMSolverPP(3), Heun(3), SASolver(4), UniPC(4)]
SCHEDULES = {
    "LinearBeta": {},
    "Cosine": {},
    "SubVP": {},
    "Geometric": {},
    "ZeroTerminalSNR": {"schedule": {"class_path": "mcvd.noise.LinearBeta"}},
}


@pytest.fixture
def gpu(monkeypatch):
    return with_tables(FakeGPU(), monkeypatch)


def with_tables(gpu, monkeypatch):
    """The tables of `LinearBeta` are there from the call before, as far as this GPU can hold numbers."""
    with_grid = {(1000, 1e-4, 0.02, torch.device("cuda", 0)): gpu.zeros(1000, dtype=torch.float64)}
    monkeypatch.setattr(mcvd.noise, "_TABLES", mcvd.noise._TABLES | with_grid)
    return gpu


def model_on(gpu, **changes):
    return gpu.move(mcvd.build(tiny_config() | {"predicts": "edm"} | changes).eval())


def bound(gpu, model, guidance=1.0):
    past, future = gpu.zeros(2, 2, model.channels, 16, 16), gpu.zeros(2, 2, model.channels, 16, 16)
    return model.denoiser.bind(mcvd.Condition.visible(past, future), guidance)


@pytest.mark.parametrize("reference", ["frames", "context"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_no_step_of_a_sampler_waits(gpu, monkeypatch, name, reference):
    schedule = {"class_path": f"mcvd.noise.{name}", "init_args": SCHEDULES[name]}
    model = model_on(gpu, schedule=schedule, reference=reference)
    with torch.no_grad(), gpu.on(monkeypatch):
        denoise = bound(gpu, model)
        gpu.sent.clear()
        samplers = [AnnealedLangevin(2)] if name == "Geometric" else SAMPLERS
        for sampler in samplers:
            sample = sampler(denoise, gpu.zeros(2, 3, 1, 16, 16), model.denoiser.schedule)
            assert sample.shape == (2, 3, 1, 16, 16) and sample.device.type == "cuda"
            assert gpu.sent == [], sampler


@pytest.mark.parametrize("flow", [False, True])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_colours_of_residuals_and_of_noise_do_not_wait(gpu, monkeypatch, guidance, flow):
    colors = {"reference": "context", "reference_colors": True, "colored_noise": True, "reference_flow": flow}
    model = model_on(gpu, **(tiny_config(channels=3) | colors))
    with torch.no_grad(), gpu.on(monkeypatch):
        denoise = bound(gpu, model, guidance)
        noise = gpu.zeros(2, 3, 3, 16, 16)
        DDIM(1)(denoise, noise, model.denoiser.schedule)
        gpu.sent.clear()
        sample = DDIM(3, eta=1.0)(denoise, noise, model.denoiser.schedule, model.denoiser.noise_colors)
        assert denoise.to_frames(sample).device.type == "cuda" and gpu.sent == []


@pytest.mark.parametrize("reference", ["frames", "context"])
def test_no_step_under_guidance_waits(gpu, monkeypatch, reference):
    model = model_on(gpu, reference=reference)
    with torch.no_grad(), gpu.on(monkeypatch):
        denoise = bound(gpu, model, guidance=2.0)
        gpu.sent.clear()
        UniPC(4)(denoise, gpu.zeros(2, 3, 1, 16, 16), model.denoiser.schedule)
    assert gpu.sent == []


def test_the_fake_gpu_sees_what_is_read_and_what_is_sent(gpu, monkeypatch):
    with gpu.on(monkeypatch):
        there = gpu.zeros(3)
        assert (there * torch.tensor(2.0) + 1).shape == (3,) and gpu.sent == []  # numbers of the host go with the call
        torch.ones(3).to("cuda")
        assert len(gpu.sent) == 1
        there.new_tensor([1.0])
        assert len(gpu.sent) == 2
        with pytest.raises(DataDependentOutputException):
            there.sum().item()
        assert torch.ones(3).sum().item() == 3  # the CPU computes
    model = model_on(gpu)
    with torch.no_grad(), gpu.on(monkeypatch), pytest.raises(DataDependentOutputException):
        AdaptiveSDE()(bound(gpu, model), gpu.zeros(2, 3, 1, 16, 16), model.denoiser.schedule)  # it has to look


class DrawsThere:
    """Stands for the numbers of the GPU's own generator, of which there is none."""

    gpu = FakeGPU()

    def __init__(self, seed, device):
        assert device.type == "cuda"

    def __call__(self, indices, *shapes, num_more=0):
        zeros, rows = self.gpu.zeros, len(indices)
        normal = tuple(zeros(rows, *shape) for shape in shapes)
        return TrainingDraws(zeros(rows, 2), zeros(rows), zeros(rows, 2), zeros(rows), zeros(rows, num_more), normal)


@pytest.mark.parametrize(
    "changes",
    [
        {"predicts": "eps"},
        {"predicts": "eps", "schedule": {"class_path": "mcvd.noise.LinearBeta"}},
        {"reference": "context", "colored_noise": True, "min_snr": 5.0},
        {"reference": "context", "reference_flow": True},
        {"masking": {"p_past": 0.5, "p_future": 0.5, "p_partial": 0.5}, "context_noise": 0.2},
    ],
    ids=["published", "LinearBeta", "residuals", "residuals that move", "noise on the context"],
)
@pytest.mark.parametrize("conditioning", ["Concat", "SPATIN"])
def test_no_loss_of_a_training_waits(monkeypatch, changes, conditioning):
    gpu = with_tables(DrawsThere.gpu, monkeypatch)
    config = tiny_config(conditioning=conditioning) | {"predicts": "edm"} | changes
    told = config["net"]["init_args"]["conditioning"]["init_args"]
    told |= {"tell_motion": "reference" in changes, "tell_noise": "context_noise" in changes}
    model = gpu.move(mcvd.build(config).train())
    monkeypatch.setattr(mcvd.models.mcvd, "TrainingNoise", DrawsThere)
    with gpu.on(monkeypatch):
        for step in range(2):  # what is brought there once, for all steps, comes in the first
            gpu.sent.clear()
            batch = {"video": gpu.zeros(2, 7, 1, 16, 16, dtype=torch.uint8), "index": [2 * step, 2 * step + 1]}
            loss = model.loss(batch).mean()  # autograd's own backward pass needs a driver
    assert loss.requires_grad and gpu.sent == []


@pytest.mark.parametrize("flow", [False, True])
def test_nothing_that_measures_residuals_waits(gpu, monkeypatch, flow):
    model = model_on(gpu, **(tiny_config(channels=3) | {"reference": "context", "reference_flow": flow}))
    parts = model.block.split(gpu.zeros(2, 7, 3, 16, 16))
    with gpu.on(monkeypatch):
        model.denoiser.measure(*parts)
        gpu.sent.clear()
        model.denoiser.measure(*parts)
    assert gpu.sent == []


@pytest.mark.parametrize("make", [Muon, partial(torch.optim.AdamW, fused=True)], ids=["Muon", "AdamW"])
def test_no_step_of_an_optimizer_waits_nor_do_averages(gpu, monkeypatch, make):
    monkeypatch.setattr(mcvd.training.muon, "has_fast_bf16", lambda device: True)
    model = mcvd.build(tiny_config())
    averages = _Averages(model, torch.device("cpu"), 0.99, True)
    gpu.move(model), gpu.move(averages.module)
    optimizer, skipper = make(model.parameters()), None
    with gpu.on(monkeypatch):
        for _ in range(2):
            gpu.sent.clear()
            for parameter in model.parameters():
                parameter.grad = gpu.zeros(*parameter.shape)
            skipper = skipper or NonFiniteSkipper(torch.device("cuda"))
            skipper.skip_if_not_finite(optimizer, model.parameters())
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            averages.update_parameters(model)
    assert gpu.sent == []
