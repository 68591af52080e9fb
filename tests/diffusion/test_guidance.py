"""A guide makes of the data's distribution the conditional one, exactly where data are Gaussian, and never diverges."""

from math import inf

import pytest
import torch

from mcvd.diffusion.bound_denoiser import BoundDenoiser
from mcvd.diffusion.guidance import AbstractNoisyGuide, guided, guided_by_state, replaced
from mcvd.diffusion.guides import Classifier, KnownFrames, NoisyClassifier, Reference
from mcvd.diffusion.reference import Residual
from mcvd.noise import Cosine, Geometric
from mcvd.samplers import DDIM, DDPM, SASolver, UniPC

MEAN = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
FACTOR = torch.tensor([[0.5, 0.0, 0.0], [0.4, 0.3, 0.0], [0.2, 0.3, 0.3]], dtype=torch.float64)
COVARIANCE = FACTOR @ FACTOR.T
KNOWN = 0.7  # the last frame


def correlated(schedule):
    """The exact denoiser of three frames of one pixel, (B, 3, 1, 1, 1), that are correlated."""

    def denoise(noisy, t):
        at = schedule(t[:1]).like(noisy[:1, :, 0, 0, 0])
        gain = at.alpha * COVARIANCE @ torch.linalg.inv(at.alpha**2 * COVARIANCE + at.sigma**2 * torch.eye(3))
        return (MEAN + (noisy[..., 0, 0, 0] - at.alpha * MEAN) @ gain.T)[..., None, None, None]

    return denoise


def keyframe(num_rows, value=KNOWN):
    frames = torch.full((num_rows, 3, 1, 1, 1), float("nan"), dtype=torch.float64)
    frames[:, 2] = value
    return KnownFrames(frames, ~frames.isnan(), Cosine())


def moments(sampler, schedule, denoise):
    """Mean (3,) and covariance of the samples, without sampling error: a sample is linear in all noises."""
    num_draws = 0

    def counting(x):
        nonlocal num_draws
        num_draws += 1
        return torch.zeros_like(x)

    sampler(denoise, torch.zeros(1, 3, 1, 1, 1, dtype=torch.float64), schedule, counting)
    units = torch.eye(3 * (num_draws + 1) + 1, dtype=torch.float64)[1:].unflatten(0, (-1, 3))[..., None, None, None]
    steps = iter(range(1, num_draws + 1))

    def draw(x):
        return units[next(steps)].transpose(0, 1)

    end = schedule(torch.ones((), dtype=torch.float64))
    size = (end.alpha**2 * COVARIANCE.diagonal().mean() + end.sigma**2).sqrt()
    start = size * units[0].transpose(0, 1) + (end.alpha * MEAN)[:, None, None, None]
    sample = sampler(denoise, start, schedule, draw)[..., 0, 0, 0]
    deviations = sample[1:] - sample[0]
    return sample[0], deviations.T @ deviations


SAMPLERS = [
    DDIM(100, clip=False),
    DDPM(100, clip=False),
    SASolver(num_steps=100, clip=False),
    UniPC(num_steps=50, clip=False),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda each: type(each).__name__)
def test_a_known_frame_gives_the_conditional_distribution_of_gaussian_data(sampler):
    schedule, known = Cosine(), keyframe(1)
    steered = guided(correlated(schedule), [(known, inf)], schedule)
    mean, covariance = moments(sampler, schedule, replaced(steered, known.frames, known.keep))
    to_known = COVARIANCE[:2, 2] / COVARIANCE[2, 2]
    torch.testing.assert_close(mean[:2], MEAN[:2] + to_known * (KNOWN - MEAN[2]), rtol=0, atol=0.015)
    truth = COVARIANCE[:2, :2] - torch.outer(to_known, COVARIANCE[2, :2])
    torch.testing.assert_close(covariance[:2, :2], truth, rtol=0, atol=0.015)
    assert mean[2] == KNOWN
    assert covariance[2].abs().max() == 0


