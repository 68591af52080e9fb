"""Noise schedules and the conversions between clean frames, noise and velocity."""

import math

import pytest
import torch
from reference.published import needs_fixtures, tensors

from mcvd.noise import (
    Coefficients,
    Cosine,
    Geometric,
    LinearBeta,
    SubVP,
    ZeroTerminalSNR,
    clean_from_noise,
    clean_from_velocity,
    label_from_time,
    noise_from_clean,
    noisy_from_clean,
    velocity_from_clean,
)

SCHEDULES = [LinearBeta(), LinearBeta(num_steps=7), Cosine(), ZeroTerminalSNR(LinearBeta())]
TIMES = torch.linspace(0, 1, 4001, dtype=torch.float64)


@pytest.mark.parametrize("schedule", SCHEDULES)
class TestSchedules:
    def test_variance_is_preserved(self, schedule):
        at = schedule(TIMES)
        torch.testing.assert_close(at.alpha**2 + at.sigma**2, torch.ones_like(TIMES), rtol=0, atol=1e-12)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_time_zero_is_exactly_clean(self, schedule, dtype):
        at = schedule(torch.zeros(3, dtype=dtype))
        assert at.alpha.tolist() == [1, 1, 1]
        assert at.sigma.tolist() == [0, 0, 0]

    def test_noise_only_grows(self, schedule):
        assert (schedule(TIMES).sigma.diff() >= 0).all()
        assert (schedule(TIMES[1:]).alpha.diff() < 0).all()

    def test_shape_and_dtype_are_those_of_time(self, schedule):
        at = schedule(torch.rand(2, 3))
        assert at.alpha.shape == at.sigma.shape == (2, 3)
        assert at.alpha.dtype == torch.float32

    def test_single_precision_time_meets_the_grid(self, schedule):
        grid = (torch.arange(schedule.num_steps, dtype=torch.float64) + 1) / schedule.num_steps
        exact, single = schedule(grid), schedule(grid.float())
        torch.testing.assert_close(single.sigma, exact.sigma.float(), rtol=3e-7, atol=0)

    def test_small_times_have_little_noise_and_no_jump(self, schedule):
        t = torch.logspace(-8, -2, 200, dtype=torch.float64)
        assert (schedule(t).sigma.log().diff() < 0.2).all()


def test_linear_is_its_definition_on_the_grid():
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    grid = (torch.arange(1000, dtype=torch.float64) + 1) / 1000
    torch.testing.assert_close(LinearBeta()(grid).alpha ** 2, alpha_bar, rtol=1e-12, atol=0)


def test_linear_interpolates_the_log_signal_to_noise_ratio():
    def log_snr(t):
        at = LinearBeta()(torch.tensor(t, dtype=torch.float64))
        return (at.alpha / at.sigma).log().item()

    assert log_snr(0.5005) == pytest.approx((log_snr(0.5) + log_snr(0.501)) / 2, rel=1e-9)


def test_cosine_is_its_definition():
    def f(t):
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    assert Cosine()(torch.tensor(0.3, dtype=torch.float64)).alpha.item() ** 2 == pytest.approx(f(0.3) / f(0), rel=1e-12)


@needs_fixtures
@pytest.mark.parametrize(("name", "schedule"), [("linear", LinearBeta()), ("cosine", Cosine())])
def test_schedules_are_the_published_ones(name, schedule):
    published = tensors("schedules_f")[f"{name}.alphas"].flip(0)  # stored noisiest first, float32
    grid = (torch.arange(1000) + 1) / 1000
    torch.testing.assert_close(schedule(grid).alpha ** 2, published, rtol=1e-6, atol=3e-7)


AT = Coefficients(torch.tensor(0.6, dtype=torch.float64), torch.tensor(0.8, dtype=torch.float64))
CLEAN, NOISE = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("at", [AT, Coefficients(torch.tensor(1.0).double(), torch.tensor(3.0).double())])
def test_conversions_are_inverse_pairs(at):
    noisy = noisy_from_clean(CLEAN, NOISE, at)
    velocity = velocity_from_clean(CLEAN, NOISE, at)
    torch.testing.assert_close(clean_from_noise(noisy, NOISE, at), CLEAN)
    torch.testing.assert_close(noise_from_clean(noisy, CLEAN, at), NOISE)
    torch.testing.assert_close(clean_from_velocity(noisy, velocity, at), CLEAN)


def test_velocity_gives_the_clean_video_even_without_signal():
    at = Coefficients(torch.tensor(0.0), torch.tensor(1.0))
    velocity = velocity_from_clean(CLEAN, NOISE, at)
    torch.testing.assert_close(clean_from_velocity(noisy_from_clean(CLEAN, NOISE, at), velocity, at), CLEAN)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_labels_are_exact_integers_on_the_grid(dtype):
    t = ((torch.arange(1000, dtype=torch.float64) + 1) / 1000).to(dtype)
    assert label_from_time(t, 1000).tolist() == list(range(999, -1, -1))


def test_labels_between_grid_points_are_fractions():
    assert label_from_time(torch.tensor([0.9995]), 1000).item() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("wrong", [{"num_steps": 1}, {"beta_min": 0}, {"beta_max": 1}, {"beta_min": 0.1}])
def test_impossible_linear_schedules_are_refused(wrong):
    with pytest.raises(ValueError, match="beta_min"):
        LinearBeta(**wrong)


def test_zero_terminal_snr_is_its_definition():
    """Algorithm 1 of arXiv 2305.08891: alpha is shifted to end at 0 and scaled to begin as before."""
    schedule = LinearBeta()
    grid = (torch.arange(1000, dtype=torch.float64) + 1) / 1000
    before = schedule(grid).alpha
    at = ZeroTerminalSNR(schedule)(grid)
    torch.testing.assert_close(at.alpha, (before - before[-1]) / (1 - before[-1]), rtol=0, atol=1e-12)
    assert at.alpha[-1] == 0
    assert at.sigma[-1] == 1


def test_only_variance_preserving_schedules_are_stretched():
    with pytest.raises(ValueError, match="variance preserving"):
        ZeroTerminalSNR(Geometric())


def test_the_marginals_of_sub_vp_solve_its_stochastic_equation():
    """Song et al. 2021, section 3.4: dx = -b x / 2 dt + sqrt(b (1 - exp(-2 B))) dw."""
    low, high, steps = 0.1, 20.0, 20000
    t = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    beta = low + (high - low) * t
    total = low * t + (high - low) * t**2 / 2
    mean, variance = 1.0, 0.0
    for b, added in zip(beta.tolist(), (beta * (1 - torch.exp(-2 * total))).tolist(), strict=True):
        middle = variance + (added - b * variance) / (2 * steps)
        mean, variance = mean * math.exp(-b / 2 / steps), variance + (added - b * middle) / steps
    at = SubVP(beta_min=low, beta_max=high)(torch.ones((), dtype=torch.float64))
    assert at.alpha.item() == pytest.approx(mean, rel=1e-6)
    assert at.sigma.item() ** 2 == pytest.approx(variance, rel=1e-6)


def test_sub_vp_has_the_square_of_the_noise_that_preserves_the_variance():
    at = SubVP()(torch.linspace(0, 1, 101, dtype=torch.float64))
    torch.testing.assert_close(at.sigma, 1 - at.alpha**2)
    assert (at.sigma.diff() > 0).all() and at.sigma[0] == 0
    with pytest.raises(ValueError, match="beta_min"):
        SubVP(beta_min=0.0)
