"""When frames are: told to the network in training and in sampling; the beginning kept in view."""

from dataclasses import replace

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.diffusion.plan import Window
from mcvd.diffusion.reference import ContextReference
from mcvd.diffusion.rollout import condition_of
from mcvd.diffusion.told_times import ToldTimes, WindowTimes
from mcvd.frames import Condition, FrameBlock

BLOCK = FrameBlock(3, 2)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = tiny_config(past=3, current=2, future=0, net="SpaceTimeUNet")
    config["masking"]["p_any"] = 0.3
    others = {"frame_rate_hz": 10.0, "times": {"frame_rates_hz": [10, 5, 20], "max_far_seconds": 2}}
    made = mcvd.build(config | others | {"frame_noise": {"p_own": 0.5}})
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made.eval()


def condition(times=None):
    frames = torch.rand(2, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    return replace(Condition.visible(frames, frames[:, :0]), times=times)


def estimate(model, told):
    noisy = torch.randn(2, 2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.denoiser.bind(told)(noisy, torch.full((2,), 0.5))


def test_even_times_say_what_no_times_say(model):
    even = torch.arange(-3.0, 2.0).expand(2, -1)
    torch.testing.assert_close(estimate(model, condition(even)), estimate(model, condition()), atol=1e-4, rtol=1e-4)
    slower = estimate(model, condition(2 * even))
    assert not torch.allclose(slower, estimate(model, condition()), atol=1e-3)


def test_times_stay_with_their_samples(model):
    times = torch.tensor([[-3.0, -2, -1, 0, 1], [-30, -4, -2, 0, 2]])
    both = condition(times)
    rows = both.repeat(2)
    assert torch.equal(rows.times, times.repeat_interleave(2, 0))
    assert torch.equal(both.followed_by(both.null()).times, torch.cat([times, times]))
    each = [estimate(model, replace(condition(), times=row.expand(2, -1)))[n] for n, row in enumerate(times)]
    torch.testing.assert_close(estimate(model, both), torch.stack(each))


@pytest.mark.parametrize("times", [torch.zeros(2, 3), torch.zeros(1, 5), torch.zeros(5), torch.zeros(2, 5).long()])
def test_times_of_another_shape_are_refused(times):
    with pytest.raises(ValueError, match="times must be float"):
        condition(times)


def test_a_network_that_sees_the_block_as_one_refuses_times():
    blind = tiny_model(past=3, current=2, future=0)
    with pytest.raises(ValueError, match="SpaceTimeUNet"):
        estimate(blind, condition(torch.arange(-3.0, 2.0).expand(2, -1)))
    with pytest.raises(ValueError, match="told when each frame is"):
        mcvd.build(tiny_config() | {"frame_rate_hz": 10.0, "times": {"frame_rates_hz": [5, 10]}})


def test_a_rate_half_as_high_is_times_twice_as_far_apart():
    window = Window(range(5, 8), range(8, 10), range(8, 10), range(10, 10))
    told = ToldTimes((10.0, 5.0), 2.0)
    assert WindowTimes.of(told, 10.0, 5.0, False).told(window, BLOCK).tolist() == [-6, -4, -2, 0, 2]
    assert WindowTimes.of(told, 10.0, None, False) is None
    assert WindowTimes.of(told, 10.0, 10.0, False).told(window, BLOCK) is None
    # The first frame is 8 frames before, which is less than the 20 of the training; then no farther than these.
    assert WindowTimes.of(told, 10.0, None, True).told(window, BLOCK).tolist() == [-8, -2, -1, 0, 1]
    late = Window(range(97, 100), range(100, 102), range(100, 102), range(102, 102))
    assert WindowTimes.of(told, 10.0, 5.0, True).told(late, BLOCK).tolist() == [-20, -4, -2, 0, 2]


def test_predicting_at_a_rate_is_sampling_with_its_times(model):
    past, options = pixels(2, 3, 1, 16, 16), {"steps": 3, "progress": False, "rounded": False}
    slow = model.predict(past, 2, frame_rate_hz=5, **options)
    seen = []
    inner = model.denoiser.bind
    model.denoiser.bind = lambda condition, *others: seen.append(condition) or inner(condition, *others)
    try:
        model.predict(past, 2, frame_rate_hz=5, **options)
        plain = model.predict(past, 2, **options)
    finally:
        del model.denoiser.bind
    assert seen[0].times.tolist() == [[-6, -4, -2, 0, 2]] * 2
    assert seen[1].times is None
    assert torch.equal(plain, model.predict(past, 2, frame_rate_hz=10, **options))
    assert not torch.allclose(slow, plain, atol=1e-3)


def test_the_first_frame_stays_in_view():
    frames = {i: torch.full((1, 1, 4, 4), i / 100) for i in range(10)}
    like, times = torch.zeros(1, 3, 1, 4, 4), WindowTimes(farthest=100.0)

    def shown(start, num_past=3):
        window = Window(range(start - num_past, start), range(start, start + 2), range(start, start + 2), range(0))
        found = condition_of(frames, window, BLOCK, like, 1, times=times)
        at = None if found.times is None else found.times[0].tolist()
        return (found.past[0, :, 0, 0, 0] * 100).round().int().tolist(), found.keep_past[0].tolist(), at

    assert shown(3) == ([0, 1, 2], [True] * 3, None)
    assert shown(9) == ([0, 7, 8], [True] * 3, [-9, -2, -1, 0, 1])
    assert shown(9, num_past=1) == ([0, 0, 8], [True, False, True], [-9, -2, -1, 0, 1])


@pytest.mark.parametrize("rolling", [False, True])
def test_a_long_video_depends_on_its_first_frame_when_it_is_kept(model, rolling):
    options = {"steps": 2, "progress": False, "rolling": rolling, "batch_size": 1}
    past = pixels(1, 5, 1, 16, 16)
    other = past.clone()
    other[:, 0] = 255 - other[:, 0]  # beyond what a block sees
    for keep_first in (False, True):
        videos = [model.predict(each, 6, keep_first=keep_first, **options) for each in (past, other)]
        assert torch.equal(*videos) != keep_first
    assert torch.equal(model.predict(past, 3, keep_first=True, **options), videos[0][:, :3])
    assert model.generate(6, num_samples=2, keep_first=True, **options).shape == (2, 6, 1, 16, 16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frame_rate_hz": 4.0}, r"trained at 5 to 20 Hz"),
        ({"frame_rate_hz": float("nan")}, r"trained at 5 to 20 Hz"),
        ({"frame_rate_hz": "5"}, r"trained at 5 to 20 Hz"),
        ({"keep_first": True, "backward": True}, "no future slot"),
    ],
)
def test_what_was_never_trained_is_refused(model, options, words):
    with pytest.raises(ValueError, match=words):
        model.predict(pixels(1, 3, 1, 16, 16), 2, **options)


def test_a_model_of_one_rate_says_so():
    model = tiny_model()
    with pytest.raises(ValueError, match=r"trained at one rate, and makes no other"):
        model.predict(pixels(1, 2, 1, 16, 16), 2, frame_rate_hz=10)
    with pytest.raises(ValueError, match=r"never saw a frame from long before"):
        model.predict(pixels(1, 2, 1, 16, 16), 2, keep_first=True)
    model.frame_rate_hz = 10.0
    assert model.predict(pixels(1, 2, 1, 16, 16), 2, steps=1, frame_rate_hz=10).shape[1] == 2  # its own may be said


def test_an_exported_model_knows_its_times(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = mcvd.load(tmp_path)
    assert loaded.times == ToldTimes((10.0, 5.0, 20.0), 2.0)
    assert loaded.frame_rate_hz == 10
    assert "5, 10 or 20 Hz" in str(mcvd.models.facts.format_facts(loaded.facts()))


def test_the_scale_of_residuals_is_that_of_frames_side_by_side():
    reference = ContextReference(BLOCK)
    frames = torch.rand(1, 3, 1, 16, 16) - 0.5
    far = replace(Condition.visible(frames, frames[:, :0]), times=torch.tensor([[-50.0, -2, -1, 0, 1]]))
    keep = torch.tensor([[False, True, True]])
    assert torch.equal(reference(far).scale, reference(replace(far, keep_past=keep, times=None)).scale)
    # Where only it and the last one are visible, no motion is seen.
    hidden = torch.tensor([[True, False, True]])
    one = replace(far, keep_past=torch.tensor([[False, False, True]]), times=None)
    assert torch.equal(reference(replace(far, keep_past=hidden)).scale, reference(one).scale)


def test_training_tells_seconds_in_frames_of_the_own_rate(model):
    seconds = torch.tensor([[-1.0, 0.2, 0.4, 0.6, 0.8], [0, 0.1, 0.2, 0.3, 0.4]])
    batch = {"video": pixels(2, 5, 1, 16, 16), "index": [0, 1], "times": seconds}
    torch.testing.assert_close(
        model.draw(batch).condition.times, torch.tensor([[-16.0, -4, -2, 0, 2], [-3, -2, -1, 0, 1]])
    )
    assert model.draw({"video": batch["video"], "index": [0, 1]}).condition.times is None
    with pytest.raises(ValueError, match="times in a batch are seconds"):
        model.draw(batch | {"times": seconds[:, 1:]})


@pytest.mark.parametrize("wrong", [{"frame_rates_hz": [0]}, {"max_far_seconds": -1}, {"max_far_seconds": float("nan")}])
def test_times_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"frame_rate_hz must be|max_far_seconds must be"):
        ToldTimes(**wrong)


def test_a_block_with_one_past_frame_has_no_room_for_another():
    with pytest.raises(ValueError, match="past slot of two or more"):
        ToldTimes(max_far_seconds=3).check(FrameBlock(1, 2), per_frame=True)
