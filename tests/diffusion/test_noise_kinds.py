"""Gamma noise, and a context that is diffused with the frames: as published, and as laws."""

from functools import partial

import pytest
import torch
from reference.published import published_shapes
from reference.published_numbers import ABOUT, LABELS, Draws, answers, inputs, names_and_shapes_digest, network

import mcvd
from mcvd.diffusion.denoiser import Denoiser
from mcvd.frames import Condition, FrameBlock
from mcvd.models.mcvd import MCVD
from mcvd.models.published.checkpoint import build_net
from mcvd.models.published.config import translate_config
from mcvd.nets import Concat, UNet
from mcvd.noise import Coefficients, LinearBeta, gamma_noise
from mcvd.samplers import DDIM, DDPM

BLOCK = FrameBlock(past=2, current=3)
NET = partial(UNet, width=8, multipliers=(1, 2), attention_levels=(1,), head_channels=8)


@pytest.fixture(scope="module")
def published():
    shapes = published_shapes(build_net(translate_config(ABOUT["noise_in_cond"]["config"])))
    assert names_and_shapes_digest(shapes) == ABOUT["noise_in_cond"]["names_and_shapes_sha256"]
    net = network("noise_in_cond", shapes)
    noisy, past, future = inputs("noise_in_cond")
    return Denoiser(net, LinearBeta(), diffuses_context=True), noisy, Condition.visible(past, future)


def test_the_answer_for_a_context_in_noise_is_the_published_one(published):
    denoiser, noisy, condition = published
    assert translate_config(ABOUT["noise_in_cond"]["config"])["diffuses_context"] is True
    with torch.inference_mode():
        eps = denoiser.predict_noise(noisy, 1 - LABELS / 1000, condition, Draws()(condition.frames))
    assert (eps.flatten(1, 2)[..., ::2, ::2] - answers("noise_in_cond")["eps"]).abs().max() < 2e-5


@pytest.mark.parametrize(("sampler", "name", "tolerance"), [(DDPM(10), "ddpm_10", 5e-5), (DDIM(10), "ddim_10", 1e-3)])
def test_samples_with_a_context_in_noise_are_the_published_ones(published, sampler, name, tolerance):
    denoiser, noisy, condition = published
    draws = Draws()
    with torch.inference_mode():
        sample = sampler(denoiser.bind(condition, draw=draws), noisy, LinearBeta(), draws)
    assert (sample.flatten(1, 2)[..., ::2, ::2] - answers("noise_in_cond")[name]).abs().max() < tolerance


def test_gamma_noise_has_the_published_shape_and_scale():
    about, schedule = ABOUT["gamma"], LinearBeta()
    config = translate_config(about["config"])
    theta = config["gamma_noise"]
    at = schedule(1 - torch.tensor(about["labels"], dtype=torch.float64) / 1000)
    shape = (at.sigma / (at.alpha * theta)) ** 2
    torch.testing.assert_close(shape, torch.tensor(about["k_cum"]).double(), rtol=1e-3, atol=0)
    torch.testing.assert_close(at.alpha * theta, torch.tensor(about["theta_t"]).double(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("k", [100.0, 1e3, 1e5])
def test_gamma_noise_is_distributed_as_the_gamma_distribution(k):
    stats = pytest.importorskip("scipy.stats")
    normal = torch.linspace(-4.5, 4.5, 1001, dtype=torch.float64)
    theta = 1 / k**0.5  # for alpha = sigma
    noise = gamma_noise(normal, theta, Coefficients(torch.tensor(1.0), torch.tensor(1.0)))
    wanted = stats.gamma.cdf(k + k**0.5 * noise.numpy(), k)
    assert abs(wanted - torch.special.ndtr(normal).numpy()).max() < 6e-3 / k


def test_without_signal_gamma_noise_is_normal():
    normal = torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(gamma_noise(normal, 0.001, Coefficients(torch.tensor(0.0), torch.tensor(1.0))), normal)


def tiny(**kinds):
    torch.manual_seed(0)
    return MCVD(BLOCK, partial(NET, conditioning=Concat(tell_mask=False)), size=(8, 8), channels=1, **kinds)


@pytest.mark.parametrize("kinds", [{"gamma_noise": 0.05}, {"diffuses_context": True}], ids=str)
def test_training_and_sampling_use_it_and_the_config_keeps_it(kinds, tmp_path):
    video = torch.randint(0, 256, (2, 5, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain, model = tiny(), tiny(**kinds)
    batch = {"video": video, "index": [0, 1]}
    with torch.no_grad():
        plain.denoiser.net.last.weight.normal_(std=0.05)
        model.load_state_dict(plain.state_dict())
        losses = plain.loss(batch), model.loss(batch)
    assert not torch.allclose(*losses)
    made = [each.predict(video[:, :2], 3, sampler=DDPM(3), seed=4) for each in (plain, model)]
    assert not torch.equal(*made)
    model.save_pretrained(tmp_path / "model")
    again = mcvd.load(tmp_path / "model")
    assert torch.equal(again.predict(video[:, :2], 3, sampler=DDPM(3), seed=4), made[1])


def test_each_sample_sees_a_context_noise_of_its_own_and_neighbours_do_not_matter():
    model = tiny(diffuses_context=True)
    torch.nn.init.normal_(model.denoiser.net.last.weight, std=0.05)
    past = torch.randint(0, 256, (1, 2, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    options = {"sampler": DDIM(3), "seed": 0, "num_samples": 2}
    together = model.predict(past, 3, **options)
    torch.testing.assert_close(model.predict(past, 3, **options, batch_size=1), together, rtol=0, atol=1)
    assert not torch.equal(together[0, 0], together[0, 1])


@pytest.mark.parametrize(
    ("kinds", "named"),
    [
        ({"gamma_noise": 0.0}, "gamma_noise"),
        ({"diffuses_context": True, "reference": "context"}, "diffuses_context hides the context"),
    ],
)
def test_what_cannot_be_together_is_refused(kinds, named):
    with pytest.raises(ValueError, match=named):
        tiny(**kinds)


def test_a_diffused_context_without_noise_is_an_error():
    model = tiny(diffuses_context=True)
    condition = Condition.visible(torch.zeros(1, 2, 1, 8, 8), torch.zeros(1, 0, 1, 8, 8))
    with pytest.raises(ValueError, match="give it noise"):
        model.denoiser.estimate(torch.zeros(1, 3, 1, 8, 8), torch.ones(1), condition)
