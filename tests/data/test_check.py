"""What `mcvd data check` tells of videos that a training would take otherwise than their author meant."""

import av
import numpy as np
import pytest
import torch
from reference.encoded_videos import encode
from reference.pictures import numbered, write_numbered

from mcvd.data.check import check_data
from mcvd.data.datamodule import VideoData
from mcvd.data.fingerprint import frames_looked_at
from mcvd.data.scene_cuts import cuts
from mcvd.video.timing import FrameTimes
from mcvd.video.write import write_video


def drifting(seed, num_frames=20, size=(48, 64)):
    """A scene of its own that drifts, uint8 (T, 3, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 16, generator=generator) * 255
    wide = torch.nn.functional.interpolate(coarse, (size[0], size[1] + num_frames), mode="bilinear")[0]
    return torch.stack([wide[..., shift : shift + size[1]] for shift in range(num_frames)]).to(torch.uint8)


def told(root, **options):
    data = VideoData(root, num_frames=4, size=16, num_workers=0, **options)
    report = check_data(data)
    assert not report.problem, report.problem
    return report.lines


def line(lines, beginning):
    found = [line for line in lines if line.startswith(beginning)]
    assert len(found) == 1, lines
    return found[0]


def has_none(lines, *beginnings):
    return not [line for line in lines if line.startswith(beginnings)]


@pytest.fixture
def folder(tmp_path):
    """Three ordinary videos: nothing is odd about them."""
    for seed in range(3):
        write_video(tmp_path / f"{seed}.mp4", drifting(seed), fps=10)
    return tmp_path


def test_of_ordinary_videos_nothing_odd_is_told(folder):
    lines = told(folder)
    assert line(lines, "files") == "files: 3 readable, 0 not"
    assert line(lines, "colour") == "colour: 3 in colour, 0 grey"
    odd = ("passed over", "further", "the size", "interlaced", "HDR", "variable", "scene cuts", "the same", "warning")
    assert has_none(lines, *odd), lines


def test_a_broken_file_is_told_once(folder):
    (folder / "broken.mp4").write_bytes(b"no film")
    lines = told(folder)
    assert "broken.mp4: cannot be opened" in line(lines, "unreadable, left out")
    assert len([each for each in lines if "broken.mp4" in each]) == 1, lines


def test_where_reading_is_slow_a_cache_is_named(folder, monkeypatch):
    monkeypatch.setattr("mcvd.data.check._SLOW_SECONDS", 0.0)
    assert "--data.cache FOLDER" in line(told(folder), "reading")
    assert "--data.cache FOLDER" not in line(told(folder, cache=folder.parent / "cache"), "reading")


def test_colour_is_judged_behind_a_black_beginning(tmp_path):
    black = torch.zeros(3, 3, 48, 64, dtype=torch.uint8)
    grey = drifting(1).float().mean(1, keepdim=True).to(torch.uint8).expand(-1, 3, -1, -1)
    write_video(tmp_path / "a.mp4", torch.cat([black, drifting(0)]), fps=10)
    write_video(tmp_path / "b.mp4", torch.cat([black, grey]), fps=10)
    assert line(told(tmp_path), "colour") == "colour: 1 in colour, 1 grey"


def test_files_that_are_passed_over_are_told(folder):
    (folder / "film.foo").write_bytes((folder / "0.mp4").read_bytes())
    (folder / "notes.txt").write_text("no video")
    numbered(1).save(folder / "poster.png")
    lines = told(folder)
    assert "film.foo; training does not see them" in line(lines, "passed over by their ending")
    assert line(lines, "passed over: ") == "passed over: .txt (1), .png (1)"


def test_further_tracks_are_told(folder):
    with av.open(str(folder / "0.mp4"), "w") as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for pixels in drifting(0).permute(0, 2, 3, 1).numpy():
            for stream in streams:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    found = line(told(folder), "further video tracks")
    assert "1 of 3 videos" in found and "0.mp4 (2 tracks)" in found


def test_a_change_of_size_is_told(folder):
    parts = [encode(folder / f"{size[1]}.ts", size=size).read_bytes() for size in ((48, 64), (96, 128))]
    (folder / "64.ts").unlink()
    (folder / "128.ts").unlink()
    (folder / "changing.ts").write_bytes(b"".join(parts))
    assert "changing.ts (64x48, then 128x96)" in line(told(folder, frame_rate_hz=10), "the size changes")


def test_interlaced_and_hdr_are_told(folder):
    encode(folder / "interlaced.mkv", options={"x264-params": "tff=1"}, rate=10)
    encode(
        folder / "hdr.mkv",
        options={"x264-params": "transfer=arib-std-b67:colorprim=bt2020:colormatrix=bt2020nc"},
        rate=10,
    )
    lines = told(folder)
    assert "interlaced.mkv" in line(lines, "interlaced: 1 of")
    assert "hdr.mkv (HLG)" in line(lines, "HDR: 1 of")


@pytest.mark.parametrize(("rate", "meaning"), [(None, "taken as they come"), (5, "read by time, at 5 Hz")])
def test_a_variable_rate_is_told_with_what_training_does(folder, rate, meaning):
    encode(folder / "variable.mkv", times=[number + 4 * (number > 20) for number in range(40)], rate=10)
    found = line(told(folder, frame_rate_hz=rate), "variable frame rate")
    assert "variable.mkv (0.1 to 0.5 s a frame)" in found and meaning in found


def test_scene_cuts_within_clips_are_told(folder):
    write_video(folder / "cut.mp4", torch.cat([drifting(7), drifting(8)]), fps=10)
    found = line(told(folder), "scene cuts")
    assert "cut.mp4 at frame 20" in found and "in 1 of" in found
    assert cuts(torch.cat([drifting(1)[:5], drifting(2)[:5]])) == [5]
    assert cuts(drifting(3)) == []


def test_the_same_video_in_training_and_validation_is_told_by_content(tmp_path):
    for seed in range(3):
        write_video(tmp_path / f"train/{seed}.mp4", drifting(seed), fps=10)
    write_video(tmp_path / "val/other.mp4", drifting(9), fps=10)
    assert has_none(told(tmp_path), "the same video")
    write_video(tmp_path / "val/copy.gif", drifting(1), fps=10)  # other format, other colours, other name
    found = line(told(tmp_path), "the same video in training and validation: 1 of 2")
    assert "val/copy.gif is " in found and "train/1.mp4" in found


def passing(seed, num_frames=60, background=0):
    """A place in which two bright things pass, each in its own way, uint8 (T, 3, 96, 128)."""
    generator = np.random.default_rng(seed)
    place = np.random.default_rng(1000 + background).integers(30, 160, (6, 8)).repeat(16, 0).repeat(16, 1)
    video = np.repeat(place[None, None].astype(np.uint8), 3, 1).repeat(num_frames, 0)
    for _ in range(2):
        down, right, phase, across = generator.uniform((0, 0, 0, 30), (60, 20, 6, 80))
        for number in range(num_frames):
            y = int(down / 2 + 16 + 14 * np.sin(phase + number / 7))
            x = int(right + across * (1 + np.sin(phase + number / 11)) / 2)
            video[number, :, y : y + 28, x : x + 28] = 235
    return torch.from_numpy(video)


def write_small(path, video, rate):
    """Another size and encoder than `write_video`'s, and few bits."""
    small = torch.nn.functional.interpolate(video.float(), size=(64, 96), mode="area").to(torch.uint8)
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate, options={"qscale": "8"}, bit_rate=150_000)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for pixels in small.permute(0, 2, 3, 1).numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("frames", "rate", "words"),
    [
        (range(13, 49), 10, "from 1.3 s on)"),
        (range(0, 60), 25, "train/1.mp4, at about 2.5 times the speed)"),
        (range(9, 57, 2), 10, "at about 2.0 times the speed)"),
        (range(20, 50), 5, "at about 0.5 times the speed)"),
    ],
    ids=["trimmed", "faster", "frames left out", "slower"],
)
def test_a_copy_is_told_that_was_trimmed_encoded_again_or_has_another_speed(tmp_path, frames, rate, words):
    for seed in range(3):
        write_video(tmp_path / f"train/{seed}.mp4", passing(seed), fps=10)
    write_small(tmp_path / "val/copy.avi", passing(1)[list(frames)], rate)
    found = line(told(tmp_path, frame_rate_hz=5), "the same video in training and validation: 1 of 1")
    assert "val/copy.avi is " in found and "train/1.mp4" in found and words in found, found


