"""The density of the probability flow against known answers."""

import pytest
import torch
from reference.known_answers import MEANS, STDS, WEIGHTS, exact_denoiser, gaussian, noise, time

from mcvd.diffusion.likelihood import log_density
from mcvd.noise import Cosine, Geometric, LinearBeta, SubVP
from mcvd.runtime.rng import keyed_generator

SCHEDULES = [LinearBeta(), Cosine(), Geometric(), SubVP()]


def signs(shape):
    return torch.from_numpy(keyed_generator((1,)).choice([-1.0, 1.0], size=tuple(shape)))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_the_density_of_a_gaussian_is_known(schedule):
    x = 0.3 + 0.4 * noise(3, 2, 8)
    found = log_density(gaussian(schedule), x, schedule, signs(x.shape))
    at = schedule(time([1 / schedule.num_steps]))
    std = (0.4**2 + (at.sigma / at.alpha) ** 2).sqrt()
    truth = torch.distributions.Normal(0.3, std).log_prob(x).flatten(1).sum(1)
    assert ((found - truth) / x[0].numel()).abs().max() < 5e-3


def test_the_error_falls_with_the_square_of_the_steps():
    schedule, x = LinearBeta(), 0.3 + 0.4 * noise(1, 64)
    fine = log_density(gaussian(schedule), x, schedule, signs(x.shape), num_steps=1600)
    coarse, finer = (
        (log_density(gaussian(schedule), x, schedule, signs(x.shape), num_steps=n) - fine).abs().item()
        for n in (50, 100)
    )
    assert finer < 0.35 * coarse


def test_the_density_of_a_mixture_is_known_without_the_probe_mattering():
    """Independent numbers have a diagonal derivative, whose trace every probe finds exactly."""
    schedule = LinearBeta()
    x = torch.tensor([[-0.6], [0.0], [0.5], [0.9]], dtype=torch.float64)
    found = log_density(exact_denoiser(schedule), x, schedule, torch.ones_like(x), num_steps=400)
    again = log_density(exact_denoiser(schedule), x, schedule, -torch.ones_like(x), num_steps=400)
    at = schedule(time([1 / 1000]))
    std = (STDS**2 + (at.sigma / at.alpha) ** 2).sqrt()
    truth = (WEIGHTS * torch.distributions.Normal(MEANS, std).log_prob(x).exp()).sum(1).log()
    torch.testing.assert_close(found, again)
    assert (found - truth).abs().max() < 0.02


def test_correlated_numbers_need_the_mean_over_probes():
    """A Gaussian with correlation: single probes scatter, and their mean is right."""
    schedule = LinearBeta()
    covariance = torch.tensor([[0.16, 0.12], [0.12, 0.16]], dtype=torch.float64)
    unit = torch.eye(2, dtype=torch.float64)

    def denoise(x, t):
        at = schedule(t[:1])
        gain = at.alpha * covariance @ torch.linalg.inv(at.alpha**2 * covariance + at.sigma**2 * unit)
        return x @ gain.T

    x = torch.tensor([[0.2, -0.1]], dtype=torch.float64)
    probes = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)  # all there are, up to sign
    found = [log_density(denoise, x, schedule, probe[None], num_steps=200).item() for probe in probes]
    at = schedule(time(1 / 1000))
    truth = torch.distributions.MultivariateNormal(
        torch.zeros(2).double(), covariance + (at.sigma / at.alpha) ** 2 * unit
    )
    assert abs(found[0] - found[1]) > 0.5
    assert sum(found) / 2 == pytest.approx(truth.log_prob(x).item(), abs=0.01)


def test_a_flow_without_steps_is_refused():
    with pytest.raises(ValueError, match="num_steps"):
        log_density(gaussian(LinearBeta()), noise(1, 4), LinearBeta(), torch.ones(1, 4), num_steps=0)
