"""Laws that every sampler obeys; a new one is tested by being there."""

import math
import pkgutil
import re
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from reference.known_answers import (
    MEAN,
    STD,
    Part,
    called_times,
    error,
    gaussian,
    gaussian_flow,
    moments,
    noise,
    quantiles,
    seeded,
    time,
)

from mcvd import samplers
from mcvd.noise import Coefficients, Cosine, LinearBeta, SubVP, ZeroTerminalSNR
from mcvd.runtime.rng import KeyedNoise
from mcvd.samplers import (
    DDIM,
    DDPM,
    PNDM,
    AbstractSampler,
    AdaptiveSDE,
    AnnealedLangevin,
    ConsistentAnnealedLangevin,
    DPMSolverPP,
    Heun,
    PredictorCorrector,
    SASolver,
    SDEDPMSolverPP,
    UniPC,
)
from mcvd.samplers.select import sampler_by_name, sampler_names, short_name
from mcvd.samplers.spacing import Karras, LogSNR, Uniform

SCHEDULE = LinearBeta()
GREY_LEVEL = 2 / 255  # pixels range from -1 to 1
NARROW = gaussian(SCHEDULE, mean=0.5, std=0.1)

DETERMINISTIC = [
    DDIM(20),
    DDIM(20, spacing=LogSNR()),
    PNDM(20),
    DPMSolverPP(20),
    DPMSolverPP(20, spacing=Karras()),
    DPMSolverPP(20, threshold=0.9),
    DPMSolverPP(20, order=3),
    UniPC(20, order=1),
    UniPC(20),
    UniPC(20, order=3, spacing=Uniform()),
    Heun(20),
    SDEDPMSolverPP(20, eta=0),
]
STOCHASTIC = [
    DDPM(20),
    DDPM(20, just_beta=True),
    DDPM(20, spacing=LogSNR()),
    DDIM(20, eta=1),
    Heun(20, s_churn=10),
    SDEDPMSolverPP(20),
    SDEDPMSolverPP(20, eta=0.5, spacing=Karras()),
    SASolver(20),
    SASolver(20, eta=0.5),
    AdaptiveSDE(),
    PredictorCorrector(20),
]
NOT_FOR_EVERY_SCHEDULE = {AnnealedLangevin, ConsistentAnnealedLangevin}  # see test_variance_exploding


def all_samplers():
    """Every sampler that a module of the package defines."""
    modules = [import_module(f"mcvd.samplers.{module.name}") for module in pkgutil.iter_modules(samplers.__path__)]
    kinds = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    return {kind for kind in kinds if issubclass(kind, AbstractSampler) and not kind.__name__.startswith("Abstract")}


def draws(sampler):
    def refuse(x):
        raise InterruptedError

    try:
        sampler(NARROW, noise(1, 4), SCHEDULE, refuse)
    except InterruptedError:
        return True
    return False


for kind in sorted(all_samplers() - NOT_FOR_EVERY_SCHEDULE, key=lambda kind: kind.__name__):
    if not any(isinstance(sampler, kind) for sampler in DETERMINISTIC + STOCHASTIC):
        (STOCHASTIC if draws(kind()) else DETERMINISTIC).append(kind())

# Those whose steps do not depend on the state: their mean and variance follow without drawing a sample.
LINEAR = [sampler for sampler in STOCHASTIC if not isinstance(sampler, AdaptiveSDE | PredictorCorrector)]


def test_the_package_exports_every_sampler():
    assert {kind.__name__ for kind in all_samplers()} == set(sampler_names())
    assert {kind.__name__ for kind in all_samplers()} <= set(samplers.__all__)


