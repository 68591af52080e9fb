"""Mistakes in Python: told in one line that says what is expected, and not by an error of something within."""

import re

import numpy as np
import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.data import VideoData
from mcvd.diffusion import TaskSamplers
from mcvd.samplers import DDIM, DDPM
from mcvd.video.arrays.open import open_array
from mcvd.video.decoders.base import VideoError
from mcvd.video.transforms import to_channels

PAST = pixels(2, 1, 16, 16)


def predict(**options):
    return tiny_model(past=2, current=3).predict(PAST, 3, **{"steps": 1, "progress": False} | options)


MISTAKES = {
    "a guide that returns a number": (
        lambda: predict(guide=lambda frames, t: 3.0),
        "an energy for each video, (1,) here",
    ),
    "a guide that sums up the batch": (lambda: predict(guide=lambda frames, t: frames.mean()), "(1,) here, got ()"),
    "steps of a sampler that are no number": (lambda: predict(steps=None, sampler=DDIM(2.5)), "whole number, got 2.5"),
    "a spacing by its name": (lambda: predict(sampler=DDPM(3, spacing="LogSNR")), "such as LogSNR(), got 'LogSNR'"),
    "a first video below 0": (
        lambda: predict(first_video=-1),
        "first_video must be a whole number of at least 0, got -1",
    ),
    "a model by its number": (lambda: mcvd.load(3), "source is the path of a model or its name on the Hub"),
    "a size that is one number": (lambda: mcvd.build(tiny_config() | {"size": 32}), "size: expected a list, got 32"),
    "a word that is none of the choices": (lambda: mcvd.build(tiny_config() | {"predicts": "noise"}), "got noise"),
    "a film to show by its path": (
        lambda: mcvd.show("clip.mp4"),
        "expected frames as a tensor or a numpy array, got str; mcvd.read_video('clip.mp4', size=...) reads a file",
    ),
    "frames in a list": (lambda: mcvd.show([[]]), "got list; numpy.stack(frames) makes one array of many"),
    "nothing to show": (lambda: mcvd.show({"a": None}), "got NoneType"),
    "a sampler of a task by its name": (lambda: TaskSamplers(predict="DDIM"), "sampler for predict must be one of"),
    "a batch size in quotes": (lambda: VideoData(root=".", batch_size="8"), "batch_size must be a whole number"),
    "a size of one": (lambda: VideoData(root=".", size=(32,)), "size must be (height, width)"),
    "a size that is no number": (lambda: mcvd.read_video("clip.mp4", size=True), "one number for a square, got True"),
    "a size of bytes": (lambda: mcvd.load(size=b"64"), "one number for a square, got b'64'"),
    "a size at the place of the revision": (
        lambda: mcvd.load("bundled", (128, 128)),
        "revision is a branch, tag or commit on the Hub, got (128, 128); a size goes by size=",
    ),
    "a folder as a collection": (lambda: VideoData(train="clips"), "root takes a folder"),
    "a folder as a validation": (lambda: VideoData(root=".", val="clips"), "val_root takes a folder"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake):
    make, said = MISTAKES[mistake]
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        make()
    assert "\n" not in str(caught.value) and "class '" not in str(caught.value)


def test_an_entry_of_the_card_that_there_is_not_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="a model card has no licence; did you mean license"):
        tiny_model().save_pretrained(tmp_path / "own", licence="mit")
    assert not (tmp_path / "own").exists()


def test_a_named_array_of_a_file_without_names_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 8, 8), np.float32))
    with pytest.raises(VideoError, match=r"no array 'rain': a \.npy file holds one without a name"):
        open_array(tmp_path / "a.npy", "rain")


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, "values"), (torch.uint8, "pixels")])
def test_channels_that_do_not_fit_say_which_model_is_needed(dtype, kind):
    with pytest.raises(
        ValueError, match=f"4 channels of {kind} cannot become frames of 3 .*take a model of 4 channels"
    ):
        to_channels(torch.zeros(2, 4, 8, 8, dtype=dtype), 3)


def test_arrays_of_numpy_are_shown_too():
    assert mcvd.show(PAST.numpy())._repr_html_() == mcvd.show(PAST)._repr_html_()
