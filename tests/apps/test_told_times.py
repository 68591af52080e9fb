"""A model of several frame rates as a user asks for it: at one of them, scored at one of them, its beginning kept."""

import json

import pytest
import torch
import yaml
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.diffusion.told_times import ToldTimes
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
    told = tiny_model(past=1, current=3, future=1, channels=3, net="SpaceTimeUNet")
    told.frame_rate_hz, told.times = 10.0, ToldTimes((10.0, 5.0, 30.0))
    told.save_pretrained(folder / "between")
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


def frames(path):
    """The rate of a video, and how many frames it has."""
    with open_video(path) as reader:
        return reader.times.rate_hz, reader.num_frames


def between(folder, command, *words):
    """One command with the model that fills gaps, and what it wrote."""
    out = folder / "between.mp4"
    assert main([*command, "--model", str(folder / "between"), "--out", str(out), *FAST, *words]) == 0
    return frames(out)


def test_a_gap_is_filled_at_the_rate_that_was_asked_for(folder, capsys):
    gap = ["interpolate", str(folder / "film.mp4"), "--gap", "4:8"]
    assert between(folder, gap) == (pytest.approx(10), 14)
    assert between(folder, gap, "--rate", "5") == (pytest.approx(5), 7)
    capsys.readouterr()
    words = ["--rate", "40", "--model", str(folder / "between"), "--out", str(folder / "no.mp4"), *FAST]
    assert main([*gap, *words]) != 0
    assert "trained at 5 to 30 Hz" in capsys.readouterr().err and not (folder / "no.mp4").exists()


def test_videos_from_nothing_have_the_rate_that_was_asked_for(folder, capsys):
    nothing = ["generate", "--num-frames", "5"]
    assert between(folder, nothing) == (pytest.approx(10), 5)
    assert between(folder, nothing, "--rate", "5") == (pytest.approx(5), 5)
    slow, own = (mcvd.load(folder / "between").generate(5, steps=2, frame_rate_hz=rate) for rate in (5, None))
    assert not torch.equal(slow, own)  # the network is told
    assert main([*nothing, "--rate", "50", "--model", str(folder / "between"), "--out", "no.mp4", *FAST]) != 0
    assert "trained at 5 to 30 Hz" in capsys.readouterr().err


@pytest.mark.parametrize("rate", [10, 5])  # of the video as it is, and asked for
def test_frames_between_all_others_are_told_their_own_rate(folder, tmp_path, rate, capsys):
    model, video = mcvd.load(folder / "between"), tmp_path / "video"
    mcvd.write_video(video, pixels(5, 3, 16, 16), fps=10)
    words = ["--model", str(folder / "between"), "--out", str(tmp_path / "smooth.png"), "--json", *FAST]
    capsys.readouterr()
    assert main(["upsample", str(video), "--factor", "4", *words, *(["--rate", "5"] if rate == 5 else [])]) == 0
    assert json.loads(capsys.readouterr().out)["fps"] == 4 * rate
    strip = mcvd.read_video(tmp_path / "smooth.png")[0].unfold(1, 16, 1).unfold(2, 16, 1)  # all frames side by side
    for frame in model.upsample(mcvd.read_video(video)[:: 10 // rate], 4, frame_rate_hz=rate, steps=2)[0]:
        assert (strip == frame[:, None, None]).all((0, 3, 4)).any()
