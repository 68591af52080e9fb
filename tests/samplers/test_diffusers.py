"""Schedulers of diffusers as samplers: the same steps as our own where both have the method, and the same laws."""

import sys

import pytest
import torch
from reference.known_answers import error, gaussian, noise, quantiles, seeded
from reference.tiny import tiny_model

from mcvd.diffusion.options import SamplingOptions
from mcvd.models import config
from mcvd.models.config import config_of, model_from_config
from mcvd.noise import Cosine, Geometric, LinearBeta, SubVP, ZeroTerminalSNR
from mcvd.runtime.rng import KeyedNoise
from mcvd.samplers import DDIM, DDPM, Diffusers, DPMSolverPP, Heun, SDEDPMSolverPP, Uniform, UniPC
from mcvd.samplers.diffusers_scheduler import betas_of
from mcvd.samplers.select import sampler_by_name

diffusers = pytest.importorskip("diffusers", reason='no schedulers: pip install "mcvd[diffusers]"')
SCHEDULE = LinearBeta()
NARROW = gaussian(SCHEDULE, mean=0.5, std=0.1)

PAIRS = {
    "DDIM": (Diffusers("DDIMScheduler", 20), DDIM(20)),
    "DDPM": (Diffusers("DDPMScheduler", 20), DDPM(20)),
    "DPM-Solver++": (Diffusers("DPMSolverMultistepScheduler", 20), DPMSolverPP(20, spacing=Uniform())),
    "its first order": (
        Diffusers("DPMSolverMultistepScheduler", 20, options={"solver_order": 1}),
        DDIM(20),
    ),
    "its stochastic form": (
        Diffusers("DPMSolverMultistepScheduler", 20, options={"algorithm_type": "sde-dpmsolver++"}),
        SDEDPMSolverPP(20, spacing=Uniform()),
    ),
    "UniPC": (Diffusers("UniPCMultistepScheduler", 20), UniPC(20, spacing=Uniform())),
    "Heun": (Diffusers("HeunDiscreteScheduler", 20), Heun(20, spacing=Uniform())),
}
OTHERS = [
    Diffusers("EulerDiscreteScheduler", options={"use_karras_sigmas": True}),
    Diffusers("EulerAncestralDiscreteScheduler"),
    Diffusers("KDPM2DiscreteScheduler"),
    Diffusers("PNDMScheduler", options={"skip_prk_steps": True, "set_alpha_to_one": True}),
    Diffusers("LMSDiscreteScheduler"),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_its_steps_are_those_of_our_own_sampler(pair):
    theirs, ours = PAIRS[pair]
    start = noise(2, 16)
    found, expected = (each(NARROW, start, SCHEDULE, seeded()) for each in (theirs, ours))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert theirs.num_calls == ours.num_calls
    torch.testing.assert_close(theirs.times(SCHEDULE).unique(), ours.times(SCHEDULE).unique())


@pytest.mark.parametrize("schedule", [Cosine(), ZeroTerminalSNR(LinearBeta()), SubVP(), Geometric()], ids=repr)
def test_every_schedule_reaches_the_distribution(schedule):
    assert error(Diffusers(num_steps=100), schedule, quantiles(1000))[0] < 0.01


@pytest.mark.parametrize("sampler", OTHERS, ids=lambda sampler: sampler.scheduler)
def test_other_schedulers_reach_the_distribution_each_video_by_itself(sampler):
    assert error(Diffusers(sampler.scheduler, 100, options=sampler.options), SCHEDULE, quantiles(1000))[0] < 0.04
    start = noise(2, 3, 4)
    both = sampler(NARROW, start, SCHEDULE, KeyedNoise([(0,), (1,)]))
    torch.testing.assert_close(both[1:], sampler(NARROW, start[1:], SCHEDULE, KeyedNoise([(1,)])))


def test_the_noise_is_the_schedules():
    torch.testing.assert_close(betas_of(SCHEDULE), torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64))


def test_a_model_samples_by_it_and_its_config_brings_it_back():
    options = {"use_karras_sigmas": True}
    sampler = Diffusers("EulerDiscreteScheduler", 2, options=options)
    videos = [tiny_model().generate(3, sampler=sampler, seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(videos[0], videos[1]) and not torch.equal(videos[0], videos[2])
    written = config_of(Holder, {"sampler": sampler})
    assert written["sampler"]["class_path"] == "mcvd.samplers.Diffusers"
    assert model_from_config(Holder, written).sampler == sampler


class Holder:
    def __init__(self, sampler: config.AbstractSampler):
        self.sampler = sampler


def test_a_scheduler_object_tells_what_is_not_default():
    scheduler = diffusers.DPMSolverMultistepScheduler(beta_start=0.5, solver_order=3, use_karras_sigmas=True)
    sampler = Diffusers.of(scheduler, num_steps=7)
    options = {"solver_order": 3, "use_karras_sigmas": True, "timestep_spacing": "linspace"}
    assert sampler == Diffusers("DPMSolverMultistepScheduler", 7, options=options)


def test_the_command_line_names_it():
    named = sampler_by_name("diffusers.UniPCMultistepScheduler", 7)
    assert named == Diffusers("UniPCMultistepScheduler", 7) and named.label == "diffusers.UniPCMultistepScheduler"


MISTAKES = {
    "a name": (lambda: Diffusers("EulerDiscretScheduler"), "did you mean EulerDiscreteScheduler"),
    "no scheduler": (lambda: Diffusers("os.system"), "no scheduler os.system; "),
    "flow matching": (lambda: Diffusers("FlowMatchEulerDiscreteScheduler"), "its own noise|network's own noise"),
    "inversion": (lambda: Diffusers("DDIMInverseScheduler"), "from clean frames to noise"),
    "an option": (lambda: Diffusers(options={"solver_ordr": 3}), "did you mean solver_order"),
    "a value": (lambda: Diffusers(options={"solver_order": 10**9}), "at most 10000, got 1000000000"),
    "what does not fit": (
        lambda: Diffusers(options={"algorithm_type": "magic"}),
        "DPMSolverMultistepScheduler with 20",
    ),
    "noise of its own": (lambda: Diffusers(options={"beta_schedule": "linear"}), "follows from the model"),
    "more steps than times": (lambda: Diffusers(num_steps=50)(NARROW, noise(1, 4), LinearBeta(10)), "1 to 10"),
    "a scheduler as it is": (
        lambda: SamplingOptions(sampler=diffusers.DDIMScheduler()),
        r"mcvd\.samplers\.Diffusers\.of",
    ),
    "a name without its package": (lambda: sampler_by_name("DDIMScheduler"), r"did you mean diffusers\.DDIMScheduler"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_is_refused(mistake):
    wrong, said = MISTAKES[mistake]
    with pytest.raises(ValueError, match=said) as told:
        wrong()
    assert "\n" not in str(told.value)


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ImportError, match=r"mcvd\[diffusers\]"):
        Diffusers()


def test_an_unknown_scheduler_is_told_in_a_short_line():
    with pytest.raises(ValueError, match="no scheduler Zebra") as told:
        Diffusers("Zebra")
    assert len(str(told.value)) < 150 and "EulerDiscreteScheduler" in str(told.value)
