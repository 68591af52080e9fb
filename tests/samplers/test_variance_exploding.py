"""The schedule that keeps the video and drowns it in noise, and sampling with it."""

import pytest
import torch
from reference.known_answers import error, gaussian, noise, quantiles, seeded

from mcvd.noise import Geometric, LinearBeta
from mcvd.runtime.rng import KeyedNoise
from mcvd.samplers import (
    DDIM,
    DDPM,
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
from mcvd.samplers.spacing import Karras, LogSNR

SCHEDULE = Geometric()
LANGEVIN = AnnealedLangevin(30, num_langevin_steps=3)


def test_the_grid_is_a_geometric_series_and_zero_is_clean():
    grid = (torch.arange(10, dtype=torch.float64) + 1) / 10
    at = Geometric(num_steps=10, sigma_min=0.1, sigma_max=20)(grid)
    torch.testing.assert_close(at.sigma, torch.logspace(-1, 1.3010299956639813, 10, dtype=torch.float64))
    assert (at.alpha == 1).all()
    clean = SCHEDULE(torch.zeros(2))
    assert clean.alpha.tolist() == [1, 1]
    assert clean.sigma.tolist() == [0, 0]


def test_noise_only_grows_and_has_the_shape_and_dtype_of_time():
    t = torch.linspace(0, 1, 4001).reshape(1, -1)
    sigma = SCHEDULE(t).sigma
    assert (sigma.diff() > 0).all()
    assert sigma.shape == t.shape
    assert sigma.dtype == torch.float32
    torch.testing.assert_close(sigma.double(), SCHEDULE(t.double()).sigma, rtol=2e-6, atol=0)


@pytest.mark.parametrize("wrong", [{"num_steps": 1}, {"sigma_min": 0}, {"sigma_max": 0.001}])
def test_impossible_series_are_refused(wrong):
    with pytest.raises(ValueError, match="sigma_min"):
        Geometric(**wrong)


@pytest.mark.parametrize("spacing", [LogSNR(), Karras()], ids=repr)
def test_steps_begin_with_the_most_noise(spacing):
    assert spacing(10, SCHEDULE)[0] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "sampler",
    [
        AnnealedLangevin(200, num_langevin_steps=5),
        ConsistentAnnealedLangevin(800, step_size=0.02),
        PredictorCorrector(200),
        DDPM(300, spacing=LogSNR()),
        DDIM(300),
        DPMSolverPP(50),
        SDEDPMSolverPP(50),
        SASolver(50),
        UniPC(50),
        Heun(50),
        AdaptiveSDE(),
    ],
    ids=repr,
)
def test_samplers_reach_the_distribution(sampler):
    distance, _ = error(sampler, SCHEDULE, quantiles(2000))
    assert distance < 0.03


class TestAnnealedLangevin:
    def test_calls_as_often_as_it_says_and_never_at_zero(self):
        times = []

        def counting(x, t):
            times.append(t.min().item())
            return gaussian(SCHEDULE)(x, t)

        LANGEVIN(counting, 50 * noise(2, 8), SCHEDULE, seeded())
        assert len(times) == LANGEVIN.num_calls == 91
        assert min(times) > 0
        assert set(times) == set(LANGEVIN.times(SCHEDULE).tolist())

    def test_a_sample_does_not_depend_on_its_neighbours(self):
        start = 50 * noise(2, 8)
        whole = LANGEVIN(gaussian(SCHEDULE), start, SCHEDULE, KeyedNoise([(0,), (1,)]))
        alone = LANGEVIN(gaussian(SCHEDULE), start[1:], SCHEDULE, KeyedNoise([(1,)]))
        torch.testing.assert_close(whole[1:], alone, rtol=0, atol=1e-12)

    def test_clips_and_keeps_dtype_and_input(self):
        start = 50 * noise(2, 8).float()
        before = start.clone()
        sample = LANGEVIN(lambda x, t: 5 * torch.sign(x), start, SCHEDULE, seeded())
        assert sample.dtype == torch.float32
        assert sample.abs().max() <= 1
        assert torch.equal(start, before)

    def test_refuses_a_schedule_that_shrinks_the_video(self):
        with pytest.raises(ValueError, match="PredictorCorrector"):
            LANGEVIN(gaussian(LinearBeta()), noise(1, 4), LinearBeta())

    @pytest.mark.parametrize("wrong", [{"num_langevin_steps": 0}, {"step_size": 1.5}])
    def test_refuses_impossible_steps(self, wrong):
        with pytest.raises(ValueError, match="step_size"):
            AnnealedLangevin(**wrong)


class TestConsistentAnnealedLangevin:
    @pytest.mark.parametrize("sampler", [ConsistentAnnealedLangevin(), ConsistentAnnealedLangevin(20)], ids=repr)
    def test_the_state_has_the_noise_of_each_level_exactly(self, sampler):
        """For one clean video the state is that plus noises, whose squares add up to sigma^2: algorithm 3, eq. 9."""
        clean, at, variances = 0.25, sampler.spacing(sampler.num_steps, SCHEDULE), []
        size = sampler.num_steps

        def denoise(x, t):
            variances.append((x - clean).square().sum().item())
            return torch.full_like(x, clean)

        units = iter(torch.eye(size + 1, dtype=torch.float64)[1:, :, None])
        start = torch.full((size + 1, 1), clean, dtype=torch.float64)
        start[0] += SCHEDULE(at[0]).sigma
        sampler(denoise, start, SCHEDULE, lambda x: next(units))
        torch.testing.assert_close(
            torch.tensor(variances, dtype=torch.float64), SCHEDULE(at[:-1]).sigma ** 2, rtol=1e-10, atol=0
        )

    def test_the_plain_method_has_more_noise_than_it_tells(self):
        """Why this one is there: at the paper's step size some tenths of the standard deviation more."""
        found = []

        def denoise(x, t):
            found.append((x.std() / SCHEDULE(t[:1].double()).sigma).item())
            return torch.zeros_like(x)

        AnnealedLangevin(200, num_langevin_steps=1)(denoise, 50 * noise(1, 4000), SCHEDULE, seeded())
        assert found[-1] > 1.05

    def test_calls_as_often_as_it_says_and_refuses_other_schedules(self):
        sampler, times = ConsistentAnnealedLangevin(7), []
        sampler(lambda x, t: times.append(t) or torch.zeros_like(x), 50 * noise(1, 4), SCHEDULE, seeded())
        assert len(times) == sampler.num_calls == 7
        with pytest.raises(ValueError, match="ConsistentAnnealedLangevin needs alpha = 1"):
            sampler(gaussian(LinearBeta()), noise(1, 4), LinearBeta())
        with pytest.raises(ValueError, match="step_size"):
            ConsistentAnnealedLangevin(step_size=1.0)
