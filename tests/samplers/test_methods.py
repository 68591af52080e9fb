"""What is special to one sampler."""

import pytest
import torch
from reference.known_answers import (
    STD,
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

from mcvd.noise import Coefficients, Cosine, LinearBeta
from mcvd.samplers import (
    DDIM,
    DDPM,
    PNDM,
    AdaptiveSDE,
    DPMSolverPP,
    Heun,
    PredictorCorrector,
    SASolver,
    SDEDPMSolverPP,
    UniPC,
)
from mcvd.samplers.base import posterior
from mcvd.samplers.dpm_solver_pp import thresholded
from mcvd.samplers.multistep import exact_weights
from mcvd.samplers.spacing import LogSNR, Uniform

SCHEDULE = LinearBeta()
NARROW = gaussian(SCHEDULE, mean=0.5, std=0.1)


def count_calls(sampler, denoise, start):
    times = []

    def counted(x, t):
        times.append(t)
        return denoise(x, t)

    sampler(counted, start, SCHEDULE, seeded())
    return len(times)


def test_ddim_with_all_fresh_noise_is_ddpm():
    start = noise(2, 16)
    ddim = DDIM(num_steps=10, eta=1, clip=False)(NARROW, start, SCHEDULE, seeded())
    ddpm = DDPM(num_steps=10, clip=False)(NARROW, start, SCHEDULE, seeded())
    torch.testing.assert_close(ddim, ddpm)


def test_without_fresh_noise_the_stochastic_solver_is_the_deterministic_one():
    start = noise(2, 16)
    calm = SDEDPMSolverPP(10, eta=0)(NARROW, start, SCHEDULE)
    torch.testing.assert_close(calm, DPMSolverPP(10)(NARROW, start, SCHEDULE))


def test_the_stochastic_solver_starts_as_ddpm_does():
    start = noise(2, 16)
    two = (kind(2, spacing=LogSNR())(NARROW, start, SCHEDULE, seeded()) for kind in (SDEDPMSolverPP, DDPM))
    torch.testing.assert_close(*two)


def test_calls_at_less_noise_than_the_network_is_off_by_add_up_what_it_is_off_by():
    """Why `LogSNR` does not go down to the cleanest trained time."""
    schedule, start = Cosine(), noise(1, 4000)
    perfect = gaussian(schedule)

    def trained(x, t):
        return perfect(x, t) + 0.03 * torch.sin(200 * x)

    def moved(sigma_min):
        sampler = SDEDPMSolverPP(20, spacing=LogSNR(sigma_min))
        return torch.dist(*(sampler(network, start, schedule, seeded()) for network in (trained, perfect)))

    assert moved(0.03) < 0.85 * moved(0.0)


def test_without_fresh_noise_two_steps_made_again_are_those_of_unipc():
    start = noise(2, 16)
    calm = SASolver(2, eta=0)(NARROW, start, SCHEDULE)
    torch.testing.assert_close(calm, UniPC(2, order=1)(NARROW, start, SCHEDULE))


def test_twenty_steps_vary_as_the_data_do():
    """The claim behind the default: twenty times nearer to the right spread than `DDPM` with as many calls."""
    kinds = (SASolver, SDEDPMSolverPP, DDPM)
    spreads = (moments(kind(20, spacing=LogSNR(), clip=False), Cosine())[1] for kind in kinds)
    again, once, ddpm = (abs(spread / STD - 1) for spread in spreads)
    assert again < 0.01 and again < once / 2 and once < ddpm / 5 and again < ddpm / 20


def test_the_published_last_call_pulls_the_sample_towards_grey():
    start = noise(1, 1000)
    right = DDPM(num_steps=100)(NARROW, start, SCHEDULE, seeded()).mean()
    published = DDPM(num_steps=100, published_final_denoise=True)(NARROW, start, SCHEDULE, seeded()).mean()
    assert right.item() == pytest.approx(0.5, abs=0.01)
    assert published.item() == pytest.approx(0.479, abs=0.01)


def test_posterior_takes_noisy_data_to_less_noisy_data():
    noisier, cleaner = SCHEDULE(time(0.7)), SCHEDULE(time(0.4))
    of_clean, of_state, fresh = posterior(noisier, cleaner)
    torch.testing.assert_close(of_clean + of_state * noisier.alpha, cleaner.alpha)
    torch.testing.assert_close((of_state * noisier.sigma) ** 2 + fresh**2, cleaner.sigma**2)


@pytest.mark.parametrize("h", [1e-3, 0.5, 0.999999, 1.000001, 4.0, 30.0])
@pytest.mark.parametrize("nodes", [[0.0], [0.0, -0.7], [0.0, -1.3, -2.0], [1.0, 0.0, -0.4, -3.0]])
def test_exact_weights_integrate_polynomials(h, nodes):
    u, mass = torch.linspace(0, 1, 200001, dtype=torch.float64), time(h)
    weights = exact_weights(mass, torch.tensor(nodes, dtype=torch.float64))
    density = torch.exp(mass * (u - 1))
    for power in range(len(nodes)):
        wanted = torch.trapezoid(density * u**power, u) / torch.trapezoid(density, u)
        found = (weights * torch.tensor(nodes, dtype=torch.float64) ** power).sum()
        torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-7)


