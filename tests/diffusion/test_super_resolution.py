"""Frames told at a smaller size: how they are made smaller and larger, what is diffused, what a condition holds."""

import pytest
import torch
from reference.tiny import pixels

from mcvd.diffusion.super_resolution import (
    LowReference,
    SuperResolution,
    _noise_share,
    enlarged,
    low_planes,
    low_track,
    reduced,
)
from mcvd.frames import Condition, FrameBlock, model_from_pixels
from mcvd.video.transforms import scale_to_cover

BLOCK = FrameBlock(past=1, current=2)
OPTIONS = SuperResolution(factor=2, noise=0.5)


def smooth(batch=6, size=16, seed=0):
    """Frames with more contrast in some places than in others, float (B, 2, 1, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(batch, 2, 1, size, size, generator=generator)
    noise = torch.nn.functional.avg_pool2d(noise.flatten(0, 1), 3, 1, 1).unflatten(0, (batch, 2))
    return noise * torch.linspace(0.1, 1, size)


def told(low, level=None, noise=None):
    past = low.new_zeros(len(low), 1, 1, low.shape[-2] * 2, low.shape[-1] * 2)
    condition = Condition.visible(past, past[:, :0])
    condition = Condition(**{name: getattr(condition, name) for name in condition._names}, low=low)
    return condition if level is None else condition.low_noised(torch.full((len(low),), level), noise)


def test_frames_are_made_smaller_as_a_reader_does():
    video = pixels(5, 3, 16, 24)
    assert torch.equal(reduced(video, (8, 12)), scale_to_cover(video, (8, 12)))
    assert reduced(video[:0], (8, 12)).shape == (0, 3, 8, 12)


def test_even_frames_stay_even():
    even = torch.full((2, 3, 1, 8, 8), 0.25)
    assert torch.equal(OPTIONS.reduced(even), even[..., ::2, ::2])
    assert torch.equal(enlarged(even, (16, 16)), torch.full((2, 3, 1, 16, 16), 0.25))


def test_residuals_and_frames_are_each_other_s_inverse_and_nothing_is_the_enlargement():
    clean = smooth()
    residual = LowReference(BLOCK, OPTIONS, floor=0.02)(told(reduced(clean, (8, 8))))
    torch.testing.assert_close(residual.to_frames(residual.from_frames(clean)), clean)
    torch.testing.assert_close(residual.to_frames(torch.zeros_like(clean)), enlarged(reduced(clean, (8, 8)), (16, 16)))


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_once_measured_residuals_have_half_a_standard_deviation(level):
    reference, clean = LowReference(BLOCK, OPTIONS, floor=0.005), smooth(batch=64)
    reference.measure(clean[:, :0], clean, clean[:, :0])
    low = reduced(clean, (8, 8))
    noise = torch.randn(low.shape, generator=torch.Generator().manual_seed(1))
    residual = reference(told(low, level, noise)).from_frames(clean)
    assert 0.4 < residual.std().item() < 0.6
    left, right = residual[..., :8].std().item(), residual[..., 8:].std().item()
    assert 0.75 < left / right < 1.35  # though the right half has many times the detail


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_share_of_noise_that_an_enlargement_keeps(factor):
    noise = torch.randn(1, 1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    found = enlarged(noise, (200 * factor, 200 * factor)).var().item()
    assert found == pytest.approx(_noise_share(factor), rel=0.05)


def test_planes_are_the_enlarged_frames_and_the_level_of_their_noise():
    low = smooth(size=8)
    condition = told(low, 0.25, torch.zeros_like(low))
    planes = low_planes(condition)
    assert planes.shape == (6, 3, 16, 16) and (planes[:, 2] == 0.25).all()
    torch.testing.assert_close(planes[:, :2], enlarged(low, (16, 16))[:, :, 0])


def test_a_condition_keeps_its_small_frames_through_all_that_is_done_to_it():
    low = smooth(batch=2, size=8)
    condition = told(low, 0.5, torch.ones_like(low))
    assert torch.equal(condition.low, low + 0.5)
    assert torch.equal(condition.null().low, condition.low)
    assert torch.equal(condition.repeat(3).low, condition.low.repeat_interleave(3, 0))
    both = condition.followed_by(condition.null())
    assert torch.equal(both.low_noise, torch.full((4,), 0.5)) and len(both.low) == 4


@pytest.mark.parametrize(
    ("low", "level", "message"),
    [
        (torch.zeros(2, 2, 8, 8), None, "low must be float"),
        (torch.zeros(2, 2, 3, 8, 8), None, "low must be float"),
        (torch.zeros(2, 2, 1, 8, 8, dtype=torch.uint8), None, "low must be float"),
        (torch.zeros(2, 2, 1, 8, 8), torch.zeros(3), "low_noise must be one number per sample"),
    ],
)
def test_a_condition_refuses_small_frames_that_do_not_fit(low, level, message):
    past = torch.zeros(2, 1, 1, 16, 16)
    keep = torch.ones(2, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match=message):
        Condition(past, past[:, :0], keep, keep[:, :0], low=low, low_noise=level)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 1}, "factor is a whole number from 2"),
        ({"factor": 17}, "factor is a whole number from 2"),
        ({"noise": -0.1}, "noise is a standard deviation"),
        ({"noise": 2.0}, "noise is a standard deviation"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SuperResolution(**options)


def test_a_track_knows_the_given_frames_and_goes_on_beyond_its_end():
    past, low = pixels(1, 2, 1, 16, 16), pixels(1, 3, 1, 8, 8, seed=1)
    track = low_track(OPTIONS, low, past, past[:, :0], 3, model_from_pixels)
    everything = model_from_pixels(torch.cat([reduced(past, (8, 8)), low], 1))
    assert torch.equal(track.at(range(1, 4)), everything[:, 1:4])
    assert torch.equal(track.at(range(4, 7)), everything[:, [4, 4, 4]])


@pytest.mark.parametrize(
    ("options", "low", "message"),
    [
        (None, pixels(1, 3, 1, 8, 8), "trained without super_resolution"),
        (OPTIONS, None, "it needs these"),
        (OPTIONS, pixels(1, 3, 1, 16, 16), r"low must be torch.uint8 of \(3, 1, 8, 8\)"),
        (OPTIONS, pixels(1, 4, 1, 8, 8), "low must be"),
        (OPTIONS, pixels(2, 3, 1, 8, 8), "one for each of 1 videos"),
        (OPTIONS, torch.zeros(1, 3, 1, 8, 8), "low must be torch.uint8"),
    ],
)
def test_a_work_refuses_small_frames_that_do_not_fit(options, low, message):
    past = pixels(1, 1, 1, 16, 16)
    with pytest.raises(ValueError, match=message):
        low_track(options, low, past, past[:, :0], 3, model_from_pixels)