@pytest.mark.parametrize("sampler", DETERMINISTIC + STOCHASTIC, ids=repr)
class TestEverySampler:
    def test_reaches_the_one_known_answer(self, sampler):
        sample = sampler(lambda x, t: torch.full_like(x, 0.5), noise(2, 3, 4), SCHEDULE, seeded())
        torch.testing.assert_close(sample, torch.full_like(sample, 0.5))

    def test_calls_the_network_as_often_as_it_says_and_never_at_zero(self, sampler):
        times = []

        def counting(noisy, t):
            times.append(t.min().item())
            return NARROW(noisy, t)

        sampler(counting, noise(2, 3), SCHEDULE, seeded())
        assert len(times) <= sampler.num_calls
        assert len(times) == sampler.num_calls or isinstance(sampler, AdaptiveSDE)
        assert min(times) > 0

    def test_tells_all_times_at_which_it_calls(self, sampler):
        known, called = set(sampler.times(SCHEDULE).tolist()), called_times(sampler, NARROW, noise(2, 3), SCHEDULE)
        assert called <= known
        assert called == known or isinstance(sampler, AdaptiveSDE)

    def test_the_same_draws_give_the_same_sample(self, sampler):
        one, two = (sampler(NARROW, noise(2, 8), SCHEDULE, seeded()) for _ in range(2))
        assert torch.equal(one, two)

    def test_a_sample_does_not_depend_on_its_neighbours(self, sampler):
        start = noise(3, 8) * torch.tensor([[0.1], [1], [3]])
        whole = sampler(NARROW, start, SCHEDULE, KeyedNoise([(0,), (1,), (2,)]))
        for row in range(3):
            alone = sampler(NARROW, start[row : row + 1], SCHEDULE, KeyedNoise([(row,)]))
            torch.testing.assert_close(whole[row : row + 1], alone, rtol=0, atol=1e-12)

    def test_leaves_its_input_alone(self, sampler):
        start = noise(2, 8)
        before = start.clone()
        sampler(NARROW, start, SCHEDULE, seeded())
        assert torch.equal(start, before)

    def test_keeps_the_dtype_of_the_state(self, sampler):
        def checked(noisy, t):
            assert noisy.dtype == t.dtype == torch.float32
            return NARROW(noisy, t)

        single = sampler(checked, noise(2, 8).float(), SCHEDULE, KeyedNoise([(0,), (1,)]))
        double = sampler(NARROW, noise(2, 8), SCHEDULE, KeyedNoise([(0,), (1,)]))
        assert single.dtype == torch.float32
        torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-4)

    def test_clipping_bounds_a_wild_denoiser(self, sampler):
        sample = sampler(lambda x, t: 5 * torch.sign(x), noise(2, 8), SCHEDULE, seeded())
        assert sample.abs().max() <= 1 + 1e-12

    def test_one_step_is_enough_to_end(self, sampler):
        if not isinstance(sampler, AdaptiveSDE):
            assert replace(sampler, num_steps=1)(NARROW, noise(2, 8), SCHEDULE, seeded()).isfinite().all()

    def test_no_steps_are_refused(self, sampler):
        if not isinstance(sampler, AdaptiveSDE):
            with pytest.raises(ValueError, match="num_steps"):
                replace(sampler, num_steps=0)(NARROW, noise(1, 4), SCHEDULE)


@pytest.mark.parametrize("sampler", DETERMINISTIC, ids=repr)
class TestEveryDeterministicSampler:
    def test_draws_nothing(self, sampler):
        def refuse(x):
            raise AssertionError("a deterministic sampler needs no noise")

        sampler(NARROW, noise(1, 4), SCHEDULE, refuse)

    @pytest.mark.parametrize("schedule", [LinearBeta(), Cosine()], ids=["linear", "cosine"])
    def test_the_error_falls_with_the_order(self, sampler, schedule):
        part, start = Part(schedule), noise(1, 64)
        truth = gaussian_flow(start, part(time(1.0)), part(time(0.0)))
        errors = []
        for num_steps in (128, 256):
            run = replace(sampler, num_steps=num_steps, clip=False, **PLAIN.get(type(sampler), {}))
            errors.append((run(gaussian(part), start, part) - truth).abs().mean().item())
        assert math.log2(errors[0] / errors[1]) > sampler.order - 0.25


@pytest.mark.parametrize("schedule", [LinearBeta(), Cosine()], ids=["linear", "cosine"])
@pytest.mark.parametrize("sampler", LINEAR, ids=repr)
def test_fresh_noise_keeps_the_mean_and_the_error_of_the_variance_falls_with_the_order(sampler, schedule):
    part = Part(schedule)
    at = part(time(0.0))
    spread, errors = ((at.alpha * STD) ** 2 + at.sigma**2).sqrt().item(), []
    for num_steps in (128, 256):
        run = replace(sampler, num_steps=num_steps, clip=False, **PLAIN[type(sampler)])
        mean, std = moments(run, part)
        assert mean == pytest.approx((at.alpha * MEAN).item(), abs=1e-12)
        errors.append(abs(std - spread))
    assert math.log2(errors[0] / errors[1]) > sampler.order - 0.25


