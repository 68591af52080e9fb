"""Whole videos at a multiple of their frame rate: what stays, what is independent of how the work is cut up."""

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.told_times import ToldTimes
from mcvd.evaluation.baselines import cross_faded
from mcvd.models.upsampling import Upsampling

FAST = {"steps": 2, "progress": False}


@pytest.fixture(scope="module")
def model():
    return tiny_model(past=2, current=3, future=1)


@pytest.mark.parametrize("factor", [2, 3, 4, 7])  # mixed and exact, within a block and beyond it
def test_given_frames_stay_as_they_are(model, factor):
    video = pixels(2, 4, 1, 16, 16)
    made = model.upsample(video, factor, **FAST)
    assert made.shape == (2, 3 * factor + 1, 1, 16, 16) and made.dtype == torch.uint8
    assert torch.equal(made[:, ::factor], video)


@pytest.mark.parametrize("factor", [2, 3])
def test_gaps_at_once_do_not_change_the_video(model, factor):
    video = pixels(5, 1, 16, 16)
    one, all_of_them = (model.upsample(video, factor, num_samples=2, batch_size=size, **FAST) for size in (2, 64))
    assert one.shape == (1, 2, 4 * factor + 1, 1, 16, 16)
    assert (one.int() - all_of_them.int()).abs().max() <= 1  # sums of another batch are rounded otherwise
    assert not torch.equal(one[:, 0], one[:, 1])


def test_a_gap_as_long_as_the_block_is_an_interpolation(model):
    video = pixels(2, 1, 16, 16)
    past, future = video[:1].expand(2, -1, -1, -1), video[1:]
    made = model.interpolate(past, future, 3, **FAST)
    assert torch.equal(model.upsample(video, 4, **FAST)[:, 1:-1], made)
    halves = model.upsample(video, 2, **FAST)
    assert torch.equal(halves[:, 1], made[:, 1])  # the frame in the middle of a block is in the middle of the gap


def test_frames_between_two_of_the_block_are_mixed(model):
    video = pixels(2, 1, 16, 16)
    whole = torch.cat([video[None], model.interpolate(video[:1].expand(2, -1, -1, -1), video[1:], 3, **FAST)], 1)
    first, second = whole[:, 2].float(), whole[:, 3].float()  # at 1/4 and 2/4 of the gap
    third = model.upsample(video, 3, **FAST)[:, 1].float()
    assert (third - (first * 2 / 3 + second / 3)).abs().max() <= 1.5


def test_unrounded_frames_are_floats(model):
    video = pixels(3, 1, 16, 16)
    made = model.upsample(video, 3, rounded=False, **FAST)
    assert made.dtype == torch.float32 and (made[0, ::3] - video / 255).abs().max() < 1e-6


def test_progress_is_that_of_all_gaps(model):
    told = []
    model.upsample(pixels(5, 1, 16, 16), 4, batch_size=2, on_progress=told.append, **FAST)
    assert told == sorted(told) and told[0] == 0 and told[-1] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("frames", "factor", "options", "message"),
    [
        (1, 2, {}, "at least 2"),
        (3, 1, {}, "factor must be a whole number from 2"),
        (3, 2.5, {}, "factor must be a whole number from 2"),
        (3, 2, {"loop": True}, "one gap"),
        (3, 2, {"seed": [1, 2]}, "one number"),
    ],
)
def test_bad_input_is_refused(model, frames, factor, options, message):
    with pytest.raises(ValueError, match=message):
        model.upsample(pixels(frames, 1, 16, 16), factor, **FAST, **options)


@pytest.fixture(scope="module")
def told():
    """One that was trained at 5 to 30 Hz."""
    model = tiny_model(past=1, current=3, future=1, net="SpaceTimeUNet")
    model.frame_rate_hz, model.times = 10.0, ToldTimes((10.0, 5.0, 30.0))
    return model


@pytest.mark.parametrize(("rate", "of_block"), [(5, 20), (10, 30), (0.5, 5)])  # the nearest where it knows none
def test_a_model_of_several_rates_is_told_that_of_the_frames_it_makes(told, rate, of_block):
    video = pixels(2, 1, 16, 16)
    made = told.upsample(video, 4, frame_rate_hz=rate, **FAST)
    asked = told.interpolate(video[:1], video[1:], 3, frame_rate_hz=of_block, **FAST)
    assert torch.equal(made[:, 1:-1], asked)
    assert not torch.equal(made, told.upsample(video, 4, **FAST))  # at its own


@pytest.mark.parametrize(("rate", "message"), [(0, "more than 0"), (float("nan"), "more than 0"), ("5", "more than 0")])
def test_a_rate_that_is_none_is_refused(told, rate, message):
    with pytest.raises(ValueError, match=message):
        told.upsample(pixels(3, 1, 16, 16), 2, frame_rate_hz=rate, **FAST)


def test_a_model_of_one_rate_takes_no_other(model):
    with pytest.raises(ValueError, match="trained at one rate"):
        model.upsample(pixels(3, 1, 16, 16), 2, frame_rate_hz=5, **FAST)


def test_signals_are_those_of_all_frames_and_not_rows_that_each_gap_would_take_for_its_own():
    config = tiny_config(past=2, current=3, future=2) | {"signals": {"names": ["wheel"]}}
    config["net"]["init_args"]["num_signals"] = 1
    model, video = mcvd.build(config).eval(), pixels(4, 1, 16, 16)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    one, other = (model.upsample(video, 2, signals={"wheel": each}, **FAST) for each in (0.0, 1.0))
    assert not torch.equal(one, other)
    for rows in (3, 7):  # of the block of a gap, and of it with its context, or of the whole video
        with pytest.raises(ValueError, match="the same signals of all frames"):
            model.upsample(video, 2, signals=torch.rand(rows, 1), **FAST)
    with pytest.raises(ValueError, match="row 0, wheel is nan"):
        model.upsample(video, 2, signals=[float("nan")], **FAST)


def test_a_model_without_future_is_refused():
    with pytest.raises(ValueError, match="no future slot"):
        tiny_model(future=0).upsample(pixels(3, 1, 16, 16), 2, **FAST)


def test_groups_hold_the_samples_of_whole_gaps(model):
    options = SamplingOptions(num_samples=3, batch_size=7)
    assert [*Upsampling(model, 2, options).gaps(6)] == [range(0, 2), range(2, 4), range(4, 5)]


def test_cross_fading_keeps_what_is_given():
    video = pixels(3, 1, 4, 4)
    faded = cross_faded(video, 2)
    assert torch.equal(faded[::2], video)
    assert (faded[1].float() - (video[0].float() + video[1]) / 2).abs().max() <= 0.5
