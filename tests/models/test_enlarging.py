"""Models that make frames larger: what their training draws, and whole videos made larger."""

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_larger, tiny_model

import mcvd
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.super_resolution import enlarged
from mcvd.frames import model_from_pixels, pixels_from_model

FAST = {"steps": 2, "progress": False}


@pytest.fixture(scope="module")
def model():
    return tiny_larger()


def bilinear(low):
    return pixels_from_model(enlarged(model_from_pixels(low), (low.shape[-2] * 2, low.shape[-1] * 2)))


def close(a, b):
    return (a.int() - b.int()).abs().max() <= 1  # sums of another batch are rounded otherwise


def test_a_network_that_says_nothing_gives_the_bilinear_enlargement():
    video = pixels(2, 5, 1, 8, 8)
    silent = tiny_larger(silent=True)
    assert close(silent.enlarge(video, **FAST), bilinear(video))


@pytest.mark.parametrize("num_frames", [1, 2, 5])  # within a block, one, beyond
def test_every_frame_is_made_larger(model, num_frames):
    made = model.enlarge(pixels(2, num_frames, 1, 8, 8), **FAST)
    assert made.shape == (2, num_frames, 1, 16, 16) and made.dtype == torch.uint8
    two = model.enlarge(pixels(2, num_frames, 1, 8, 8), num_samples=2, **FAST)
    assert two.shape == (2, 2, num_frames, 1, 16, 16) and not torch.equal(two[:, 0], two[:, 1])


def test_the_same_seed_gives_the_same_video_whatever_is_beside_it(model):
    video = pixels(2, 5, 1, 8, 8)
    both = model.enlarge(video, seed=4, low_noise=0.2, **FAST)
    assert close(model.enlarge(video[1], seed=4, first_video=1, low_noise=0.2, **FAST)[0], both[1])
    assert not close(model.enlarge(video, seed=5, low_noise=0.2, **FAST), both)


def test_a_block_looks_at_its_own_small_frames_and_at_the_block_before(model):
    video = pixels(1, 6, 1, 8, 8)
    other = video.clone()
    other[:, 2:4] = 255 - other[:, 2:4]
    first, second = (model.enlarge(each, **FAST) for each in (video, other))
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.equal(first[:, 2:4], second[:, 2:4])
    assert not torch.equal(first[:, 4:], second[:, 4:])  # it saw the last frame before


@pytest.mark.parametrize("num_samples", [1, 2])
def test_blocks_without_context_do_not_wait_for_each_other(num_samples):
    model, video = tiny_larger(past=0), pixels(2, 5, 1, 8, 8)
    one, many = (model.enlarge(video, num_samples=num_samples, batch_size=size, **FAST) for size in (1, 64))
    assert one.shape[-4:] == (5, 1, 16, 16) and close(one, many)
    assert not torch.equal(one[..., 0:2, :, :, :], one[..., 2:4, :, :, :])


