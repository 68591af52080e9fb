"""Laws of where steps lie."""

import pytest
import torch

from mcvd.noise import Cosine, LinearBeta
from mcvd.samplers.spacing import LEAST_ALPHA, Karras, LogSNR, Uniform, log_snr, time_from_log_snr

SCHEDULES = [LinearBeta(), LinearBeta(num_steps=7, beta_max=0.9), Cosine()]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
class TestEverySpacing:
    @pytest.mark.parametrize("spacing", [Uniform(), LogSNR(), LogSNR(sigma_min=0), Karras(), Karras(rho=1)], ids=repr)
    @pytest.mark.parametrize("num_steps", [1, 2, 10, 333])
    def test_times_fall_to_exactly_zero(self, spacing, num_steps, schedule):
        t = spacing(num_steps, schedule)
        assert t.shape == (num_steps + 1,)
        assert t.dtype == torch.float64
        assert (t.diff() < 0).all()
        assert 0.98 < t[0] <= 1
        assert t[-1] == 0

    def test_time_and_log_snr_are_inverse(self, schedule):
        t = torch.linspace(0.001, 0.999, 777, dtype=torch.float64)
        torch.testing.assert_close(time_from_log_snr(log_snr(t, schedule), schedule), t, rtol=0, atol=1e-13)

    def test_beyond_pure_noise_is_pure_noise(self, schedule):
        assert time_from_log_snr(torch.tensor([-200.0], dtype=torch.float64), schedule) == 1

    @pytest.mark.parametrize("spacing", [LogSNR(sigma_min=0), Karras()], ids=repr)
    def test_starts_where_there_is_signal_and_reaches_the_cleanest_trained_time(self, spacing, schedule):
        t = spacing(10, schedule)
        assert schedule(t[:1]).alpha >= LEAST_ALPHA * (1 - 1e-4)
        assert t[-2].item() == pytest.approx(1 / schedule.num_steps, rel=1e-9)

    @pytest.mark.parametrize("sigma_min", [0.03, 0.1])
    def test_the_last_call_sees_the_least_noise_that_was_asked_for_and_trained(self, sigma_min, schedule):
        at = schedule(torch.tensor([LogSNR(sigma_min)(10, schedule)[-2], 1 / schedule.num_steps], dtype=torch.float64))
        last, cleanest = (at.sigma / at.alpha).tolist()
        assert last == pytest.approx(max(sigma_min, cleanest), rel=1e-9)

    def test_log_snr_steps_are_equal(self, schedule):
        ladder = log_snr(LogSNR()(10, schedule)[:-1], schedule)
        torch.testing.assert_close(ladder.diff(), ladder.diff().mean().expand(9), rtol=1e-6, atol=0)

    def test_karras_steps_are_equal_in_the_root_of_the_noise_level(self, schedule):
        at = schedule(Karras(rho=7)(10, schedule)[:-1])
        root = (at.sigma / at.alpha) ** (1 / 7)
        torch.testing.assert_close(root.diff(), root.diff().mean().expand(9), rtol=1e-6, atol=0)


def test_uniform_times_are_the_published_ones():
    assert Uniform()(4, LinearBeta()).tolist() == [1, 0.75, 0.5, 0.25, 0]


def test_impossible_spacing_is_refused():
    with pytest.raises(ValueError, match="rho"):
        Karras(rho=0)
    for sigma_min in (-0.1, 1.0):
        with pytest.raises(ValueError, match="sigma_min"):
            LogSNR(sigma_min)
