"""Laws that every sampler obeys, on a problem whose exact denoiser is known."""

import pytest
import torch

from mcvd.noise import Cosine, LinearBeta
from mcvd.samplers import DDIM, DDPM

MEAN, STD = 0.5, 0.1
SCHEDULE = LinearBeta()


def gaussian(noisy, t):
    """The exact clean estimate for independent pixels from N(MEAN, STD^2)."""
    at = SCHEDULE(t).like(noisy)
    gain = at.alpha * STD**2 / (at.alpha**2 * STD**2 + at.sigma**2)
    return MEAN + gain * (noisy - at.alpha * MEAN)


def constant(noisy, t):
    """A denoiser that knows the one answer."""
    return torch.full_like(noisy, MEAN)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=1):
    generator = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype)


SAMPLERS = [DDPM(num_steps=20), DDPM(num_steps=20, just_beta=True), DDIM(num_steps=20), DDIM(num_steps=20, eta=1)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
class TestEverySampler:
    def test_reaches_the_one_known_answer(self, sampler):
        sample = sampler(constant, noise(2, 3, 4), SCHEDULE, seeded())
        torch.testing.assert_close(sample, torch.full_like(sample, MEAN))

    def test_calls_the_network_as_often_as_it_says_and_never_at_zero(self, sampler):
        times = []

        def counting(noisy, t):
            times.append(t[0].item())
            return constant(noisy, t)

        sampler(counting, noise(2, 3), SCHEDULE, seeded())
        assert len(times) == sampler.num_calls
        assert min(times) > 0

    def test_the_same_draws_give_the_same_sample(self, sampler):
        one, two = (sampler(gaussian, noise(2, 8), SCHEDULE, seeded()) for _ in range(2))
        assert torch.equal(one, two)

    def test_leaves_its_input_alone(self, sampler):
        start = noise(2, 8)
        before = start.clone()
        sampler(gaussian, start, SCHEDULE, seeded())
        assert torch.equal(start, before)

    def test_keeps_the_dtype_of_the_state(self, sampler):
        def checked(noisy, t):
            assert noisy.dtype == t.dtype == torch.float32
            return gaussian(noisy, t)

        assert sampler(checked, noise(2, 8).float(), SCHEDULE, seeded()).dtype == torch.float32

    def test_clipping_bounds_a_wild_denoiser(self, sampler):
        sample = sampler(lambda x, t: 5 * torch.sign(x), noise(2, 8), SCHEDULE, seeded())
        assert sample.abs().max() <= 1


@pytest.mark.parametrize("schedule", [LinearBeta(), Cosine()])
@pytest.mark.parametrize("make", [DDPM, DDIM, lambda n: DDIM(n, eta=1)], ids=["ddpm", "ddim", "ddim-eta"])
def test_many_steps_reach_the_distribution(make, schedule):
    def exact(noisy, t):
        at = schedule(t).like(noisy)
        gain = at.alpha * STD**2 / (at.alpha**2 * STD**2 + at.sigma**2)
        return MEAN + gain * (noisy - at.alpha * MEAN)

    sample = make(500)(exact, noise(1, 20000), schedule, seeded())
    assert sample.mean().item() == pytest.approx(MEAN, abs=0.004)
    assert sample.std().item() == pytest.approx(STD, rel=0.1)  # ancestral steps are a little too narrow


def test_ddim_without_fresh_noise_draws_nothing():
    def refuse(x):
        raise AssertionError("DDIM with eta 0 is deterministic")

    DDIM(num_steps=3)(gaussian, noise(1, 4), SCHEDULE, refuse)


def test_ddim_with_all_fresh_noise_is_ddpm():
    start = noise(2, 16)
    ddim = DDIM(num_steps=10, eta=1, clip=False)(gaussian, start, SCHEDULE, seeded())
    ddpm = DDPM(num_steps=10, clip=False)(gaussian, start, SCHEDULE, seeded())
    torch.testing.assert_close(ddim, ddpm)


def test_the_published_last_call_pulls_the_sample_towards_grey():
    start = noise(1, 1000)
    right = DDPM(num_steps=100)(gaussian, start, SCHEDULE, seeded()).mean()
    published = DDPM(num_steps=100, published_final_denoise=True)(gaussian, start, SCHEDULE, seeded()).mean()
    assert right.item() == pytest.approx(0.5, abs=0.01)
    assert published.item() == pytest.approx(0.479, abs=0.01)


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="num_steps"):
        DDIM(num_steps=0)(gaussian, noise(1, 4), SCHEDULE)