def test_every_block_without_context_is_told_the_signals_of_its_own_frames():
    config = tiny_config(past=0, current=2, future=0) | {"signals": {"names": ["wheel"]}, "reference": "context"}
    config["net"]["init_args"] |= {"num_signals": 1, "conditioning": {"class_path": "mcvd.nets.Concat"}}
    config["net"]["init_args"]["conditioning"]["init_args"] = {"tell_low": True}
    model = mcvd.build(config | {"super_resolution": {"factor": 2}, "masking": {}}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    video, straight = pixels(2, 6, 1, 8, 8), torch.zeros(6, 1)
    turned = straight.clone()
    turned[2:4] = 2.0
    one, other = (model.enlarge(video, signals=each, **FAST) for each in (straight, turned))
    assert torch.equal(one[:, :2], other[:, :2]) and torch.equal(one[:, 4:], other[:, 4:])
    assert not torch.equal(one[:, 2:4], other[:, 2:4])
    with pytest.raises(ValueError, match="a row for each of the 6 generated frames"):
        model.enlarge(video, signals=straight[:2], **FAST)


def test_noise_is_put_on_small_frames_in_half_of_the_training(model):
    drawn = model.draw({"video": pixels(64, 3, 1, 16, 16), "index": [*range(64)]})
    level = drawn.condition.low_noise
    small = model.super_resolution.reduced(drawn.current)
    clean = level == 0
    assert 20 < clean.sum() < 44 and 0.3 < level.max() <= model.super_resolution.noise
    torch.testing.assert_close(drawn.condition.low[clean], small[clean])
    spread = (drawn.condition.low - small).flatten(1).std(1)
    torch.testing.assert_close(spread[~clean], level[~clean], rtol=0.4, atol=0.0)


def test_a_clip_has_the_same_draws_in_any_batch(model):
    video = pixels(3, 3, 1, 16, 16)
    whole = model.loss({"video": video, "index": [7, 8, 9]})
    torch.testing.assert_close(model.loss({"video": video[1:2], "index": [8]}), whole[1:2], rtol=1e-4, atol=0.0)


def test_it_is_kept_and_opened_as_it_was(model, tmp_path):
    model.save_pretrained(tmp_path / "larger")
    video = pixels(3, 1, 8, 8)
    again = mcvd.load(tmp_path / "larger")
    assert again.super_resolution == model.super_resolution and again.low_size == (8, 8)
    assert torch.equal(again.enlarge(video, **FAST), model.enlarge(video, **FAST))


def test_old_configs_make_models_without(tmp_path):
    model = tiny_model()
    assert model.low_size is None and "tell_low" in str(model.facts().conditioning)
    assert not [name for name in model.state_dict() if "low" in name]


@pytest.mark.parametrize(
    ("video", "options", "message"),
    [
        (pixels(3, 1, 16, 16), {}, r"C, h, w = \(1, 8, 8\) larger"),
        (pixels(3, 3, 8, 8), {}, "larger"),
        (torch.zeros(3, 1, 8, 8), {}, "uint8 frames"),
        (pixels(3, 1, 8, 8), {"low_noise": 0.9}, "levels from 0 to 0.5"),
        (pixels(3, 1, 8, 8), {"loop": True}, "loops"),
    ],
)
def test_bad_input_is_refused(model, video, options, message):
    with pytest.raises(ValueError, match=message):
        model.enlarge(video, **FAST, **options)


def test_the_four_tasks_need_small_frames(model):
    with pytest.raises(ValueError, match="mcvd upsample --size"):
        model.predict(pixels(1, 1, 16, 16), 2)
    assert all("mcvd upsample --size" in reason for reason in model.facts().tasks.values())
    with pytest.raises(ValueError, match="no smaller frames larger"):
        tiny_model().predict(pixels(2, 1, 16, 16), 2, low=pixels(2, 1, 8, 8))
    with pytest.raises(ValueError, match="makes no frames larger"):
        tiny_model().enlarge(pixels(2, 1, 8, 8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"super_resolution": {"factor": 2}}, "go together"),
        ({"super_resolution": {"factor": 3}, "tell_low": True}, "no multiple"),
        ({"tell_low": True}, "go together"),
        ({"super_resolution": {"factor": 2}, "tell_low": True, "colored_noise": True}, "colored_noise"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(changes, message):
    config = tiny_config(past=1, current=2, future=0) | {"reference": "context"} | changes
    config["net"]["init_args"]["conditioning"]["init_args"] = {"tell_low": config.pop("tell_low", False)}
    with pytest.raises(ValueError, match=message):
        mcvd.build(config)


def test_frames_that_stay_frames_are_told_their_own_small_ones():
    video = pixels(2, 5, 1, 8, 8)
    assert close(tiny_larger(silent=True, net="SpaceTimeUNet").enlarge(video, **FAST), bilinear(video))
    made = tiny_larger(net="SpaceTimeUNet").enlarge(video, num_samples=2, **FAST)
    assert made.shape == (2, 2, 5, 1, 16, 16)


def test_networks_that_cannot_be_told_say_so():
    config = tiny_config(past=1, current=2, future=0, net="UNet3D") | {"super_resolution": {"factor": 2}}
    config["net"]["init_args"]["conditioning"]["init_args"] = {"tell_low": True, "tell_mask": False}
    with pytest.raises(ValueError, match="tell_low"):
        mcvd.build(config)


def test_options_have_no_low_noise_out_of_range():
    with pytest.raises(ValueError, match="low_noise must be a number"):
        SamplingOptions(low_noise=float("nan"))
