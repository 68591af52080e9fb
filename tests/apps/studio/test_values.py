"""A studio of a model of values."""

import numpy as np
import pytest
import torch
from reference.studio import BLOCK, FAST, finished, work
from reference.tiny import tiny_config

import mcvd
from mcvd.apps.cli.fields import FieldChoice
from mcvd.apps.studio.clip import Limits, no_clip, read_clip, synthetic_clip
from mcvd.apps.studio.examples import cards, examples_for
from mcvd.apps.studio.job import GenerationRequest
from mcvd.apps.studio.selection import first_marked
from mcvd.apps.studio.service import Studio
from mcvd.apps.studio.take_home import ALL
from mcvd.diffusion.tasks import GENERATE, PREDICT, TASKS
from mcvd.video.arrays.reader import FieldReader


def of_values(channels, unit, missing="nan"):
    torch.manual_seed(0)
    scale = {"low": 0.0, "high": 100.0, "unit": unit, "missing": missing}
    config = tiny_config(past=2, current=3, future=2, channels=channels)
    model = mcvd.build(config | {"codec": {"class_path": "mcvd.models.codecs.Scale", "init_args": scale}})
    model.frame_rate_hz = 1 / 300
    return model


@pytest.fixture(scope="module")
def bands():
    return of_values(4, "K")


def a_file(path, channels=4, seed=0):
    values = 100 * np.random.default_rng(seed).random((9, channels, 16, 16), np.float32)
    values[:, 0, :3] = np.nan
    np.savez(path, bands=values, mask=values[:, 0] > 3, time=300.0 * np.arange(9))
    return values


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_values_are_shown_in_colours_scored_and_taken_home_in_the_format_of_the_file(bands, task, tmp_path):
    values = a_file(tmp_path / "a.npz")
    clip = read_clip(tmp_path / "a.npz", bands, Limits(), FieldChoice(("bands",)))
    assert np.array_equal(clip.frames.numpy(), values, equal_nan=True)
    clip = no_clip(bands) if task is GENERATE else clip
    update = finished(work(Studio(bands, "bands"), clip, task=task, length=4))
    assert "Colours: channel 0 K, from 0 (dark blue) to 100 (yellow); grey is missing." in update.result
    assert "PSNR" not in update.result and ("mean absolute error in K" in update.result) == (task is not GENERATE)
    with FieldReader(update.files[ALL]["values"], sequence=1) as reader:
        found = reader.read(range(reader.num_frames))
        assert reader.times.is_told == (task is not GENERATE) and reader.channels == 4
    with FieldReader(update.files["sample 2"]["values"]) as reader:
        assert torch.equal(reader.read(range(reader.num_frames)).nan_to_num(-1), found.nan_to_num(-1))
    assert update.files["sample 1"]["values"].suffix == (".npy" if task is GENERATE else ".npz")
    if task is PREDICT:
        given = range(first_marked(task, BLOCK, 9).stop)[-2:]
        assert np.array_equal(found[:2].numpy(), values[list(given)], equal_nan=True)
    assert mcvd.read_video(update.files["sample 1"]["mp4"]).shape[-2:] == (160, 160 + 96)


def test_channels_of_values_are_chosen(bands, tmp_path):
    a_file(tmp_path / "a.npz")
    clip = read_clip(tmp_path / "a.npz", bands, Limits(), FieldChoice(("bands",)))
    studio = Studio(bands, "bands")
    assert studio.has_values and studio.channel_names == [f"channel {number}" for number in range(4)]
    request = GenerationRequest(PREDICT, FAST)
    update = finished(studio.generate("me", clip, range(2), 2, request, lambda part: None, shown=[2, 1, 3]))
    assert "channel 2 red (0 to 100), channel 1 green (0 to 100), channel 3 blue (0 to 100) K" in update.result
    assert studio.look([1, 2]).legend.title == "channel 0 K"  # two are not enough yet
    with pytest.raises(ValueError, match="each 0 to 3"):
        studio.look([7])


def test_a_file_of_values_that_cannot_be_taken_is_refused_by_its_name(bands, model, tmp_path):
    a_file(tmp_path / "a.npz")
    with pytest.raises(mcvd.VideoError, match=r"^a\.npz has no array 'snow'"):
        read_clip(tmp_path / "a.npz", bands, Limits(), FieldChoice(("snow",)))
    with pytest.raises(mcvd.VideoError, match=r"^a\.npz.*numbers of the axes"):
        read_clip(tmp_path / "a.npz", bands, Limits(), FieldChoice(("bands",), "HW"))
    a_file(tmp_path / "a.npz", channels=3)
    with pytest.raises(ValueError, match=r"a\.npz holds values"):
        read_clip(tmp_path / "a.npz", model, Limits(), FieldChoice(("bands",), "TCHW"))
    with pytest.raises(ValueError, match="letters of NTCHW"):
        FieldChoice(axes="XY")


def test_rain_is_at_hand_for_models_of_rain_and_nothing_for_other_values(bands):
    rain = of_values(1, "mm/h")
    assert synthetic_clip(rain, 0).frames.shape == (60, 1, 16, 16)
    found = examples_for(rain)
    assert "And on this rain?" in [card["question"] for card in cards(rain, found)] and len(found) == 6
    assert [example.task for example in examples_for(bands)] == ["generate"] and len(cards(bands, examples_for(bands)))
