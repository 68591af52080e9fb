"""A source that fails while it is read: named in one line, its clips replaced, and training goes on."""

import gc
import os
import threading
import time

import pytest
import torch
from reference.as_nobody import folder_for_all, told_to_nobody
from reference.grey_videos import names, write_frames, write_video

from mcvd.data.datamodule import VideoData
from mcvd.data.sources.folder import VideoFolder
from mcvd.runtime.timeout import may_block
from mcvd.video.decoders.base import VideoError
from mcvd.video.open import open_video


def data(root, **options):
    data = VideoData(str(root), num_frames=4, size=16, frame_rate_hz=10, batch_size=3, num_workers=0, **options)
    data.setup("fit")
    return data


def one_line(caught):
    return [str(warning.message) for warning in caught if "\n" not in str(warning.message)]


def test_a_reader_that_is_stuck_is_given_up_and_named_once(tmp_path):
    write_frames(tmp_path / "stuck", 8)
    write_frames(tmp_path / "well", 8)
    videos = VideoFolder(tmp_path, timeout_seconds=2)
    (tmp_path / "stuck/0003.png").unlink()
    os.mkfifo(tmp_path / "stuck/0003.png")  # opening it waits for a writer who never comes
    begin = time.monotonic()
    with pytest.raises(VideoError, match=r"stuck: reading 8 frames took longer than 2 s"):
        videos.read(0, range(8), (16, 16))
    for _ in range(50):  # nobody waits for it a second time
        with pytest.raises(VideoError, match="got stuck before"):
            videos.read(0, [0], (16, 16))
    assert videos.read(1, range(8), (16, 16)).shape == (8, 3, 16, 24)
    assert time.monotonic() - begin < 60


def test_a_read_that_decodes_too_long_ends_by_itself_and_is_named_once(tmp_path):
    write_video(tmp_path / "long.mp4", 300)  # of one key frame every twelve
    videos = VideoFolder(tmp_path)
    assert not may_block(tmp_path / "long.mp4") and may_block(tmp_path) and may_block(tmp_path / "nothing")
    threads = threading.active_count()
    expected = videos.read(0, range(300), (16, 16))
    reader = videos._readers.get(tmp_path / "long.mp4", videos.open)
    assert reader.checks_time
    reader._timeout_seconds = 1e-3
    with pytest.raises(TimeoutError, match=r"took longer than 0.001 s"):
        reader.read(range(300), (16, 16))
    reader._timeout_seconds = 60.0
    assert torch.equal(reader.read(range(300), (16, 16)), expected)  # nothing is left half done
    assert threading.active_count() <= threads + 1  # the one that opened it
    reader._timeout_seconds = 1e-3
    with pytest.raises(VideoError, match=r"long.mp4: reading 300 frames took longer than"):
        videos.read(0, range(300), (16, 16))
    with pytest.raises(VideoError, match="got stuck before"):
        videos.read(0, [0], (16, 16))


def test_a_video_that_cannot_be_opened_in_time_is_left_out(tmp_path):
    write_frames(tmp_path / "well", 8)
    (tmp_path / "stuck").mkdir()
    os.mkfifo(tmp_path / "stuck/0000.png")
    with pytest.warns(UserWarning, match=r"left out: .*stuck: opening it took longer than 2 s"):
        videos = VideoFolder(tmp_path, timeout_seconds=2)
    assert names(videos) == ["well"]


def test_a_file_that_vanishes_after_probing_is_replaced(tmp_path):
    for name in ("train/a.mp4", "train/b.mp4", "val/c.mp4"):
        write_video(tmp_path / name)
    plain = data(tmp_path)
    (tmp_path / "train/a.mp4").unlink()
    with pytest.warns(UserWarning, match=r"a\.mp4: .*; clips of this video are replaced by others") as caught:
        batches = list(plain.train_dataloader())
    assert len(one_line(caught)) == 1 and len(batches) == 2


def test_a_header_that_lies_about_its_length_is_not_believed(tmp_path):
    write_video(tmp_path / "short.mkv", 12)
    content = (tmp_path / "short.mkv").read_bytes()
    (tmp_path / "short.mkv").write_bytes(content[: len(content) * 3 // 4])  # the header still promises twelve
    with open_video(tmp_path / "short.mkv") as reader:
        assert 0 < reader.num_frames < 12
        assert reader.read(range(reader.num_frames)).shape[0] == reader.num_frames


def test_a_folder_without_permission_is_named():
    with folder_for_all() as root:
        write_frames(root / "closed", 3)
        (root / "closed").chmod(0)
        told = told_to_nobody(lambda: VideoFolder(root))
        assert told.startswith("PermissionError") and "closed" in told and "\n" not in told


@pytest.mark.parametrize("name", ["two words.mp4", "-dash.mp4", "käse 世界.mp4", "a:b.mp4", "per%20cent#.mp4"])
def test_any_file_name_is_read_and_cached(tmp_path, name):
    write_video(tmp_path / "train" / name)
    write_video(tmp_path / "val/c.mp4")
    plain, cached = data(tmp_path), data(tmp_path, cache=str(tmp_path / "my cache é"))
    assert cached.train_clips.videos.num_cached == 1
    assert torch.equal(cached.train_clips[0]["video"], plain.train_clips[0]["video"])


def test_readers_opened_and_closed_leave_nothing_behind(tmp_path):
    write_video(tmp_path / "film.mp4")

    gc.collect()  # what earlier tests left

    def opened():
        for _ in range(100):
            with open_video(tmp_path / "film.mp4") as reader:
                reader.read([3], cover=(16, 16))
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    assert opened() == opened()
