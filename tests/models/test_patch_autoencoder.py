"""`PatchAutoencoder`: shapes, its distribution, and that a place of the latents sees its own surroundings alone."""

import pytest
import torch

from mcvd.models.codecs.patch_autoencoder import Gaussian, PatchAutoencoder


@pytest.mark.parametrize(("patch", "channels", "latents"), [(1, 1, 2), (2, 3, 4), (4, 3, 8), (8, 2, 16)])
def test_a_latent_is_a_patch_of_pixels(patch, channels, latents):
    net = PatchAutoencoder(channels, latents, patch, width=8)
    frames = torch.zeros(2, channels, 3 * patch, 5 * patch)
    code = net.encode(frames, return_dict=False)[0].mode()
    assert code.shape == (2, latents, 3, 5)
    assert net.decode(code, return_dict=False)[0].shape == frames.shape


def test_no_convolution_works_on_pixels():
    net, seen = PatchAutoencoder(width=8), []
    for each in net.modules():
        if isinstance(each, torch.nn.Conv2d):
            each.register_forward_hook(lambda layer, given, found: seen.append(given[0].shape[-2:]))
    net.decode(net.encode(torch.zeros(1, 3, 32, 16)).latent_dist.mode())
    assert seen and {tuple(size) for size in seen} == {(8, 4)}


def test_frames_moved_by_a_patch_have_moved_latents():
    torch.manual_seed(0)
    net, frames = PatchAutoencoder(width=8), torch.randn(1, 3, 96, 96)
    code, moved = (net.encode(each).latent_dist.mode() for each in (frames, frames.roll((4, -4), (2, 3))))
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))  # the border is seen by the padding
    torch.testing.assert_close(moved[inside], code.roll((1, -1), (2, 3))[inside], atol=1e-5, rtol=1e-5)


def test_the_divergence_is_that_of_normal_distributions():
    torch.manual_seed(0)
    own = Gaussian(torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4))
    normal = torch.distributions.Normal(own.mean, own.std)
    standard = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    expected = torch.distributions.kl_divergence(normal, standard).sum((1, 2, 3))
    torch.testing.assert_close(own.kl(), expected)


def test_it_learns_to_give_frames_back():
    torch.manual_seed(0)
    net, frames = PatchAutoencoder(width=32), torch.randn(8, 3, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    optimizer, errors = torch.optim.Adam(net.parameters(), lr=3e-3), []
    for _ in range(60):
        errors.append((net.decode(net.encode(frames).latent_dist.mode()).sample - frames).abs().mean())
        optimizer.zero_grad()
        errors[-1].backward()
        optimizer.step()
    assert errors[-1] < 0.5 * errors[0]


@pytest.mark.parametrize("wrong", [{"patch": 0}, {"width": 1.5}, {"latent_channels": -1}, {"decoder_blocks": 0}])
def test_numbers_below_one_are_refused(wrong):
    with pytest.raises(ValueError, match="whole numbers above 0"):
        PatchAutoencoder(**wrong)
