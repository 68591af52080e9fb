"""The frame metrics as objects: titles, digits, definitions."""

import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as reference
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from mcvd.metrics.frame_metrics import MS_SSIM, PSNR, SSIM, TORCHMETRICS_SSIM, ms_ssim_per_frame, num_scales
from mcvd.metrics.frames import psnr, ssim

GENERATOR = torch.Generator().manual_seed(0)


def videos(*shape, noise=30):
    """A truth and something like it."""
    truth = torch.randint(0, 256, shape, dtype=torch.uint8, generator=GENERATOR)
    off = noise * torch.randn(shape, generator=GENERATOR)
    return (truth + off).round().clamp(0, 255).to(torch.uint8), truth


@pytest.mark.parametrize(("metric", "function"), [(PSNR, psnr), (SSIM, ssim)])
def test_entries_of_the_table_are_the_scores_of_their_name(metric, function):
    video, truth = videos(2, 3, 4, 1, 16, 16)
    assert torch.equal(metric.per_video(video, truth[:, :1]), function(video, truth[:, :1]))


def test_the_best_is_the_highest_or_the_lowest():
    scores = torch.tensor([[1.0, 3.0, 2.0]])
    assert PSNR.best(scores, 1).tolist() == [1]
    assert type(PSNR)("d", "d", 1, PSNR.per_frame, higher_is_better=False).best(scores, 1).tolist() == [0]


def test_ms_ssim_on_five_scales_is_that_of_torchmetrics():
    video, truth = videos(1, 2, 1, 180, 200)
    # In float64: in float32 its variances lose digits.
    expected = [reference(video[:, t].double(), truth[:, t].double(), data_range=255.0).item() for t in range(2)]
    assert ms_ssim_per_frame(video, truth)[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("size", "scales"), [((21, 64), 0), ((22, 30), 2), ((64, 64), 3), ((88, 88), 3), ((128, 128), 4)]
)
def test_smaller_frames_have_fewer_scales(size, scales):
    assert num_scales(*size) == scales
    video, truth = videos(2, 3, 3, *size)
    if not scales:
        with pytest.raises(ValueError, match="22x22 pixels or more, got 21x64"):
            ms_ssim_per_frame(video, truth)
        return
    scores = ms_ssim_per_frame(video, truth)
    assert scores.shape == (2, 3) and scores.dtype == torch.float64
    assert ((scores > 0) & (scores < 1)).all()
    assert MS_SSIM.per_video(truth, truth).tolist() == pytest.approx([1, 1])


def test_frames_of_every_size_can_be_scored():
    """torchmetrics has a limit of its own: 96 pixels are too few for four scales there."""
    for side in (*range(22, 26), *range(40, 46), *range(86, 104), *range(160, 178)):
        video = videos(1, 1, 1, side, side)[1]
        assert ms_ssim_per_frame(video, video).item() == pytest.approx(1.0), side


def test_ms_ssim_falls_with_noise():
    truth = videos(1, 2, 3, 64, 64)[1]
    torch.manual_seed(0)
    scores = [
        MS_SSIM.per_video((truth + s * torch.randn(truth.shape)).clamp(0, 255).to(torch.uint8), truth).item()
        for s in (2, 10, 50)
    ]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("shape", [(1, 24, 32), (3, 11, 64)])
def test_psnr_and_ssim_are_those_of_torchmetrics(shape):
    video, truth = videos(1, 3, *shape)
    sides = [side[0].float() for side in (video, truth)]
    assert PSNR.per_video(video, truth).item() == pytest.approx(
        peak_signal_noise_ratio(*sides, data_range=255.0).item(), rel=1e-6
    )
    expected = structural_similarity_index_measure(*sides, data_range=255.0, sigma=1.5, reduction="none")
    assert TORCHMETRICS_SSIM.per_frame(video, truth)[0].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert TORCHMETRICS_SSIM.name != SSIM.name and TORCHMETRICS_SSIM.title != SSIM.title, "another number, another name"
    assert SSIM.per_frame(video, truth)[0].tolist() != pytest.approx(expected.tolist(), abs=1e-3)
