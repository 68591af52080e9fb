"""Collections cached in memory."""

import numpy as np
import torch

from mcvd.data.datamodule import VideoData
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.sources.in_memory import InMemoryVideos
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.video.write import write_video


class Counted(DrivingScenes):
    """Streets that tell how often they were drawn by this process."""

    reads = 0

    def read(self, index, frames, cover):
        type(self).reads += 1
        return super().read(index, frames, cover)


def test_frames_are_those_of_the_collection_in_any_order():
    streets = DrivingScenes(3, num_frames=5)
    cached = InMemoryVideos(streets, size=16)
    cached.prepare()
    for frames in ([0, 1, 2], [4, 0, 0], [1, 3], [2]):
        assert torch.equal(cached.read(1, frames, (16, 16)), streets.read(1, frames, (16, 16)))
    assert (len(cached), cached.channels, cached.name(2)) == (3, 3, streets.name(2))
    assert cached.times_seconds(0).tolist() == streets.times_seconds(0).tolist()


def test_a_size_may_be_any_whole_number():
    assert InMemoryVideos(DrivingScenes(1, num_frames=3), size=np.int64(16)).size == (16, 16)
    assert VideoData(train=DrivingScenes(1, num_frames=3), size=(np.int32(16), 24)).spec.size == (16, 24)


def test_a_change_of_what_was_read_does_not_change_what_is_cached():
    cached = InMemoryVideos(DrivingScenes(1, num_frames=3), size=16)
    cached.prepare()
    first = cached.read(0, [0, 1], (16, 16))
    before = first.clone()
    first.zero_()
    assert torch.equal(cached.read(0, [0, 1], (16, 16)), before)


def test_another_size_is_read_from_the_collection():
    streets = DrivingScenes(1, num_frames=3)
    cached = InMemoryVideos(streets, size=16)
    cached.prepare()
    assert torch.equal(cached.read(0, [1], (8, 8)), streets.read(0, [1], (8, 8)))


def test_a_training_prepares_it_before_its_workers_and_reads_nothing_twice(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # so that this process reads, and counts
    Counted.reads = 0
    cached = InMemoryVideos(Counted(4, num_frames=3), size=16)
    data = VideoData(train=cached, val=DrivingScenes(1, num_frames=3, seed=1), num_frames=3, size=16, num_workers=0)
    data.setup("fit")
    data.setup("fit")
    assert Counted.reads == 4
    clip = data.train_clips[0]["video"]
    assert clip.shape == (3, 3, 16, 16) and Counted.reads == 4


def test_long_videos_are_read_in_parts_and_frames_keep_the_aspect(tmp_path, monkeypatch):
    monkeypatch.setattr("mcvd.data.sources.in_memory._FRAMES_AT_ONCE", 4)
    video = torch.randint(0, 256, (10, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_video(tmp_path / "wide.mp4", video, 10.0)
    cached = InMemoryVideos(VideoFolder(tmp_path), size=16)
    cached.prepare()
    assert torch.equal(cached.read(0, range(10), (16, 16)), VideoFolder(tmp_path).read(0, range(10), (16, 16)))
    assert cached.read(0, [0], (16, 16)).shape == (1, 3, 16, 32)
