"""What a visitor brings, or finds there."""

import pytest
import torch
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.apps.studio.clip import Limits, no_clip, read_clip, synthetic_clip
from mcvd.apps.studio.examples import cards, examples_for
from mcvd.apps.studio.film_strip import pictures


def test_an_upload_is_read_at_the_rate_and_the_size_of_the_model(model, tmp_path):
    mcvd.write_video(tmp_path / "a.mp4", pixels(30, 3, 24, 40), fps=20)
    clip = read_clip(tmp_path / "a.mp4", model, Limits())
    assert clip.frames.shape == (15, 3, 16, 16)
    assert torch.equal(clip.frames, mcvd.read_video(tmp_path / "a.mp4", size=16, frame_rate_hz=10))


def test_of_a_long_upload_the_beginning_is_taken_and_this_is_said(model, tmp_path):
    mcvd.write_video(tmp_path / "a.mp4", pixels(30, 3, 16, 16), fps=10)
    clip = read_clip(tmp_path / "a.mp4", model, Limits(frames=12))
    assert len(clip.frames) == 12
    assert "It has 30; only the first 12" in clip.note


def test_what_cannot_be_taken_is_refused_without_telling_where_it_lies(model, tmp_path):
    (tmp_path / "no.mp4").write_bytes(b"not a video")
    with pytest.raises(mcvd.VideoError, match=r"^no\.mp4"):
        read_clip(tmp_path / "no.mp4", model, Limits())
    (tmp_path / "big.mp4").write_bytes(bytes(2_100_000))
    with pytest.raises(mcvd.VideoError, match=r"big\.mp4 has 2 MB, the studio takes up to 1 MB"):
        read_clip(tmp_path / "big.mp4", model, Limits(megabytes=1))


def test_huge_pictures_in_a_small_file_are_refused(model, tmp_path):
    from PIL import Image

    folder = tmp_path / "frames"
    folder.mkdir()
    Image.new("L", (8000, 4000)).save(folder / "0.png")
    with pytest.raises(mcvd.VideoError, match="4000x8000 pixels: too large"):
        read_clip(folder, model, Limits())


def test_streets_are_at_hand_for_colour_and_grey(model):
    assert synthetic_clip(model, 0).frames.shape == (60, 3, 16, 16)
    assert synthetic_clip(tiny_model(channels=1), 3).frames.shape == (60, 1, 16, 16)
    assert len(no_clip(model).frames) == 0


def test_examples_ask_for_what_the_model_can_do(model):
    found = examples_for(model)
    tasks = ["predict", "predict", "backward", "interpolate", "generate", "upsample"]
    assert [example.task for example in found] == tasks
    assert [len(example.clip(model).frames) for example in found] == [60, 60, 60, 60, 0, 60]
    shown = cards(model, found)
    assert len({card["picture"] for card in shown}) == 6
    blind = tiny_model(past=2, current=3, future=0, channels=1)
    assert {example.task for example in examples_for(blind)} <= {"predict", "generate"}
    assert len(cards(blind, examples_for(blind))) == len(examples_for(blind))


def test_the_film_strip_has_a_picture_for_each_frame():
    assert [uri[:22] for uri in pictures(pixels(3, 1, 16, 16))] == ["data:image/jpeg;base64"] * 3
