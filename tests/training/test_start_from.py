"""Which numbers of a trained model a new training begins with."""

import pytest
import torch
from reference.tiny import tiny_config

import mcvd
from mcvd.diffusion.measuring import measure, measured_parts, unmeasured
from mcvd.training.start_from import start_from


def model_of(current=3, flow=False, **options):
    residuals = {"predicts": "edm", "reference": "context", "reference_colors": True, "colored_noise": True}
    return mcvd.build(tiny_config(channels=3, current=current) | residuals | {"reference_flow": flow} | options)


def started(tmp_path, source, model):
    """The model, after it began with the weights of another that was shown clips, and what was told of that."""
    clips = torch.rand(4, source.block.num_frames, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    measure(source.denoiser, unmeasured(source.denoiser), *source.block.split(clips))
    source.save_pretrained(tmp_path)
    return model, start_from(model, str(tmp_path))


@pytest.mark.parametrize("flow", [False, True])
def test_what_was_measured_comes_with_the_weights(tmp_path, flow):
    source = model_of(flow=flow)
    model, told = started(tmp_path, source, model_of(flow=flow))
    assert unmeasured(model.denoiser) == [] and "left out" not in told
    for mine, other in zip(model.denoiser.reference.buffers(), source.denoiser.reference.buffers(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("flow", [False, True])
def test_what_was_measured_for_another_number_of_frames_is_measured_anew(tmp_path, flow):
    model, told = started(tmp_path, model_of(flow=flow), model_of(current=2, flow=flow))
    anew = {"reference", "reference.moving"} if flow else {"reference"}
    assert set(unmeasured(model.denoiser)) == anew
    assert "denoiser.reference.num_clips is measured anew" in told
    assert measured_parts(model.denoiser)["noise_colors"].num_clips == 4


def test_scales_are_measured_anew_where_the_base_stands_still_again(tmp_path):
    model, told = started(tmp_path, model_of(flow=True), model_of())
    assert unmeasured(model.denoiser) == ["reference"]
    torch.testing.assert_close(model.denoiser.reference.growth, model_of().denoiser.reference.growth)
    assert "denoiser.reference.growth is measured anew" in told


def test_of_a_base_that_begins_to_move_the_scales_are_measured_anew_too(tmp_path):
    model, _ = started(tmp_path, model_of(), model_of(flow=True))
    assert set(unmeasured(model.denoiser)) == {"reference", "reference.moving"}
