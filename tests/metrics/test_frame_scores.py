"""PSNR and SSIM of frames against their definitions and another implementation."""

import json
import math

import pytest
import torch

from mcvd.metrics.frames import (
    MAX_PSNR_DB,
    mean_of_samples,
    mean_squared_error,
    psnr,
    psnr_per_frame,
    squared_distance_of_samples,
    ssim,
    ssim_per_frame,
)


def videos(*shape, noise=40, seed=0):
    """A smooth uint8 video and a noisy copy."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(*shape[:-2], shape[-2] // 4, shape[-1] // 4, generator=generator)
    video = (coarse.repeat_interleave(4, -2).repeat_interleave(4, -1) * 255).to(torch.uint8)
    noisy = video + noise * torch.randn(shape, generator=generator)
    return video, noisy.clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_and_ssim_are_those_of_scikit_image(channels):
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is in the extra `test`")
    truth, video = videos(2, 3, channels, 24, 32)
    for b in range(2):
        for t in range(3):
            a, c = video[b, t].permute(1, 2, 0).numpy(), truth[b, t].permute(1, 2, 0).numpy()
            expected = metrics.peak_signal_noise_ratio(c, a, data_range=255)
            assert psnr_per_frame(video, truth)[b, t].item() == pytest.approx(expected, abs=1e-9)
            grey = [picture[..., 0] if channels == 1 else pillow_grey(picture) for picture in (c, a)]
            expected = metrics.structural_similarity(
                *grey, data_range=255, gaussian_weights=True, use_sample_covariance=False
            )
            assert ssim_per_frame(video, truth)[b, t].item() == pytest.approx(expected, abs=2e-6)


def pillow_grey(picture):
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(picture).convert("L"))


def test_psnr_of_a_video_is_that_of_its_mean_error():
    truth = torch.zeros(1, 2, 1, 4, 4, dtype=torch.uint8)
    video = truth.clone()
    video[:, 1] = 51  # errors 0 and 1/25
    assert psnr(video, truth).item() == pytest.approx(10 * math.log10(50))
    assert psnr_per_frame(video, truth)[0].tolist() == pytest.approx([MAX_PSNR_DB, 10 * math.log10(25)])


def test_scores_of_identical_videos_are_finite_and_perfect():
    video, _ = videos(1, 2, 3, 16, 16)
    assert psnr(video, video).item() == MAX_PSNR_DB
    assert ssim(video, video).item() == 1
    assert json.loads(json.dumps(psnr(video, video).tolist(), allow_nan=False)) == [MAX_PSNR_DB]


def test_opposites_do_not_wrap_around():
    black = torch.zeros(1, 1, 3, 16, 16, dtype=torch.uint8)
    assert psnr(black, black + 255).item() == psnr(black + 255, black).item() == 0


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_samples_are_scored_together_as_one_by_one(metric):
    truth, _ = videos(2, 3, 3, 16, 16)
    samples = torch.stack([videos(2, 3, 3, 16, 16, noise=noise)[1] for noise in (10, 80)], 1)
    together = metric(samples, truth[:, None])
    one_by_one = torch.stack([metric(samples[:, k], truth) for k in range(2)], 1)
    assert together.allclose(one_by_one, rtol=0, atol=1e-6)
    assert (together.argmax(1) == 0).all()


def test_ssim_does_not_depend_on_how_many_frames_are_scored_at_once():
    truth, video = videos(1, 40, 1, 48, 48)
    one_by_one = torch.cat([ssim_per_frame(video[:, t : t + 1], truth[:, t : t + 1]) for t in range(40)], 1)
    assert ssim_per_frame(video, truth).allclose(one_by_one, rtol=0, atol=1e-6)


def test_the_mean_of_samples_has_less_error_than_a_sample():
    truth, _ = videos(1, 2, 3, 16, 16)
    samples = torch.stack([videos(1, 2, 3, 16, 16, noise=0)[0]] * 8, 1)
    samples = (samples + 20 * torch.randn(samples.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255)
    samples = samples.to(torch.uint8)
    assert psnr(mean_of_samples(samples), truth) > psnr(samples, truth[:, None]).amax(1)


def test_the_mean_of_samples_is_rounded_not_cut():
    samples = torch.tensor([10, 11, 11], dtype=torch.uint8).view(1, 3, 1, 1, 1, 1)
    assert mean_of_samples(samples).item() == 11


def test_distance_of_samples_is_that_of_every_pair():
    samples = torch.tensor([0, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1, 1, 1)
    assert squared_distance_of_samples(samples).item() == pytest.approx(2 / 3 / 25)
    with pytest.raises(ValueError, match="2 or more"):
        squared_distance_of_samples(samples[:, :1])


@pytest.mark.parametrize(
    ("video", "truth", "message"),
    [
        (torch.zeros(1, 2, 3, 16, 16), torch.zeros(1, 2, 3, 16, 16), "uint8"),
        (torch.zeros(1, 2, 3, 16, 16).byte(), torch.zeros(1, 3, 3, 16, 16).byte(), "same frames"),
        (torch.zeros(1, 2, 2, 16, 16).byte(), torch.zeros(1, 2, 2, 16, 16).byte(), "1 or 3 channels"),
        (torch.zeros(1, 0, 3, 16, 16).byte(), torch.zeros(1, 0, 3, 16, 16).byte(), "1 or more"),
        (torch.zeros(16, 16).byte(), torch.zeros(16, 16).byte(), "uint8"),
    ],
)
def test_what_cannot_be_scored_is_refused(video, truth, message):
    with pytest.raises(ValueError, match=message):
        mean_squared_error(video, truth)


def test_ssim_refuses_frames_smaller_than_its_window():
    small = torch.zeros(1, 1, 1, 8, 16, dtype=torch.uint8)
    with pytest.raises(ValueError, match="got 8x16"):
        ssim(small, small)
