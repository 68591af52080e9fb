"""What is written can be read again; what cannot be written leaves nothing behind."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from mcvd.video.open import open_video
from mcvd.video.palette import CONTEXT, rgb
from mcvd.video.read import read_video
from mcvd.video.write import contact_sheet, write_video


def drifting(num_frames=12, channels=3, height=48, width=64):
    """Smooth colours that drift, uint8 (T, C, H, W)."""
    time, row, column = torch.meshgrid(*map(torch.arange, (num_frames, height, width)), indexing="ij")
    waves = [torch.sin(column / 9 + time / 3 + shift) + torch.cos(row / 11 + shift) for shift in range(channels)]
    return (127.5 + 60 * torch.stack(waves, dim=1)).round().to(torch.uint8)


def psnr(a, b):
    return (20 * np.log10(255) - 10 * torch.log10((a.float() - b.float()).square().mean())).item()


@pytest.mark.parametrize(("name", "least_psnr"), [("a.mp4", 35), ("a.gif", 30), ("folder", 100)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_again(tmp_path, name, least_psnr, channels):
    video = drifting(channels=channels)
    write_video(tmp_path / "new" / name, video, fps=12.5)
    again = read_video(tmp_path / "new" / name, channels=channels)
    assert again.shape == video.shape
    assert psnr(again, video) > least_psnr
    assert [file.name for file in (tmp_path / "new").iterdir()] == [name]


@pytest.mark.parametrize(("name", "fps"), [("a.mp4", 29.97), ("a.mp4", 0.5), ("a.gif", 15), ("folder", 29.97)])
def test_the_rate_is_kept(tmp_path, name, fps):
    write_video(tmp_path / name, drifting(31), fps)
    with open_video(tmp_path / name) as reader:
        assert reader.frame_rate_hz == pytest.approx(fps, rel=1e-3)
        np.testing.assert_allclose(reader.times_seconds, np.arange(31) / fps, rtol=1e-4, atol=0.0051)


def test_a_folder_of_which_nobody_knows_the_rate_states_none(tmp_path):
    write_video(tmp_path / "folder", drifting())
    with open_video(tmp_path / "folder") as reader:
        assert reader.frame_rate_hz is None


def test_an_odd_size_is_padded_by_its_edge(tmp_path):
    video = drifting(height=33, width=47)
    write_video(tmp_path / "odd.mp4", video)
    again = read_video(tmp_path / "odd.mp4")
    assert again.shape[-2:] == (34, 48)
    assert psnr(again[..., :33, :47], video) > 35
    assert psnr(again[..., 33, :47], video[..., 32, :]) > 30


def test_colours_are_kept_and_declared(tmp_path):
    colours = torch.tensor([[200, 30, 40], [20, 180, 60], [10, 40, 220], [255, 255, 255], [0, 0, 0]], dtype=torch.uint8)
    video = colours[:, :, None, None].expand(-1, -1, 32, 32)
    write_video(tmp_path / "colours.mp4", video)
    assert (read_video(tmp_path / "colours.mp4").float() - video.float()).abs().mean(dim=(2, 3)).max() < 6
    with open_video(tmp_path / "colours.mp4") as reader:
        assert reader._first.colorspace == 1  # BT.709
        assert reader._first.format.name == "yuv420p"


def test_encoding_does_not_depend_on_what_else_the_machine_does(tmp_path):
    blocks = torch.randint(0, 256, (42, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    video = blocks.repeat_interleave(12, 2).repeat_interleave(12, 3)
    names = [f"{letter}.mp4" for letter in "abcdef"]
    for name in names:
        write_video(tmp_path / name, video)
    assert len({(tmp_path / name).read_bytes() for name in names}) == 1
    settings = re.search(rb"x264 - core.* threads=(\d+) lookahead_threads=(\d+)", (tmp_path / "a.mp4").read_bytes())
    assert settings.groups() == (b"1", b"1"), "x264's choices depend on which of its threads is ahead"


def test_an_mp4_can_start_playing_before_it_is_all_there(tmp_path):
    write_video(tmp_path / "a.mp4", drifting())
    content = (tmp_path / "a.mp4").read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(
    ("video", "fault"),
    [
        (torch.zeros(2, 3, 8, 8), "must be uint8, 0 to 255, got torch.float32"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"looks like \(T, H, W, C\)"),
        (torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8), "one by one"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "at least one frame"),
        (torch.zeros(2, 2, 8, 8, dtype=torch.uint8), "C 1 or 3"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"looks like \(T, H, W, C\)"),
        ([np.zeros((3, 8, 8), np.uint8)], "a tensor or a numpy array, got list"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, video, fault):
    with pytest.raises(ValueError, match=fault):
        write_video(tmp_path / "a.mp4", video)
    assert not any(tmp_path.iterdir())


def test_unknown_endings_rates_and_full_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.mp4, \.gif or \.png"):
        write_video(tmp_path / "a.mpeg4", drifting(2))
    with pytest.raises(ValueError, match="fps"):
        write_video(tmp_path / "a.mp4", drifting(2), fps=0)
    write_video(tmp_path / "frames", drifting(2))
    with pytest.raises(ValueError, match="not an empty folder"):
        write_video(tmp_path / "frames", drifting(2))
    assert len(list((tmp_path / "frames").iterdir())) == 2


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png", "folder"])
def test_a_failure_leaves_the_old_file_and_no_part(tmp_path, monkeypatch, name):
    if name != "folder":
        (tmp_path / name).write_text("old")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    monkeypatch.setattr("av.open", fail)
    with pytest.raises(OSError, match="disk full"):
        write_video(tmp_path / name, drifting(2))
    assert [file.read_text() for file in tmp_path.iterdir()] == ([] if name == "folder" else ["old"])


def test_a_strip_shows_the_frames_in_order_with_gaps(tmp_path):
    video = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 1, 16, 16) * 50
    write_video(tmp_path / "strip.png", video)
    row = np.array(Image.open(tmp_path / "strip.png"))[10, :, 0]
    assert row[row != 255].tolist() == np.repeat([0, 50, 100, 150], 16).tolist()


def test_given_frames_have_a_border_and_labels_a_margin():
    video = torch.zeros(3, 3, 64, 64, dtype=torch.uint8)
    plain = contact_sheet([video, video])
    labelled = contact_sheet({"truth": video, "predicted": video[:2]}, context=[0])
    assert labelled.height == plain.height and labelled.width > plain.width
    margin = labelled.width - plain.width
    assert labelled.getpixel((margin, 0)) == rgb(CONTEXT)
    assert labelled.getpixel((margin + 68 + 2, 0)) == (255, 255, 255)
    assert contact_sheet([video[..., :8, :8]], min_height=30).height == 32 + 4
    with pytest.raises(ValueError, match="one size"):
        contact_sheet([video, video[..., :32]])


def test_a_long_strip_has_lines_of_at_most_20_frames(tmp_path):
    video = torch.arange(42, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 6, 8)
    write_video(tmp_path / "strip.png", video)
    strip = np.array(Image.open(tmp_path / "strip.png"))[:, :, 0]
    assert strip[5::12, 6::14].tolist() == video[:, 0, 0, 0].reshape(3, 14).tolist()  # borders of 2, gaps of 2
