"""Repeated frames, extrapolation and cross-fades."""

import pytest
import torch

from mcvd.evaluation.baselines import blend, copy_first, copy_last, extrapolate, simplest_baseline


def ramp(*values):
    """A video of one pixel."""
    return torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1)


VIDEO = torch.randint(0, 256, (2, 4, 3, 5, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("make", [copy_last, copy_first, extrapolate, lambda video, n: blend(video, video, n)])
def test_a_still_video_is_continued_exactly_and_in_the_shape_asked_for(make):
    still = VIDEO[:, :1].repeat(1, 3, 1, 1, 1)
    made = make(still, 7)
    assert made.shape == (2, 7, 3, 5, 6)
    assert made.dtype == torch.uint8
    assert (made == still[:, :1]).all()


def test_copies_take_the_frame_next_to_what_is_missing():
    assert (copy_last(VIDEO, 2) == VIDEO[:, -1:]).all()
    assert (copy_first(VIDEO, 2) == VIDEO[:, :1]).all()


def test_extrapolation_continues_a_linear_change_both_ways_and_stops_at_black_and_white():
    assert extrapolate(ramp(0, 10, 20), 3).flatten().tolist() == [30, 40, 50]
    assert extrapolate(ramp(120, 70), 3).flatten().tolist() == [20, 0, 0]
    assert extrapolate(ramp(0, 255), 1000).flatten().unique().tolist() == [255]


def test_blend_fills_a_linear_change_exactly():
    whole = ramp(*range(0, 100, 10))
    assert torch.equal(blend(whole[:3], whole[7:], 4), whole[3:7])


@pytest.mark.parametrize("make", [copy_last, copy_first, extrapolate])
def test_a_batch_is_continued_as_its_videos_are(make):
    assert torch.equal(make(VIDEO, 3)[1], make(VIDEO[1], 3))
    assert torch.equal(blend(VIDEO, VIDEO.flip(1), 3)[1], blend(VIDEO[1], VIDEO[1].flip(0), 3))


@pytest.mark.parametrize("make", [lambda: extrapolate(ramp(1), 2), lambda: copy_last(VIDEO[:, :0], 2)])
def test_too_few_frames_are_refused(make):
    with pytest.raises(ValueError, match="or more, got"):
        make()


def test_whole_numbers_that_are_no_pixels_are_refused():
    with pytest.raises(ValueError, match="uint8 or float"):
        blend(VIDEO, VIDEO.int(), 2)


def test_values_stay_floats_within_the_given_ones_and_missing_stays_missing():
    rain = torch.tensor([[3.0, 0.0, torch.nan], [2.0, 0.5, 1.0], [0.5, 1.25, 2.0]]).view(3, 1, 1, 3)
    assert copy_last(rain, 2).dtype == torch.float32
    going = extrapolate(rain, 2)
    assert going[:, 0, 0].tolist() == [[0.0, 2.0, 3.0], [0.0, 2.75, 3.0]]
    fade = blend(rain[:1], rain[2:], 1)
    assert fade.flatten()[:2].tolist() == [1.75, 0.625] and fade.flatten()[2].isnan()
    assert extrapolate(rain * torch.nan, 2).isnan().all()


@pytest.mark.parametrize(
    ("num_past", "num_future", "title", "values"),
    [
        (2, 0, "last frame repeated", [20, 20, 20]),
        (0, 2, "first frame repeated", [60, 60, 60]),
        (2, 2, "cross-fade", [30, 40, 50]),
    ],
)
def test_the_simplest_baseline_uses_every_side_that_is_given(num_past, num_future, title, values):
    past, future = ramp(10, 20)[:num_past], ramp(60, 90)[:num_future]
    ((found, video),) = simplest_baseline(past, future, 3).items()
    assert found == title and video.flatten().tolist() == values


def test_nothing_given_has_no_baseline():
    assert simplest_baseline(ramp(0)[:0], ramp(0)[:0], 3) == {}