@pytest.mark.parametrize("schedule", [Cosine(), Geometric()], ids=lambda each: type(each).__name__)
def test_the_exact_likelihood_of_noisy_frames_gives_the_exact_conditional_estimate(schedule):
    """Of a measurement of the last frame, with an error: Bayes' rule at every time, closed form."""
    error, x = 0.2, torch.randn(6, 3, 1, 1, 1, dtype=torch.float64)
    for time in (0.05, 0.4, 0.8):
        t = torch.full((6,), time, dtype=torch.float64)
        at = schedule(t[:1])
        noise = at.alpha**2 * COVARIANCE + at.sigma**2 * torch.eye(3)
        left = (COVARIANCE - at.alpha**2 * COVARIANCE @ torch.linalg.inv(noise) @ COVARIANCE)[2, 2]
        plain = correlated(schedule)

        def energy(state, t, plain=plain, left=left):
            return (KNOWN - plain(state, t)[:, 2, 0, 0, 0]).square() / (2 * (left + error**2))

        found = guided_by_state(plain, energy, 1.0, schedule)(x, t)[..., 0, 0, 0]
        seen = torch.linalg.inv(COVARIANCE) + torch.diag(torch.tensor([0, 0, 1 / error**2], dtype=torch.float64))
        prior = torch.linalg.inv(COVARIANCE) @ MEAN + torch.tensor([0, 0, KNOWN / error**2], dtype=torch.float64)
        told = at.alpha * x[..., 0, 0, 0] / at.sigma**2 + prior
        truth = told @ torch.linalg.inv(seen + (at.alpha / at.sigma) ** 2 * torch.eye(3))
        bound = 4 * at.sigma * 0.5 / (at.alpha**2 * 0.25 + at.sigma**2).sqrt()
        near = (truth - plain(x, t)[..., 0, 0, 0]).square().mean(1).sqrt() < bound
        assert near.any()
        torch.testing.assert_close(found[near], truth[near])


def test_an_exact_classifier_of_noisy_frames_gives_the_distribution_of_its_label():
    """Of frames of two kinds, normal each: closed form at every time, and in what is sampled."""
    schedule, means, std = Cosine(), torch.tensor([-0.6, 0.6], dtype=torch.float64), 0.2

    def of_kinds(noisy, at):
        """The logits and the clean estimates of both kinds, (B, 2) each."""
        x, alpha, variance = noisy.view(-1, 1), at.alpha.view(-1, 1), (at.alpha**2 * std**2 + at.sigma**2).view(-1, 1)
        apart = x - alpha * means
        return -apart.square() / (2 * variance), means + alpha * std**2 / variance * apart

    def denoise(noisy, t):
        logits, estimates = of_kinds(noisy, schedule(t))
        return (logits.softmax(1) * estimates).sum(1).view_as(noisy)

    guide = NoisyClassifier(lambda noisy, at: of_kinds(noisy, at)[0], 1)

    def steered(weight):
        return guided_by_state(denoise, lambda x, t: guide(x, schedule(t)), weight, schedule)

    x, t = torch.linspace(-2, 2, 41, dtype=torch.float64).view(-1, 1, 1, 1, 1), torch.full((41,), 0.6).double()
    expected = of_kinds(x, schedule(t))[1][:, 1].view_as(x)
    torch.testing.assert_close(steered(1.0)(x, t), expected, rtol=0, atol=1e-5)
    start = torch.randn(500, 1, 1, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shares, sampler = [], DDIM(50, clip=False)
    for weight in (0.0, 0.3, 1.0, 4.0):
        samples = sampler(steered(weight), start, schedule, torch.zeros_like)
        shares.append((samples > 0).double().mean().item())
        if weight == 1:
            assert samples.mean().item() == pytest.approx(0.6, abs=0.03)
            assert samples.std().item() == pytest.approx(std, abs=0.03)
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.5, abs=0.05) and 0.55 < shares[1] < 0.95 and shares[2] > 0.99


def test_a_guide_of_noisy_frames_never_diverges_and_needs_no_gradient_of_the_network():
    schedule, x = Cosine(), torch.randn(2, 3, 1, 4, 4)

    class Steep(AbstractNoisyGuide):
        def __call__(self, noisy, at):
            return 1e6 * noisy.square().flatten(1).sum(1)

    def network(noisy, t):
        assert not torch.is_grad_enabled()
        return 0.5 * noisy

    for time in (0.002, 0.5, 1.0):
        t = torch.full((2,), time)
        at = schedule(t[:1].double())
        open_std = (at.sigma * 0.5 / (at.alpha**2 * 0.25 + at.sigma**2).sqrt()).item()
        with torch.no_grad():
            moved = guided_by_state(network, lambda x, t: Steep()(x, schedule(t)), inf, schedule)(x, t) - 0.5 * x
        assert moved.isfinite().all()
        assert (moved.square().flatten(1).mean(1).sqrt() <= 4.001 * open_std).all()