def test_a_part_of_a_validation_video_that_is_a_training_video_is_told(tmp_path):
    write_video(tmp_path / "train/0.mp4", passing(0)[20:50], fps=10)
    write_small(tmp_path / "val/longer.avi", torch.cat([passing(0), passing(5, background=2)]), 10)
    found = line(told(tmp_path), "the same video")
    assert "val/longer.avi shows, from " in found and "train/0.mp4" in found


def test_other_clips_of_the_same_place_are_no_copies(tmp_path):
    for seed in range(6):
        write_video(tmp_path / f"{'val' if seed > 3 else 'train'}/{seed}.mp4", passing(seed), fps=10)
    write_video(tmp_path / "train/empty.mp4", passing(0)[:1].expand(40, -1, -1, -1), fps=10)
    write_video(tmp_path / "val/empty.mp4", passing(4)[:1].expand(40, -1, -1, -1), fps=10)
    assert has_none(told(tmp_path), "the same video")


def test_a_picture_of_another_size_among_many_is_told(folder):
    write_numbered(folder / "pictures", [f"{number:03}.png" for number in range(60)])
    numbered(1, (16, 64)).save(folder / "pictures/033.png")
    assert "033.png: is 64x16" in line(told(folder, frame_rate_hz=10), "unreadable")


def test_of_long_and_large_videos_only_the_beginning_is_decoded():
    film = FrameTimes.counted(25 * 3600, 25)
    small, large = (frames_looked_at(film, size) for size in ((64, 64), (1080, 1920)))
    assert len(small) == 2400 and 599 * 25 < small[-1] < 600 * 25
    assert 38 * 25 < large[-1] < 39 * 25 and large == small[: len(large)]
    assert frames_looked_at(FrameTimes.counted(10, 5), (64, 64)) == list(range(10))
