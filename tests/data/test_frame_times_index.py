"""Frame times that are remembered: a second start opens only what is new or has changed."""

import os
import shutil
import threading
import time

import numpy as np
import pytest
from reference.grey_videos import write_video

from mcvd.data.datamodule import VideoData
from mcvd.data.sources.folder import VideoFolder


class Counting(VideoFolder):
    """Notes which videos are opened."""

    opened: list[str]

    def open(self, path):
        self.opened.append(path.name)
        return super().open(path)


@pytest.fixture
def start(tmp_path):
    """Start on a folder of four videos, beside which the times are remembered: the folder, and what was opened."""
    for number in range(4):
        write_video(tmp_path / f"videos/{number}.mp4", 12 + number)

    def start():
        kind = type("Counted", (Counting,), {"opened": []})
        return kind(tmp_path / "videos", index=tmp_path / "cache"), sorted(kind.opened)

    return start


def test_a_second_start_opens_nothing_and_knows_the_same(start):
    first, opened = start()
    assert opened == ["0.mp4", "1.mp4", "2.mp4", "3.mp4"]
    second, opened = start()
    assert opened == [] and second.paths == first.paths
    for index in range(4):
        np.testing.assert_array_equal(second.times_seconds(index), first.times_seconds(index))
        assert second.frame_times(index).end == first.frame_times(index).end
        assert second.frame_times(index).tick_seconds == first.frame_times(index).tick_seconds
    assert second.read(2, [3, 0], (16, 16)).shape[0] == 2


def test_what_a_killed_start_left_is_taken_away(start, tmp_path):
    start()
    (index,) = (tmp_path / "cache").glob("*.npz")
    index.with_suffix(".lock").touch()  # killed when it had saved
    start()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [index.name]
    (tmp_path / "cache" / f".{index.name}.{'0' * 16}.part").touch()  # killed while it saved
    index.unlink()
    start()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [index.name]


def test_only_what_is_new_or_has_changed_is_opened(start, tmp_path):
    start()
    write_video(tmp_path / "videos/1.mp4", 30)
    shutil.copy(tmp_path / "videos/0.mp4", tmp_path / "videos/new.mp4")
    (tmp_path / "videos/3.mp4").unlink()
    videos, opened = start()
    assert opened == ["1.mp4", "new.mp4"] and len(videos.times_seconds(1)) == 30
    os.utime(tmp_path / "videos/2.mp4", ns=(1, 1))
    assert start()[1] == ["2.mp4"]
    assert start()[1] == []


def test_what_cannot_be_opened_is_told_at_every_start(start, tmp_path):
    (tmp_path / "videos/bad.mp4").write_bytes(b"no video" * 100)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"left out: .*bad\.mp4"):
            videos, opened = start()
    assert opened == ["bad.mp4"] and len(videos) == 4


def test_a_damaged_index_is_made_anew(start, tmp_path):
    start()
    (index,) = (tmp_path / "cache").glob("frame-times-*.npz")
    whole = index.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        index.write_bytes(content)
        assert len(start()[1]) == 4 and start()[1] == []


def test_a_place_that_cannot_be_written_only_costs_time(start, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(start()[1]) == len(start()[1]) == 4


def test_of_processes_that_start_at_once_one_opens_the_files(tmp_path):
    for number in range(4):
        write_video(tmp_path / f"videos/{number}.mp4", 12)
    opened = []

    class Slow(VideoFolder):
        def open(self, path):
            opened.append(path.name)
            time.sleep(0.05)
            return super().open(path)

    threads = [
        threading.Thread(target=Slow, args=(tmp_path / "videos",), kwargs={"index": tmp_path / "cache"})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == ["0.mp4", "1.mp4", "2.mp4", "3.mp4"]


def test_a_training_remembers_beside_its_cache(tmp_path):
    for number in range(3):
        write_video(tmp_path / f"videos/{number}.mp4", 12)
    data = VideoData(str(tmp_path / "videos"), num_frames=4, size=16, num_workers=0, cache=str(tmp_path / "cache"))
    data.setup("fit")
    assert len(list((tmp_path / "cache").glob("frame-times-*.npz"))) == 1