@pytest.mark.parametrize(
    "sampler", [DDIM(), DPMSolverPP(), DPMSolverPP(order=3), UniPC(), UniPC(order=3), Heun()], ids=repr
)
def test_with_the_default_spacing_the_order_holds_down_to_the_last_noise(sampler):
    start, errors = noise(1, 64), []
    denoise = gaussian(SCHEDULE)
    for num_steps in (64, 128):
        run, states = replace(sampler, num_steps=num_steps, clip=False), {}

        def recording(x, t, states=states):
            states[t[0].item()] = x
            return denoise(x, t)

        run(recording, start, SCHEDULE)
        first, last = SCHEDULE(run.spacing(num_steps, SCHEDULE)[0]), min(states)
        truth = gaussian_flow(start, first, SCHEDULE(time(last)))
        errors.append((states[last] - truth).abs().mean().item())
    assert math.log2(errors[0] / errors[1]) > sampler.order - 0.25


@pytest.mark.parametrize("schedule", [LinearBeta(), Cosine()], ids=["linear", "cosine"])
@pytest.mark.parametrize("sampler", DETERMINISTIC + LINEAR, ids=repr)
def test_with_the_jump_to_zero_the_error_falls_still_or_is_far_below_a_grey_level(sampler, schedule):
    """The last step is of first order for all, and what it leaves does not fall: the variance of the least noise."""
    start, errors = noise(1, 64), []
    truth = gaussian_flow(start, Coefficients(time(0.0), time(1.0)), Coefficients(time(1.0), time(0.0)))
    for num_steps in (64, 128):
        run = replace(sampler, num_steps=num_steps, clip=False)
        run = replace(run, threshold=None) if isinstance(run, DPMSolverPP) else run
        if sampler in DETERMINISTIC:
            errors.append((run(gaussian(schedule), start, schedule) - truth).abs().mean().item())
        else:
            errors.append(abs(moments(run, schedule)[1] - STD))
    assert errors[1] < max(GREY_LEVEL / 5, 0.65 * errors[0])


@pytest.mark.parametrize("sampler", STOCHASTIC, ids=repr)
def test_fresh_noise_makes_samples_differ(sampler):
    one, two = (sampler(NARROW, noise(1, 8), SCHEDULE, seeded(seed)) for seed in (1, 2))
    assert (one - two).abs().mean() > 0.03


# The log-SNR of a Part is finite at t = 0, where the other spacings would make one long last step.
PLAIN = {kind: {"spacing": Uniform()} for kind in (DDIM, DDPM, DPMSolverPP, UniPC, Heun, SASolver, SDEDPMSolverPP)}
PLAIN[DPMSolverPP]["threshold"] = None


SCHEDULES = [LinearBeta(), Cosine(), ZeroTerminalSNR(LinearBeta()), SubVP()]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["linear", "cosine", "zero-terminal", "sub-vp"])
@pytest.mark.parametrize("sampler", DETERMINISTIC + STOCHASTIC, ids=repr)
def test_many_steps_reach_the_distribution(sampler, schedule):
    if not isinstance(sampler, AdaptiveSDE):
        sampler = replace(sampler, num_steps=200)
    truth = quantiles(2000)
    distance, _ = error(sampler, schedule, truth)
    assert distance < (0.01 if sampler in DETERMINISTIC else 0.025)


@pytest.mark.parametrize("name", sampler_names())
def test_upper_and_lower_case_of_a_name_do_not_count(name):
    assert sampler_by_name(name.lower()) == sampler_by_name(name.upper()) == sampler_by_name(name)


@pytest.mark.parametrize("name", sampler_names())
def test_what_a_sampler_is_called_finds_it_again(name):
    sampler = sampler_by_name(name)
    assert sampler_by_name(short_name(sampler)) == sampler


@pytest.mark.parametrize(
    ("name", "steps", "message"),
    [
        ("UniPC:", None, "as in UniPC:6"),
        ("UniPC:0", None, "as in UniPC:6"),
        (":6", None, "as in UniPC:6"),
        ("UniPC:6:7", None, "as in UniPC:6"),
        ("UniPC:" + "9" * 5000, None, "as in UniPC:6"),
        ("UniPC:6", 7, "only once"),
    ],
)
def test_steps_behind_a_name_are_a_number_that_nothing_contradicts(name, steps, message):
    assert sampler_by_name("unipc:6") == sampler_by_name("UniPC:6", 6) == UniPC(6)
    with pytest.raises(ValueError, match=message):
        sampler_by_name(name, steps)


@pytest.mark.parametrize(("name", "meant"), [("DDMP", "DDPM"), ("uni_pcc", "UniPC"), ("DPM++", "DPMSolverPP")])
def test_a_name_that_is_near_is_offered(name, meant):
    with pytest.raises(ValueError, match=f"no sampler {re.escape(name)}; did you mean .*{meant}"):
        sampler_by_name(name)
