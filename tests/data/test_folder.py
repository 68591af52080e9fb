"""Videos found in a folder, and what is said of those that cannot be read."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from reference.grey_videos import grey_of, names, write_frames, write_video

from mcvd.data.datamodule import VideoData
from mcvd.data.sources import folder as folder_module
from mcvd.data.sources.folder import VideoFolder
from mcvd.video.decoders.base import VideoError
from mcvd.video.find import find_videos

ODD = Path(__file__).parents[2] / "../shared/data/odd"


def test_files_and_frame_folders_at_any_depth_are_videos_hidden_ones_are_not(tmp_path):
    for name in ("b.mp4", "a/deep/c.MKV", ".hidden/d.mp4", ".e.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    write_frames(tmp_path / "frames", 2)
    write_frames(tmp_path / "a/.thumbnails", 2)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "poster1.png").touch()
    (tmp_path / "titles").mkdir()
    (tmp_path / "titles/cover.jpg").touch()
    assert [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)] == [
        "a/deep/c.MKV",
        "b.mp4",
        "frames",
    ]


def test_a_link_to_a_folder_above_ends_the_search(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/v.mp4").touch()
    (tmp_path / "a/up").symlink_to(tmp_path)
    assert list(find_videos(tmp_path)) == [tmp_path / "a/v.mp4"]


def test_frames_are_those_asked_for_scaled_to_cover(tmp_path):
    write_video(tmp_path / "film.mp4")
    write_frames(tmp_path / "frames")
    videos = VideoFolder(tmp_path, frame_rate_hz=5)
    assert names(videos) == ["film.mp4", "frames"]
    assert videos.times_seconds(0) == pytest.approx(np.arange(12) / 10)
    assert videos.times_seconds(1) == pytest.approx(np.arange(12) / 5)
    for index in range(2):
        video = videos.read(index, [7, 0, 11], (16, 16))
        assert video.shape == (3, 3, 16, 24) and video.dtype == torch.uint8
        assert video.float().mean((1, 2, 3)).tolist() == pytest.approx([grey_of(f) for f in (7, 0, 11)], abs=4)


def test_a_single_file_is_a_collection_of_one(tmp_path):
    write_video(tmp_path / "film.mp4")
    assert names(VideoFolder(tmp_path / "film.mp4")) == ["film.mp4"]


def test_a_damaged_file_is_named_once_and_left_out(tmp_path):
    write_video(tmp_path / "good.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"this is no video")
    with pytest.warns(UserWarning, match=r"left out: .*bad\.mp4") as caught:
        videos = VideoFolder(tmp_path)
    assert len(caught) == 1
    assert names(videos) == ["good.mp4"] and list(videos.skipped) == [tmp_path / "bad.mp4"]


def test_a_folder_without_videos_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"looked for films .*\.mp4.* folders of numbered frames .*\.png"):
        VideoFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        VideoFolder(tmp_path / "nowhere")


def test_open_readers_stay_few_and_are_not_pickled(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "MAX_OPEN_READERS", 2)
    for number in range(4):
        write_video(tmp_path / f"{number}.mp4", 3)
    videos = VideoFolder(tmp_path)
    first = [videos.read(index, [2], (8, 8)) for index in range(4)]
    assert len(videos._readers) == 2
    copy = pickle.loads(pickle.dumps(videos))
    assert len(copy._readers) == 0
    assert all(torch.equal(copy.read(index, [2], (8, 8)), first[index]) for index in range(4))
    videos.close()
    assert len(videos._readers) == 0
    assert torch.equal(videos.read(0, [2], (8, 8)), first[0]), "reading opens them again"


def test_a_file_that_vanished_is_an_error_of_its_own_and_reading_goes_on(tmp_path):
    write_video(tmp_path / "a.mp4")
    write_video(tmp_path / "b.mp4")
    videos = VideoFolder(tmp_path)
    (tmp_path / "a.mp4").unlink()
    with pytest.raises((VideoError, FileNotFoundError)):
        videos.read(0, [0], (8, 8))
    assert videos.read(1, [0], (8, 8)).shape == (1, 3, 8, 12)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_folder_is_trained_on_even_if_a_file_vanishes_meanwhile(tmp_path):
    for name in ("train/a.mp4", "train/b.mp4", "val/c.mp4"):
        write_video(tmp_path / name)
    data = VideoData(str(tmp_path), num_frames=4, size=16, batch_size=3, num_workers=2)
    data.setup("fit")
    assert names(data.train_clips.videos) == ["a.mp4", "b.mp4"] and names(data.val_clips.videos) == ["c.mp4"]
    assert data.frame_rate_hz == pytest.approx(10)
    (tmp_path / "train/a.mp4").unlink()
    batches = list(data.train_dataloader())
    assert batches[0]["video"].shape == (3, 4, 3, 16, 16)
    assert data.train_clips.failures[0] > 0 and data.train_clips.failures[1] == 0


def test_validation_videos_inside_the_training_folder_are_refused(tmp_path):
    write_video(tmp_path / "held/a.mp4")
    with pytest.raises(ValueError, match="would be trained on"):
        VideoData(str(tmp_path), val_root=str(tmp_path / "held")).setup("fit")


@pytest.mark.skipif(not ODD.is_dir(), reason="the odd sample files are not beside this checkout")
@pytest.mark.filterwarnings("ignore:left out")
def test_a_folder_of_odd_files_gives_what_can_be_read_and_names_the_rest():
    videos = VideoFolder(ODD)
    unreadable = {path.name for path in videos.skipped}
    assert {"empty.mp4", "not_a_video.mp4", "chunk_out_of_range.mp4", "sine-3s-xhe-aac-44khz-mono.mp4"} <= unreadable
    assert {"av1_video.mkv", "fire2.mp4", "-video-with-dash-.mp4"} <= set(names(videos))
