"""What the network predicts is a matter of the denoiser alone: every parametrisation answers the same question."""

import pytest
import torch
from torch import nn

import mcvd
from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.parametrization import PARAMETRIZATIONS
from mcvd.noise import Cosine, Geometric, LinearBeta, ZeroTerminalSNR

CLEAN = 0.5 * torch.randn(4, 3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
NOISE = torch.randn(4, 3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
T = torch.tensor([0.01, 0.4, 0.8, 1.0], dtype=torch.float64)
NOTHING = mcvd.Condition.visible(CLEAN[:, :0], CLEAN[:, :0])
CASES = [
    ("eps", LinearBeta()),
    *((predicts, schedule) for predicts in ("x0", "v", "edm") for schedule in (LinearBeta(), Cosine())),
    *((predicts, ZeroTerminalSNR(LinearBeta())) for predicts in ("x0", "v", "edm")),
    *((predicts, Geometric()) for predicts in ("eps", "x0", "v", "edm")),
]
cases = pytest.mark.parametrize(("predicts", "schedule"), CASES)


class Answers(nn.Module):
    """A network that answers what it is told to, and remembers what it was shown."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def encode_condition(self, context, cache, modulation):
        return None

    def forward(self, noisy, label, encoded):
        self.shown = noisy
        return self.answer


def denoiser(predicts, schedule, answer=None, **options):
    return Denoiser(Answers(torch.zeros_like(CLEAN) if answer is None else answer), schedule, predicts, **options)


def noisy_and_target(predicts, schedule):
    at = schedule(T).like(CLEAN)
    noisy = mcvd.noise.noisy_from_clean(CLEAN, NOISE, at)
    return noisy, PARAMETRIZATIONS[predicts].target(CLEAN, NOISE, noisy, at)


@cases
def test_the_right_answer_is_the_clean_video_and_costs_nothing(predicts, schedule):
    noisy, target = noisy_and_target(predicts, schedule)
    right = denoiser(predicts, schedule, target)
    torch.testing.assert_close(right.bind(NOTHING)(noisy, T), CLEAN, rtol=0, atol=1e-6)
    assert right.loss(CLEAN, NOTHING, T, NOISE).max() < 1e-12


@cases
def test_the_network_is_shown_frames_of_about_unit_size(predicts, schedule):
    noisy, _ = noisy_and_target(predicts, schedule)
    shown = denoiser(predicts, schedule)
    shown.bind(NOTHING)(noisy, T)
    assert ((shown.net.shown.flatten(1).std(1) > 0.4) & (shown.net.shown.flatten(1).std(1) < 1.3)).all()


@pytest.mark.parametrize("schedule", [Cosine(), Geometric(), ZeroTerminalSNR(LinearBeta())])
def test_edm_targets_have_unit_size_at_every_noise_level(schedule):
    """The point of the preconditioning (EDM, section 5): effective targets of variance 1 for data of SIGMA_DATA."""
    _, target = noisy_and_target("edm", schedule)
    torch.testing.assert_close(target.flatten(1).std(1), torch.ones(4).double(), rtol=0.15, atol=0)


@pytest.mark.parametrize("predicts", ["eps", "x0", "v", "edm"])
def test_min_snr_weighs_the_error_of_the_clean_frames_alike_for_every_prediction(predicts):
    """min(SNR, 5) times the squared error of the clean estimate, whatever the output means (arXiv 2303.09556)."""
    schedule, wrong = LinearBeta(), 0.1 * NOISE.flip(0)
    weighed = denoiser(predicts, schedule, wrong, min_snr=5.0)
    at = schedule(T).like(CLEAN)
    noisy = mcvd.noise.noisy_from_clean(CLEAN, NOISE, at)
    error = (weighed.bind(NOTHING)(noisy, T) - CLEAN).square().flatten(1).sum(1)
    weight = (at.alpha / at.sigma).square().clamp(max=5).view(-1)
    torch.testing.assert_close(weighed.loss(CLEAN, NOTHING, T, NOISE), 0.5 * weight * error, rtol=1e-6, atol=0)


def test_noise_prediction_is_refused_where_no_signal_is_left():
    with pytest.raises(ValueError, match="no signal"):
        denoiser("eps", ZeroTerminalSNR(LinearBeta()))


@pytest.mark.parametrize("wrong", [{"min_snr": 0.0}, {"min_snr": 5.0, "distance": "absolute"}])
def test_impossible_weights_are_refused(wrong):
    with pytest.raises(ValueError, match="min_snr"):
        denoiser("v", Cosine(), **wrong)
