"""Noise in the colours of the data."""

import pytest
import torch
from reference.tiny import pixels, tiny_config
from torch import nn

import mcvd
from mcvd import samplers
from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.noise_colors import FLOOR, NoiseColors
from mcvd.frames import Condition
from mcvd.noise import Cosine, LinearBeta

COVARIANCE = torch.tensor([[1.0, 0.9, 0.6], [0.9, 1.1, 0.7], [0.6, 0.7, 0.9]])


def colored(*shape, seed=0):
    """Normal numbers (..., 3, H, W) of that covariance between channels."""
    white = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.einsum("ij,...jhw->...ihw", torch.linalg.cholesky(COVARIANCE), white)


def covariance(x):
    flat = x.transpose(-3, 0).flatten(1).double()
    return flat @ flat.mT / flat.shape[1]


def measured(scale=0.5):
    colors = NoiseColors(3)
    for seed in range(4):
        colors.measure(scale * colored(8, 3, 3, 32, 32, seed=seed))
    return colors


def test_noise_is_correlated_as_the_data_is_and_as_strong_as_before():
    noise = measured()(torch.randn(16, 3, 3, 64, 64, generator=torch.Generator().manual_seed(9)))
    expected = (COVARIANCE + FLOOR * torch.eye(3)) / (1 + FLOOR)
    torch.testing.assert_close(covariance(noise).float(), expected, rtol=0, atol=0.02)


def test_what_was_coloured_is_made_white_again():
    colors, white = measured(), torch.randn(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(colors.white(colors(white)), white, rtol=0, atol=1e-5)
    expected = torch.linalg.slogdet(colors.mixing.double()).logabsdet
    assert colors.log_volume == expected < 0


def test_colours_are_measured_and_given_in_full_precision_also_under_autocast():
    """Rounded to bf16, what channels have in common would hide what each has of its own."""
    clean, found = colored(8, 3, 3, 16, 16), []
    for enabled in (False, True):
        colors = NoiseColors(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            colors.measure(clean)
            found.append((colors.mixing, colors(clean), colors.white(clean)))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_noise_is_white_until_a_clip_was_shown():
    """A batch may have none to measure: of unrelated pictures alone."""
    colors = NoiseColors(3)
    colors.measure(torch.zeros(0, 3, 3, 16, 16))
    torch.testing.assert_close(colors.mixing, torch.eye(3))
    colors.measure(colored(8, 3, 3, 32, 32))
    assert colors.num_clips == 8 and colors.mixing[0, 1] > 0.3


def test_clips_count_alike_however_much_they_move_and_what_never_changes_has_little_noise():
    calm, wild = NoiseColors(2), NoiseColors(2)
    grey = torch.randn(4, 2, 1, 16, 16, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 2, -1, -1)
    for colors, size in ((calm, 0.01), (wild, 10.0)):
        colors.measure(size * grey)
    torch.testing.assert_close(calm.mixing, wild.mixing)
    apart = calm.mixing @ torch.tensor([0.5**0.5, -(0.5**0.5)])
    torch.testing.assert_close(apart.norm(), torch.tensor((FLOOR / (1 + FLOOR)) ** 0.5))
    still = NoiseColors(2)
    still.measure(torch.zeros(4, 2, 2, 8, 8))
    torch.testing.assert_close(still.mixing, torch.eye(2))


class Perfect(nn.Module):
    """The clean estimate of data that is normal with the covariance of the noise: the same share of every mixture."""

    def encode_condition(self, context, cache, modulation):
        return None

    def forward(self, noisy, label, encoded):
        at = Cosine()(1 - label / 1000).like(noisy)
        return at.alpha * 0.25 / (at.alpha**2 * 0.25 + at.sigma**2) * noisy


@pytest.mark.parametrize("name", ["Heun", "UniPC", "SASolver"])
def test_a_perfect_network_gives_videos_in_the_colours_of_the_data(name):
    colors = measured()
    denoiser = Denoiser(Perfect(), Cosine(), "x0", noise_colors=colors)
    generator = torch.Generator().manual_seed(3)

    def draw(x):
        return denoiser.shaped(torch.randn(x.shape, generator=generator), torch.ones(len(x)))

    nothing = torch.empty(8, 0, 3, 32, 32)
    denoise = denoiser.bind(Condition.visible(nothing, nothing))
    sampler = getattr(samplers, name)(num_steps=60, clip=False)
    sample = sampler(denoise, draw(torch.empty(8, 3, 3, 32, 32)), Cosine(), draw)
    # Truth and noise differ by the floor.
    torch.testing.assert_close(covariance(sample).float(), 0.25 * COVARIANCE, rtol=0, atol=0.012)


def color_config(**options):
    return tiny_config(channels=3) | {"colored_noise": True, "reference": "context"} | options


def test_a_training_measures_colours_and_a_saved_model_keeps_them(tmp_path):
    torch.manual_seed(0)
    model = mcvd.build(color_config())
    model.denoiser.measure(*model.block.split(colored(4, 7, 3, 16, 16).mul(0.2).clamp(-1, 1)))
    model.save_pretrained(tmp_path / "model")
    kept = mcvd.load(tmp_path / "model")
    torch.testing.assert_close(kept.denoiser.noise_colors.mixing, model.denoiser.noise_colors.mixing)
    assert kept.denoiser.noise_colors.mixing.diagonal().min() < 0.99
    past = pixels(1, 2, 3, 16, 16)
    assert torch.equal(
        kept.predict(past, 4, seed=1, steps=2, progress=False), kept.predict(past, 4, seed=1, steps=2, progress=False)
    )


def test_the_loss_is_asked_about_coloured_noise():
    torch.manual_seed(0)
    model = mcvd.build(color_config())
    seen = []
    model.denoiser.net.register_forward_hook(lambda net, inputs, output: seen.append(inputs[0]))
    batch = {"video": torch.full((2, 7, 3, 16, 16), 128, dtype=torch.uint8), "index": [0, 1]}
    model.denoiser.noise_colors.mixing.copy_(torch.ones(3, 3) / 3**0.5)
    model.loss(batch)
    (noisy,) = seen  # of still frames, whose residuals are 0
    assert noisy.std() > 0.1
    torch.testing.assert_close(noisy, noisy.mean(2, keepdim=True).expand_as(noisy))


def test_grey_film_and_models_without_the_option_have_the_same_noise_as_ever():
    colors = NoiseColors(1)
    colors.measure(torch.randn(4, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(colors.mixing, torch.eye(1))
    assert not [name for name in mcvd.build(tiny_config()).state_dict() if "colors" in name]
    white = torch.randn(2, 3)
    assert Denoiser(Perfect(), LinearBeta(), "x0").shaped(white, torch.ones(2)) is white