def test_a_classifier_of_noisy_frames_sees_frames_whatever_is_diffused():
    """Of residuals it sees the noisy frames that they mean, at their noise."""
    base, scale = torch.full((2, 1, 1, 4, 4), 0.3), torch.full((2, 1, 1, 4, 4), 0.1)
    bound = BoundDenoiser(lambda noisy, t: noisy, Residual(base, scale))
    at = Cosine()(torch.tensor([0.2, 0.2, 0.7, 0.7]))
    noise, residual = torch.randn(2, 4, 1, 1, 4, 4)
    wide = at.like(noise)
    frames, found = bound.noisy_frames(wide.alpha * residual + wide.sigma * noise, at)
    again = found.like(noise)
    torch.testing.assert_close(frames, again.alpha * bound.to_frames(residual) + again.sigma * noise)
    guide = NoisyClassifier(lambda noisy, at: torch.stack([at.sigma, noisy.flatten(1).mean(1)], 1), 0)
    assert (guide(frames, found) > 0).all()


def test_replacement_alone_does_not_give_it():
    """What the law above can tell apart."""
    schedule, known = Cosine(), keyframe(1)
    denoise = replaced(correlated(schedule), known.frames, known.keep)
    to_known = COVARIANCE[:2, 2] / COVARIANCE[2, 2]
    mean, _ = moments(SAMPLERS[0], schedule, denoise)
    assert (mean[:2] - (MEAN[:2] + to_known * (KNOWN - MEAN[2]))).abs().max() > 0.05


def test_no_weight_changes_nothing_and_no_weight_diverges():
    schedule, x, t = Cosine(), torch.randn(4, 3, 1, 1, 1, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    plain, known = correlated(schedule), keyframe(4, value=1.0)
    torch.testing.assert_close(guided(plain, [(known, 0.0)], schedule)(x, t), plain(x, t), rtol=0, atol=0)
    finite, most = (guided(plain, [(known, weight)], schedule)(x, t) for weight in (1e12, inf))
    torch.testing.assert_close(finite, most)
    for each in (torch.zeros(4), torch.ones(4), torch.full((4,), 1e-12)):
        assert guided(plain, [(known, inf)], schedule)(1e6 * x, each.double()).isfinite().all()


@pytest.mark.parametrize("schedule", [Cosine(), Geometric()], ids=lambda each: type(each).__name__)
def test_a_step_is_no_longer_than_the_noise_leaves_open(schedule):
    """Also where a network answers nonsense: here its estimate falls where the noisy frames rise, or hardly moves."""
    x = torch.randn(2, 3, 1, 4, 4)
    far = KnownFrames(torch.full_like(x, 100.0), torch.ones_like(x, dtype=torch.bool), schedule)
    for factor in (-1.0, 1e-9, 1.0, 1e9):
        for time in (0.002, 0.5, 1.0):
            t = torch.full((2,), time)
            at = schedule(t[:1].double())
            open_std = (at.sigma * 0.5 / (at.alpha**2 * 0.25 + at.sigma**2).sqrt()).item()
            steered = guided(lambda noisy, t, factor=factor: factor * noisy, [(far, inf)], schedule)(x, t)
            rms = (steered - factor * x).double().square().flatten(1).mean(1).sqrt()
            assert (rms <= 4.001 * open_std + 1e-6 * factor).all()
            if factor < 0:  # the way that would help is not known
                assert (rms == 0).all()


def test_what_is_known_pulls_only_its_own_video():
    schedule, t = Cosine(), torch.full((4,), 0.4, dtype=torch.float64)
    x = torch.randn(4, 3, 1, 1, 1, dtype=torch.float64)
    known = keyframe(4, torch.tensor([0.1, 0.2, 0.3, 0.4]).double()[:, None, None, None])
    together = guided(correlated(schedule), [(known, inf)], schedule)(x, t)
    for row in range(4):
        alone = KnownFrames(known.frames[row : row + 1], known.keep[row : row + 1], schedule)
        each = guided(correlated(schedule), [(alone, inf)], schedule)(x[row : row + 1], t[:1])
        torch.testing.assert_close(each, together[row : row + 1])


def test_a_classifier_and_a_reference_are_followed():
    schedule, x, t = Cosine(), torch.randn(3, 2, 1, 4, 4), torch.full((3,), 0.5)

    def brightness(clean, t):
        bright = clean.mean((1, 2, 3, 4))
        return torch.stack([-5 * bright, 5 * bright], 1)

    for label, sign in ((0, -1), (1, 1)):
        moved = guided(lambda noisy, t: noisy, [(Classifier(brightness, label), 1.0)], schedule)(x, t) - x
        assert (sign * moved > 0).all()
    wanted = torch.randn(16)
    guide = Reference(lambda frames: frames.flatten(1), wanted)
    nearer = guided(lambda noisy, t: noisy, [(guide, 3.0)], schedule)(x, t)
    assert (guide(nearer, t) < guide(x, t)).all()
    assert (guide(x, t) >= 0).all()
    assert guide(wanted.view(1, 1, 1, 4, 4), t[:1]).item() == pytest.approx(0, abs=1e-6)
