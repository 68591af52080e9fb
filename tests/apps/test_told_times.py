"""A model of several frame rates as a user asks for it: at one of them, scored at one of them, its beginning kept."""

import json

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_config

import mcvd
from mcvd.apps.cli.main import main
from mcvd.video.open import open_video

FAST = ["--steps", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A film, a recipe, and a model that was told two rates."""
    folder = tmp_path_factory.mktemp("rates")
    mcvd.write_video(folder / "film.mp4", pixels(14, 3, 16, 16) // 4 + 96, fps=10)
    config = tiny_config(past=2, current=3, future=0, channels=3, net="SpaceTimeUNet")
    config |= {"frame_rate_hz": 10.0, "times": {"frame_rates_hz": [10, 5], "max_far_seconds": 3}}
    torch.manual_seed(0)
    mcvd.build(config | {"frame_noise": {"p_own": 0.5}}).save_pretrained(folder / "tiny")
    scenes = {"class_path": "mcvd.data.DrivingScenes", "init_args": {"num_videos": 2, "num_frames": 12}}
    times = {"frame_rates_hz": [10, 5], "p_far": 0.5}
    data = {"train": scenes, "val": scenes, "times": times, "num_workers": 0}
    (folder / "data.yaml").write_text(yaml.safe_dump({"data": data}))
    return folder


def predict(folder, *words):
    given = ["predict", str(folder / "film.mp4"), "--model", str(folder / "tiny"), "--num-frames", "4"]
    return main([*given, "--out", str(folder / "out.mp4"), *FAST, *words])


def test_a_video_is_read_and_plays_at_the_rate_that_was_asked_for(folder):
    assert predict(folder, "--rate", "5") == 0
    with open_video(folder / "out.mp4") as reader:
        assert reader.times.rate_hz == pytest.approx(5)
    assert predict(folder, "--rate", "5", "--keep-first", "--only-new") == 0
    assert mcvd.read_video(folder / "out.mp4").shape[0] == 4


def test_a_rate_that_it_was_not_trained_for_is_one_line(folder, capsys):
    assert predict(folder, "--rate", "7") == 0  # between them
    assert predict(folder, "--rate", "20") != 0
    assert "trained at 5 to 10 Hz" in capsys.readouterr().err


def test_it_is_scored_at_a_rate(folder, capsys):
    words = ["evaluate", "--model", str(folder / "tiny"), "--config", str(folder / "data.yaml"), "--num-clips", "2"]
    words += ["--num-samples", "1", "--out", str(folder / "card.json"), *FAST]
    assert main([*words, "--rate", "5"]) == 0
    card = json.loads((folder / "card.json").read_text())
    assert card["frame_rate_hz"] == 5
    capsys.readouterr()
    words[-4 - 1] = str(folder / "other.json")
    assert main([*words, "--rate", "20"]) != 0
    assert "trained at 5 to 10 Hz" in capsys.readouterr().err


def test_rolling_keeps_the_beginning_too(folder):
    assert predict(folder, "--rolling", "--keep-first", "--rate", "5", "--gallery") == 0
    assert "by rolling denoising" in (folder / "out.html").read_text()
