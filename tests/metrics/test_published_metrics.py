"""The published evaluation step by step, with the libraries that it calls: torchvision, Pillow and scikit-image."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import alexnet
from torchvision.transforms import Compose, Normalize, Resize, ToPILImage, ToTensor

import mcvd.metrics.lpips
from mcvd.metrics.frame_metrics import PSNR, SSIM
from mcvd.metrics.lpips import ALEXNET, lpips_network
from mcvd.metrics.published import (
    PUBLISHED_BINARY_SSIM,
    PUBLISHED_PSNR,
    PUBLISHED_SSIM,
    published_lpips,
    truncated,
    unit_from_pixels,
)

SHAPES = [(1, 24, 32), (3, 20, 24)]


def frames(channels, height, width, num_frames=3):
    """True pixels, and what a model made of them: floats between the grey levels."""
    generator = torch.Generator().manual_seed(channels)
    coarse = torch.rand(2, num_frames, channels, height // 4, width // 4, generator=generator)
    truth = (255 * coarse.repeat_interleave(4, -2).repeat_interleave(4, -1)).to(torch.uint8)
    made = truth / 255 + 0.1 * torch.randn(truth.shape, generator=generator)
    return made.clamp(0, 1), truth


def as_loaded(truth):
    """A true frame as it comes out of the published data pipeline: to [-1, 1] and back."""
    x = 2.0 * truth.float().div(255) - 1.0
    return ((x + 1.0) / 2.0).clamp(0.0, 1.0)


def pictures(made, truth):
    """(made, true) pictures as floats (C, H, W), frame by frame."""
    return zip(made.flatten(0, 1), as_loaded(truth).flatten(0, 1), strict=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_psnr_is_that_of_the_floats(shape):
    made, truth = frames(*shape)
    errors = [torch.nn.functional.mse_loss(*pair).item() for pair in pictures(made, truth)]
    expected = [10 * math.log10(3 / sum(errors[:3])), 10 * math.log10(3 / sum(errors[3:]))]
    assert PUBLISHED_PSNR.per_video(made, truth).tolist() == pytest.approx(expected, rel=1e-6)
    pixels = (made * 255).round().to(torch.uint8)
    assert PSNR.per_video(pixels, truth).tolist() != pytest.approx(expected, rel=1e-6)


def scikit_ssim(pair, first=lambda picture: picture):
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is in the extra `test`")
    grey = [np.asarray(ToPILImage()(first(side)).convert("RGB").convert("L")) for side in pair]
    return metrics.structural_similarity(*grey, data_range=255, gaussian_weights=True, use_sample_covariance=False)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("metric", "first"), [(PUBLISHED_SSIM, lambda side: side), (PUBLISHED_BINARY_SSIM, torch.round)]
)
def test_ssim_is_that_of_scikit_image_on_truncated_pictures(shape, metric, first):
    made, truth = frames(*shape)
    expected = [scikit_ssim(pair, first) for pair in pictures(made, truth)]
    assert metric.per_frame(made, truth).flatten().tolist() == pytest.approx(expected, abs=2e-6)
    rounded = SSIM.per_frame((made * 255).round().to(torch.uint8), truth)
    assert (rounded.flatten() - torch.tensor(expected)).abs().max() > 1e-5


def test_true_pixels_lose_a_level_where_they_did_when_published():
    levels = torch.arange(256, dtype=torch.uint8).view(256, 1, 1)
    expected = [int(np.asarray(ToPILImage()(side[None]))[0, 0]) for side in as_loaded(levels)]
    found = truncated(unit_from_pixels(levels)).flatten().tolist()
    assert found == expected
    assert sum(a != b for a, b in zip(found, range(256), strict=True)) == 63


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file in the form of torchvision's, taken for the published one."""
    torch.manual_seed(0)
    path = tmp_path / ALEXNET.name
    torch.save(alexnet(weights=None).state_dict(), path)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    monkeypatch.setattr(mcvd.metrics.lpips, "ALEXNET", replace(ALEXNET, digest=digest))
    return path


def test_lpips_sees_truncated_pictures_that_pillow_scaled(weights):
    network = lpips_network(weights)
    steps = Compose([Resize((128, 128)), ToTensor(), Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
    metric = published_lpips(weights)
    for shape in SHAPES:
        made, truth = (side[:1, :2] for side in frames(*shape))
        with torch.no_grad():
            expected = [
                network(*(steps(ToPILImage()(side).convert("RGB"))[None] for side in pair)).item()
                for pair in pictures(made, truth)
            ]
        assert metric.per_frame(made, truth).flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert metric.definition.startswith("mcvd-2022") and ALEXNET.name in metric.definition


def test_samples_are_scored_together_and_pixels_count_as_true_ones():
    made, truth = frames(1, 24, 32)
    samples = torch.stack([made, as_loaded(truth)], 1)
    for metric in (PUBLISHED_PSNR, PUBLISHED_SSIM, PUBLISHED_BINARY_SSIM):
        scores = metric.per_video(samples, truth[:, None])
        assert scores[:, 0].tolist() == pytest.approx(metric.per_video(made, truth).tolist(), abs=1e-6)
        assert scores[:, 1].tolist() == pytest.approx(metric.per_video(truth, truth).tolist(), abs=1e-6)


def test_floats_beyond_the_unit_range_are_refused():
    made, truth = frames(1, 24, 32)
    with pytest.raises(ValueError, match=r"float in \[0, 1\]"):
        PUBLISHED_PSNR.per_video(2 * made - 1, truth)


def test_every_way_of_scaling_is_pillow_s():
    """One difference of a grey level would move LPIPS in the third digit."""
    picture = torch.randint(0, 256, (3, 40, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = np.asarray(Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((128, 128), Image.BILINEAR))
    found = mcvd.metrics.lpips._pixels(picture[None], 128)[0].permute(1, 2, 0)
    assert torch.equal(found, torch.from_numpy(expected.copy()).float())
