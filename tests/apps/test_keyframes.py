"""Keyframes, loops and inpainting as a user types them."""

import pytest
import torch
from PIL import Image
from reference.tiny import pixels, tiny_model

import mcvd
from mcvd.apps.cli.main import main
from mcvd.video.read import read_picture

FAST = ["--steps", "3", "--device", "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a video of 12 frames and pictures."""
    folder = tmp_path_factory.mktemp("known")
    tiny_model(past=2, current=4, future=2, channels=3).save_pretrained(folder / "tiny")
    mcvd.write_video(folder / "video.mp4", pixels(12, 3, 16, 16) // 4 + 96, fps=10)
    Image.new("RGB", (40, 20), (200, 100, 50)).save(folder / "there.png")
    mask = Image.new("L", (16, 16), 0)
    mask.paste(255, (0, 0, 8, 16))
    mask.save(folder / "mask.png")
    return folder


def run(folder, *words):
    return main([*words, "--model", str(folder / "tiny"), *FAST])


def colour(frame):
    return frame.float().mean((1, 2)).tolist()


@pytest.mark.parametrize("words", [["predict", "VIDEO"], ["predict", "VIDEO", "--backward"], ["generate"]])
def test_keyframes_stand_where_they_are_named(folder, tmp_path, words):
    words = [str(folder / "video.mp4") if word == "VIDEO" else word for word in words]
    keyframe = f"3={folder / 'there.png'}"
    out = tmp_path / "out.mp4"
    new = [] if words == ["generate"] else ["--only-new"]
    assert run(folder, *words, *new, "--num-frames", "6", "--keyframe", keyframe, "--out", str(out)) == 0
    video = mcvd.read_video(out)
    assert len(video) == 6
    assert colour(video[3]) == pytest.approx([200, 100, 50], abs=4)


def test_a_resumed_command_sees_other_keyframes(folder, tmp_path):
    """What was made for another picture is not taken: it is known by its content."""
    videos = []
    for level in (0, 255):
        Image.new("RGB", (16, 16), (level,) * 3).save(tmp_path / "picture.png")
        words = ["generate", "--num-frames", "4", "--keyframe", f"3={tmp_path / 'picture.png'}"]
        assert run(folder, *words, "--out", str(tmp_path / "out.mp4")) == 0
        videos.append(mcvd.read_video(tmp_path / "out.mp4"))
    assert not torch.equal(videos[0][:3], videos[1][:3])


def test_inpainting_generates_the_white_part_alone(folder, tmp_path):
    out, mask = tmp_path / "out.mp4", folder / "mask.png"
    words = ["interpolate", str(folder / "video.mp4"), "--gap", "4:7", "--inpaint", str(mask)]
    assert run(folder, *words, "--out", str(out)) == 0
    before, after = mcvd.read_video(folder / "video.mp4").int(), mcvd.read_video(out).int()
    apart = (before - after).abs().float()
    assert apart[4:7, :, :, 9:].mean() < 8  # compressed once more
    assert apart[4:7, :, :, :7].mean() > 16


def test_a_loop_is_another_video(folder, tmp_path):
    for name, words in (("loop", ["--loop", "--known-by", "replacement"]), ("line", [])):
        out = str(tmp_path / f"{name}.mp4")
        assert run(folder, "generate", "--num-frames", "6", *words, "--out", out) == 0
    assert not torch.equal(*(mcvd.read_video(tmp_path / f"{name}.mp4") for name in ("loop", "line")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "--num-frames", "6", "--keyframe", "6=PICTURE"], "the generated frames are 0 to 5"),
        (["generate", "--num-frames", "6", "--keyframe", "1=PICTURE", "--keyframe", "1=PICTURE"], "more than once"),
        (["generate", "--num-frames", "6", "--keyframe", "1=nowhere.png"], "--keyframe nowhere.png: no such file"),
        (["generate", "--num-frames", "6", "--keyframe", "one=PICTURE"], "N=PICTURE"),
        (["generate", "--num-frames", "6", "--keyframe", "1=VIDEO"], "cannot be read as a picture"),
        (["generate", "--num-frames", "6", "--keyframe", "1=."], "cannot be read as a picture (Is a directory)"),
        (["generate", "--num-frames", "4", "--loop"], "more than 4 frames"),
        (["predict", "VIDEO", "--num-frames", "6", "--loop", "--backward"], "no frames after it can be given"),
        (["interpolate", "VIDEO", "--gap", "4:7", "--inpaint", "PICTURE"], "nothing in it is white"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(folder, tmp_path, capsys, words, said):
    names = {"PICTURE": str(folder / "there.png"), "VIDEO": str(folder / "video.mp4")}
    words = [word.replace("PICTURE", names["PICTURE"]).replace("VIDEO", names["VIDEO"]) for word in words]
    try:
        status = run(folder, *words, "--out", str(tmp_path / "out.mp4"))
    except SystemExit as end:
        status = end.code
    assert status != 0
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


def test_a_picture_is_one_frame(folder):
    assert read_picture(folder / "there.png", (16, 24), 1).shape == (1, 16, 24)
