"""``mcvd upsample --size`` and ``mcvd cascade`` as a user types them."""

import json

import pytest
import torch
from reference.tiny import pixels, tiny_larger, tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.models.video_model import VideoModel
from mcvd.runtime.workdir import workdir_of

FAST = ["--steps", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base, a stage, both as a cascade, and a folder of 5 frames at 5 Hz."""
    folder = tmp_path_factory.mktemp("larger")
    tiny_model(past=1, current=3, future=1, channels=3).save_pretrained(folder / "base")
    tiny_larger(size=(32, 32), channels=3).save_pretrained(folder / "stage")
    words = ["cascade", str(folder / "base"), str(folder / "stage"), "--low-noise", "0.1"]
    assert main([*words, "--out", str(folder / "both")]) == 0
    mcvd.write_video(folder / "video", pixels(5, 3, 32, 32), fps=5)
    return folder


def upsample(folder, *words, model="stage"):
    return main(["upsample", str(folder / "video"), "--model", str(folder / model), *FAST, *words])


def test_a_video_is_made_larger_and_keeps_its_pace(folder, tmp_path, capsys):
    words = ["--size", "32", "--out", str(tmp_path / "large.mp4"), "--json", "--gallery", "--low-noise", "0.2"]
    assert upsample(folder, *words) == 0
    written = json.loads(capsys.readouterr().out)
    assert (written["num_frames"], written["fps"]) == (5, 5.0)
    assert mcvd.read_video(tmp_path / "large.mp4").shape == (5, 3, 32, 32)
    assert (tmp_path / "large.html").read_text().count("<video") == 3  # given, made, bilinear


def test_more_frames_are_made_at_another_size(folder, tmp_path):
    words = ["--factor", "2", "--size", "24x32", "--out", str(tmp_path / "more.mp4")]
    assert upsample(folder, *words, model="base") == 0
    assert mcvd.read_video(tmp_path / "more.mp4").shape == (9, 3, 24, 32)


@pytest.mark.parametrize("model", ["stage", "both"])
def test_a_video_is_made_larger_to_another_size_than_that_of_the_training(folder, tmp_path, model):
    assert upsample(folder, "--size", "24x40", "--out", str(tmp_path / "o.mp4"), "--gallery", model=model) == 0
    assert mcvd.read_video(tmp_path / "o.mp4").shape == (5, 3, 24, 40)


def test_an_interrupted_command_resumes_from_its_blocks(folder, tmp_path, monkeypatch):
    words = ["--size", "32x32", "--out", str(tmp_path / "o.png")]
    whole = VideoModel.stream

    def dies(self, *arguments, **options):
        stream = whole(self, *arguments, **options)
        yield next(stream)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(VideoModel, "stream", dies)
        assert upsample(folder, *words) == 130
    assert len([*workdir_of(tmp_path / "o.png").glob("block-*.npy")]) == 1
    assert upsample(folder, *words) == 0
    assert upsample(folder, *words[:-1], str(tmp_path / "p.png")) == 0
    assert (tmp_path / "o.png").read_bytes() == (tmp_path / "p.png").read_bytes()


def test_a_cascade_is_a_model_of_the_commands(folder, tmp_path, capsys):
    words = ["predict", str(folder / "video"), "--model", str(folder / "both"), "--num-frames", "3", "--every-frame"]
    assert main([*words, *FAST, "--out", str(tmp_path / "o.mp4"), "--gallery"]) == 0
    assert mcvd.read_video(tmp_path / "o.mp4").shape == (4, 3, 32, 32)
    assert upsample(folder, "--size", "32", "--out", str(tmp_path / "p.gif"), model="both") == 0
    capsys.readouterr()
    assert main(["info", str(folder / "both"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["size"] == [32, 32] and facts["tasks"]["predict"] is None


def test_a_cascade_is_scored_as_any_model(folder, tmp_path):
    mcvd.write_video(tmp_path / "clips" / "a", pixels(8, 3, 32, 32), fps=5)
    words = ["evaluate", "--model", str(folder / "both"), "--val-root", str(tmp_path / "clips"), "--rate", "5"]
    assert main([*words, "--num-clips", "2", "--num-samples", "1", "--out", str(tmp_path / "r.json"), *FAST]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["scores"]


@pytest.mark.parametrize(
    ("words", "model", "message"),
    [
        (["--size", "33"], "stage", "stage: frames of 33x33 do not fit"),
        (["--size", "32"], "base", "makes no frames larger"),
        (["--size", "32", "--low-noise", "0.9"], "stage", "levels from 0 to 0.5"),
        (["--factor", "2", "--low-noise", "0.1"], "base", "--low-noise is for --size"),
        (["--factor", "2", "--size", "31"], "base", "must be divisible by 2"),
        (["--size", "1x2x3"], "stage", "HEIGHTxWIDTH"),
        (["--size", "24x"], "stage", "HEIGHTxWIDTH, such as 72x128, got '24x'"),
        (["--size", "0"], "stage", "HEIGHTxWIDTH, such as 72x128, got '0'"),
        ([], "stage", "--factor N, for N times as many frames, or --size S"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, words, model, message, capsys):
    assert upsample(folder, *words, "--out", str(tmp_path / "o.mp4"), model=model) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert message in error.splitlines()[-1] and not (tmp_path / "o.mp4").exists()


def test_a_cascade_of_what_does_not_fit_is_one_line(folder, tmp_path, capsys):
    words = ["cascade", str(folder / "stage"), str(folder / "base"), "--out", str(tmp_path / "no")]
    assert main(words) == 2
    assert "it is a stage" in capsys.readouterr().err and not (tmp_path / "no").exists()


def test_the_base_s_context_is_read_at_the_size_of_the_whole(folder):
    model = mcvd.load(folder / "both")
    assert model.low_noise == (0.1,) and model.low_size == (16, 16)
    assert torch.equal(
        model.predict(pixels(1, 3, 32, 32), 2, steps=2, progress=False),
        mcvd.load(folder / "both").predict(pixels(1, 3, 32, 32), 2, steps=2, progress=False),
    )
