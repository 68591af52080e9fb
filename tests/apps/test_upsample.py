"""``mcvd upsample`` as a user types it."""

import json

import pytest
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.models import upsampling
from mcvd.runtime.workdir import workdir_of

FAST = ["--steps", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, and a folder of 7 frames at 5 Hz."""
    folder = tmp_path_factory.mktemp("upsample")
    tiny_model(past=1, current=3, future=1, channels=3).save_pretrained(folder / "tiny")
    mcvd.write_video(folder / "video", pixels(7, 3, 16, 16), fps=5)
    return folder


def run(folder, *words):
    return main(["upsample", str(folder / "video"), "--model", str(folder / "tiny"), *FAST, *words])


def test_given_frames_stay_bit_for_bit_and_the_video_keeps_its_pace(folder, tmp_path, capsys):
    assert run(folder, "--factor", "4", "--out", str(tmp_path / "frames.png")) == 0
    assert run(folder, "--factor", "4", "--out", str(tmp_path / "smooth.mp4"), "--json", "--gallery") == 0
    written = json.loads(capsys.readouterr().out)
    assert (written["num_frames"], written["fps"]) == (25, 20.0)
    places = mcvd.read_video(tmp_path / "frames.png")[0].unfold(1, 16, 1).unfold(2, 16, 1)  # all frames side by side
    for frame in mcvd.read_video(folder / "video"):
        assert (places == frame[:, None, None]).all((0, 3, 4)).any()
    assert (tmp_path / "smooth.html").read_text().count("<video") == 3  # given, cross-faded, made


def test_an_interrupted_command_resumes_from_the_gaps_it_filled(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(upsampling, "GAPS_AT_ONCE", 2)
    whole, fill = upsampling.Upsampling.fill, []

    def dies(self, gaps, frames):
        fill.append(gaps)
        if len(fill) == 2:
            raise KeyboardInterrupt
        return whole(self, gaps, frames)

    monkeypatch.setattr(upsampling.Upsampling, "fill", dies)
    words = ["--factor", "2", "--out", str(tmp_path / "o.gif")]
    assert run(folder, *words) == 130
    assert not (tmp_path / "o.gif").exists() and workdir_of(tmp_path / "o.gif").exists()
    assert run(folder, *words) == 0
    assert fill == [range(0, 2), range(2, 4), range(2, 4), range(4, 6)]
    assert run(folder, "--factor", "2", "--out", str(tmp_path / "p.gif")) == 0
    assert (tmp_path / "o.gif").read_bytes() == (tmp_path / "p.gif").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--factor", "1", "--out", "o.mp4"], 2, "at least 2"),
        (["--factor", "2", "--rate", "0.1", "--out", "o.mp4"], 1, "no gap to fill"),
        (["--factor", "2", "--out", "o.avi"], 2, "the ending must be"),
    ],
)
def test_mistakes_are_one_line(folder, tmp_path, words, status, message, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(folder, *words) == status
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1] and not [*tmp_path.iterdir()]