def test_without_history_or_corrector_all_are_ddim():
    start = noise(2, 16)
    ddim = DDIM(1, clip=False)(NARROW, start, SCHEDULE)
    for other in (DPMSolverPP, UniPC, PNDM, Heun):
        torch.testing.assert_close(other(1, clip=False)(NARROW, start, SCHEDULE), ddim)


def test_thresholding_scales_a_video_that_is_too_bright_and_leaves_others_alone():
    values = torch.stack([torch.linspace(-0.8, 0.9, 100), torch.linspace(-2, 2, 100), torch.full((100,), 0.1)])
    values[2, 0] = 50  # one pixel beyond the quantile is clipped
    limited = thresholded(lambda x, t: x, 0.99)(values.view(3, 10, 10), torch.ones(3)).flatten(1)
    assert torch.equal(limited[0], values[0])
    torch.testing.assert_close(limited[1], values[1] / 2)
    assert limited[2].max() == 1
    assert limited[2, 1:].eq(values[2, 1:]).all()


def test_heun_refuses_a_start_without_signal():
    with pytest.raises(ValueError, match="Karras"):
        Heun(5, spacing=Uniform())(NARROW, noise(1, 4), Cosine())


def test_churn_is_limited_to_its_range():
    start = noise(1, 16)
    calm = Heun(20)(NARROW, start, SCHEDULE)
    outside = Heun(20, s_churn=10, s_min=0.3, s_max=0.3)(NARROW, start, SCHEDULE, seeded())
    torch.testing.assert_close(outside, calm)
    assert not torch.allclose(Heun(20, s_churn=10)(NARROW, start, SCHEDULE, seeded()), calm)


def test_churn_asks_the_network_at_a_noise_level_that_is_higher_by_its_share():
    """EDM, algorithm 2: s_hat = (1 + S_churn / N) * s."""
    asked = {}
    for churn in (0.0, 2.0):
        times = []

        def denoise(x, t, times=times):
            times.append(t[0].item())
            return NARROW(x, t)

        Heun(20, s_churn=churn)(denoise, noise(1, 16), SCHEDULE, seeded())
        at = SCHEDULE(time(times[::2]))
        asked[churn] = at.sigma / at.alpha
    ratio = asked[2.0] / asked[0.0]
    torch.testing.assert_close(ratio[1:], torch.full_like(ratio[1:], 1.1), rtol=1e-6, atol=0)
    assert ratio[0] == pytest.approx(1)  # the network knows nothing noisier than the start


def test_the_published_last_call_is_counted():
    for published in (False, True):
        sampler = DDPM(num_steps=7, published_final_denoise=published)
        assert count_calls(sampler, NARROW, noise(1, 4)) == sampler.num_calls == 7 + published


@pytest.mark.parametrize("sampler", [DDPM(7, published_final_denoise=True), DDIM(7, published_final_denoise=True)])
def test_the_published_last_time_is_told(sampler):
    assert called_times(sampler, NARROW, noise(1, 4), SCHEDULE) == set(sampler.times(SCHEDULE).tolist())


def test_a_smaller_tolerance_costs_calls_and_brings_accuracy():
    truth = quantiles(4000)
    (rough, few), (fine, many) = (error(AdaptiveSDE(tol), SCHEDULE, truth) for tol in (0.5, 0.05))
    assert few < many < AdaptiveSDE().num_calls
    assert fine < rough / 2


@pytest.mark.parametrize("schedule", [LinearBeta(), Cosine()], ids=["linear", "cosine"])
def test_the_tolerance_buys_exactness(schedule):
    distance, calls = error(AdaptiveSDE(tolerance=0.01), schedule, quantiles(40000))
    assert distance < 0.004 and calls <= 200


def test_adaptive_steps_end_where_the_spacing_says():
    asked = called_times(AdaptiveSDE(spacing=LogSNR(0.2)), NARROW, noise(1, 8), SCHEDULE)
    at = SCHEDULE(time(min(asked)))
    assert (at.sigma / at.alpha).item() == pytest.approx(0.2)


def test_where_nothing_changes_adaptive_steps_are_the_longest():
    assert count_calls(AdaptiveSDE(), lambda x, t: torch.full_like(x, 0.5), noise(2, 8)) == 17


def test_the_worst_denoiser_still_ends_within_the_bound():
    restless = AdaptiveSDE(tolerance=1e-9, absolute_tolerance=1e-9)
    coin = torch.Generator().manual_seed(0)
    calls = count_calls(restless, lambda x, t: torch.rand(x.shape, generator=coin, dtype=x.dtype), noise(2, 8))
    assert 2 * 256 < calls <= restless.num_calls


def test_few_steps_follow_the_flow_of_a_gaussian():
    """The claim behind the defaults: 20 calls are enough."""
    start = noise(1, 64)
    clean = Coefficients(time(1.0), time(0.0))
    truth = gaussian_flow(start, SCHEDULE(time(1.0)), clean)
    for sampler in (DPMSolverPP(20, clip=False), UniPC(20, clip=False)):
        torch.testing.assert_close(sampler(gaussian(SCHEDULE), start, SCHEDULE), truth, rtol=0, atol=0.02)


def test_without_corrections_the_predictor_is_ddpm():
    start = noise(2, 8)
    plain = PredictorCorrector(10, num_corrections=0)(NARROW, start, SCHEDULE, seeded())
    assert torch.equal(plain, DDPM(10)(NARROW, start, SCHEDULE, seeded()))


def test_a_correction_is_a_step_of_langevin_dynamics():
    """Song et al. 2021, algorithm 5, in their letters: x + eps * g + sqrt(2 eps) * z, eps = 2 (r |z| / |g|)^2."""
    sampler, start = PredictorCorrector(4, clip=False, signal_to_noise=0.1), noise(2, 64)
    found = sampler(NARROW, start, SCHEDULE, seeded())
    draw, x = seeded(), start
    for i in range(4):
        here, there = (SCHEDULE(torch.full((2,), 1 - k / 4, dtype=torch.float64)).like(x) for k in (i, i + 1))
        t = torch.full((2,), 1 - (i + 1) / 4, dtype=torch.float64)
        of_clean, of_state, fresh = posterior(here, there)
        x = of_clean * NARROW(x, t + 1 / 4) + of_state * x
        if i < 3:
            x = x + fresh * draw(x)
            g = (there.alpha * NARROW(x, t) - x) / there.sigma**2
            z = draw(x)
            eps = 2 * (0.1 * z.norm(dim=1, keepdim=True) / g.norm(dim=1, keepdim=True)) ** 2
            assert (eps < there.sigma**2).all()
            x = x + eps * g + (2 * eps).sqrt() * z
    torch.testing.assert_close(found, x)


def test_corrections_help_where_steps_are_few():
    truth = quantiles(4000)
    plain, corrected = (error(PredictorCorrector(20, num_corrections=n), SCHEDULE, truth)[0] for n in (0, 2))
    assert corrected < 0.9 * plain


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: DPMSolverPP(order=1),
        lambda: DPMSolverPP(threshold=1.5),
        lambda: DPMSolverPP(threshold=-0.5),
        lambda: UniPC(order=4),
        lambda: Heun(s_churn=-1),
        lambda: Heun(s_noise=-0.5),
        lambda: Heun(s_min=2.0, s_max=1.0),
        lambda: AdaptiveSDE(tolerance=0),
        lambda: SDEDPMSolverPP(eta=-0.1),
        lambda: SASolver(eta=-0.1),
        lambda: AdaptiveSDE(absolute_tolerance=-1.0),
        lambda: PredictorCorrector(signal_to_noise=0),
    ],
)
def test_impossible_choices_are_refused(wrong):
    with pytest.raises(ValueError, match="got"):
        wrong()
