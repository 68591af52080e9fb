"""Frames decoded once: the same bits as without the cache, shared, bounded, and never half there."""

import multiprocessing
import os
import pickle
import resource
import signal
import warnings

import numpy as np
import pytest
import torch
from reference.grey_videos import write_frames, write_video

import mcvd
from mcvd.data.datamodule import VideoData
from mcvd.data.sources.cached import CachedVideos
from mcvd.data.sources.folder import VideoFolder

SIZE = (16, 16)


@pytest.fixture
def root(tmp_path):
    for number in range(4):
        write_video(tmp_path / f"videos/{number}.mp4", 12 + number)
    write_frames(tmp_path / "videos/pictures")
    return tmp_path / "videos"


def cached(root, folder, **options):
    videos = CachedVideos(VideoFolder(root), folder, SIZE, **options)
    videos.prepare()
    return videos


def entries(folder):
    return sorted(folder.glob("*.npy"))


@pytest.mark.parametrize("options", [{}, {"crop": "random"}, {"channels": 1}])
@pytest.mark.parametrize("frames", [range(7), range(1, 12, 3), [5], [3, 3, 0]])
def test_frames_are_those_of_the_files_bit_for_bit(root, tmp_path, options, frames):
    cache, plain = cached(root, tmp_path / "cache", **options), VideoFolder(root)
    assert cache.num_cached == len(plain) == 5
    for index in range(5):
        expected = cache._fit(plain.read(index, frames, SIZE))
        assert expected.shape[-2:] == ((16, 24) if "crop" in options else SIZE)  # whole ones, to cut at random later
        assert torch.equal(cache.read(index, frames, SIZE), expected)
        assert cache.read(index, frames, (8, 8)).shape[-2:] == (8, 12)  # another size comes from the file


@pytest.mark.parametrize("options", [{"crop": "random", "flip": True}, {"channels": 1}, {"stride": 2}])
def test_clips_of_training_and_validation_are_the_same_with_and_without(root, tmp_path, options):
    def clips(**cache):
        data = VideoData(str(root), num_frames=4, size=16, frame_rate_hz=10, num_workers=0, **options, **cache)
        data.setup("fit")
        return [data.train_clips[sample]["video"] for sample in range(12)] + [data.val_clips[0]["video"]]

    with_cache = clips(cache=str(tmp_path / "cache"))
    assert len(entries(tmp_path / "cache")) == 5
    assert all(torch.equal(a, b) for a, b in zip(clips(), with_cache, strict=True))


def test_what_is_read_is_a_copy(root, tmp_path):
    cache = cached(root, tmp_path / "cache")
    first = cache.read(0, range(3), SIZE)
    cache.read(0, range(3), SIZE).fill_(7)
    assert torch.equal(cache.read(0, range(3), SIZE), first)


def test_a_second_start_decodes_nothing_and_a_changed_file_is_decoded_again(root, tmp_path, monkeypatch):
    cached(root, tmp_path / "cache")
    before = {entry: entry.stat().st_ino for entry in entries(tmp_path / "cache")}
    cached(root, tmp_path / "cache")
    assert {entry: entry.stat().st_ino for entry in entries(tmp_path / "cache")} == before
    (root / "2.mp4").rename(root / "moved.mp4")  # the content counts, not the name
    cached(root, tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 5
    write_video(root / "1.mp4", 30)
    changed = cached(root, tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 6
    assert torch.equal(changed.read(1, [29], SIZE), changed._fit(VideoFolder(root).read(1, [29], SIZE)))


def test_other_choices_have_entries_of_their_own_in_one_cache(root, tmp_path):
    choices = [{}, {"crop": "random"}, {"channels": 1}]
    for number, options in enumerate(choices, 1):
        cache = cached(root, tmp_path / "cache", **options)
        assert len(entries(tmp_path / "cache")) == 5 * number
        assert torch.equal(cache.read(0, [3], SIZE), cache._fit(VideoFolder(root).read(0, [3], SIZE)))
    CachedVideos(VideoFolder(root), tmp_path / "cache", (8, 16)).prepare()
    assert len(entries(tmp_path / "cache")) == 20


def test_videos_are_read_again_in_any_order(root, tmp_path):
    mcvd.write_video(root / "0.mp4", torch.full((12, 3, 32, 48), 250, dtype=torch.uint8), fps=10)  # unlike the others
    cache, plain = cached(root, tmp_path / "cache"), VideoFolder(root)
    for index in (0, 3, 0, 2, 3, 1, 0):
        assert torch.equal(cache.read(index, [11], SIZE), cache._fit(plain.read(index, [11], SIZE)))


def test_pictures_whose_black_and_white_are_stated_anew_are_decoded_again(root, tmp_path):
    (root / "set").mkdir()
    (root / "pictures").rename(root / "set/pictures")
    cached(root, tmp_path / "cache")
    (root / "set/frames.yaml").write_text("range: [0, 4095]")  # above the pictures, which stay as they are
    cached(root, tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 6


def test_the_limit_holds_and_what_does_not_fit_is_read_from_its_file(root, tmp_path):
    entry_bytes = 12 * 3 * 16 * 16
    with pytest.warns(UserWarning, match=r"[1-4] of 5 videos are not cached \(.*may hold 25,000 bytes\)") as caught:
        cache = cached(root, tmp_path / "cache", max_bytes=25_000)
    assert len(caught) == 1 and cache.num_cached == 25_000 // entry_bytes
    assert sum(entry.stat().st_size - 128 for entry in entries(tmp_path / "cache")) <= 25_000
    assert all(cache.read(index, [0], SIZE).shape == (1, 3, *SIZE) for index in range(5))


def test_entries_of_other_data_sets_make_room(root, tmp_path):
    cached(root, tmp_path / "cache")
    os.utime(entries(tmp_path / "cache")[0], (1, 1))
    write_video(tmp_path / "other/film.mp4", 13, size=(48, 32))
    limit = sum(entry.stat().st_size for entry in entries(tmp_path / "cache")) + 1
    first = entries(tmp_path / "cache")[0]
    assert cached(tmp_path / "other", tmp_path / "cache", max_bytes=limit).num_cached == 1
    assert not first.exists()


def test_what_was_used_last_stays_longest(root, tmp_path):
    cached(root, tmp_path / "cache")
    used = entries(tmp_path / "cache")
    write_video(tmp_path / "other/film.mp4", 13, size=(48, 32))
    cached(tmp_path / "other", tmp_path / "cache")
    (other,) = {*entries(tmp_path / "cache")} - {*used}
    for entry in used:
        os.utime(entry, (1, 1))
    cached(root, tmp_path / "cache")
    write_video(tmp_path / "third/film.mp4", 14, size=(48, 32))
    cached(tmp_path / "third", tmp_path / "cache", max_bytes=sum(each.stat().st_size for each in [*used, other]) + 5000)
    assert not other.exists() and all(entry.exists() for entry in used)


def test_the_lock_of_a_builder_that_was_killed_is_taken_away(root, tmp_path):
    cached(root, tmp_path / "cache")
    lock = entries(tmp_path / "cache")[0].with_suffix(".lock")
    lock.touch()
    assert cached(root, tmp_path / "cache").num_cached == 5
    assert not lock.exists()


def test_an_entry_with_fewer_frames_than_its_video_is_made_again(root, tmp_path):
    cache = cached(root, tmp_path / "cache")
    for entry in entries(tmp_path / "cache"):
        np.save(entry, np.load(entry)[:5])
    again = cached(root, tmp_path / "cache")
    assert torch.equal(again.read(0, [11], SIZE), cache._fit(VideoFolder(root).read(0, [11], SIZE)))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_the_files_and_map_the_cache(root, tmp_path, start):
    clips = []
    for cache in ({}, {"cache": str(tmp_path / "cache")}):
        data = VideoData(str(root), num_frames=4, size=16, frame_rate_hz=10, **cache)
        data.setup("fit")
        assert len(pickle.dumps(data.train_clips)) < 50_000
        clips.append(torch.utils.data.Subset(data.train_clips, range(4)))
    expected = [item["video"] for part in clips for item in part]
    context = multiprocessing.get_context(start)
    both = torch.utils.data.ConcatDataset(clips)
    loader = torch.utils.data.DataLoader(both, 8, num_workers=1, multiprocessing_context=context)
    assert torch.equal(next(iter(loader))["video"], torch.stack(expected))


def forked(work):
    """Start ``work`` in a child process; its exit status is that of the process."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_two_processes_that_build_at_once_leave_one_whole_cache(root, tmp_path):
    def build():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert cached(root, tmp_path / "cache").num_cached == 5

    builders = [forked(build) for _ in range(2)]
    assert [ended(child) for child in builders] == [0, 0]
    assert len(entries(tmp_path / "cache")) == 5
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".npy", ".json"}


def test_a_builder_that_is_killed_leaves_nothing_half_and_its_work_is_taken_up(tmp_path, monkeypatch):
    for number in range(3):
        write_video(tmp_path / f"videos/{number}.mp4", 100 + number, size=(32, 32))
    folder = tmp_path / "cache"

    def build():
        pieces, prepare = iter(range(6)), CachedVideos._fit

        def killed_at_the_sixth(self, video):  # two videos have four pieces each: one at least is half written
            if next(pieces) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return prepare(self, video)

        monkeypatch.setattr(CachedVideos, "_fit", killed_at_the_sixth)
        cached(tmp_path / "videos", folder)

    assert ended(forked(build)) == -signal.SIGKILL
    assert any(folder.glob(".*.npy.*.part"))
    for entry in entries(folder):
        assert np.load(entry, mmap_mode="r").shape[1:] == (3, *SIZE)
    cache = cached(tmp_path / "videos", folder)
    assert cache.num_cached == 3 and not any(folder.glob(".*.npy.*.part")) and not any(folder.glob("*.lock"))


def test_a_full_disk_is_told_in_one_line_and_the_files_are_read(root, tmp_path):
    write_video(root / "long.mp4", 200)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    videos = VideoFolder(root)
    cache = CachedVideos(videos, tmp_path / "cache", SIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.warns(UserWarning, match=r"1 of 6 videos are not cached \(File too large\): long.mp4") as caught:
            cache.prepare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(caught) == 1 and cache.num_cached == 5
    assert not any((tmp_path / "cache").glob(".*.part"))
    index = videos.paths.index(root / "long.mp4")
    assert cache.read(index, [150], SIZE).shape == (1, 3, *SIZE)


def test_an_entry_that_vanishes_or_is_cut_short_is_decoded_again(root, tmp_path):
    cache = cached(root, tmp_path / "cache")
    expected = cache.read(0, [5], SIZE)
    cut = pickle.loads(pickle.dumps(cache))
    cut._entries[0].write_bytes(cut._entries[0].read_bytes()[:5000])
    with pytest.warns(UserWarning, match=r"vanished: 0.mp4 is decoded again"):
        assert torch.equal(cut.read(0, [5], SIZE), expected)
    again = cached(root, tmp_path / "cache")
    assert again.num_cached == 5 and torch.equal(again.read(0, [5], SIZE), expected)


def test_a_damaged_video_is_named_and_read_from_its_file(root, tmp_path):
    film = root / "3.mp4"
    film.write_bytes(film.read_bytes()[:-1])
    videos = VideoFolder(root)
    index = videos.paths.index(film)
    film.unlink()  # vanished between probing and caching
    cache = CachedVideos(videos, tmp_path / "cache", SIZE)
    cache.prepare()
    assert cache.num_cached == 4 and cache._entries[index] is None
    with pytest.raises(OSError, match=r"3.mp4"):
        cache.read(index, [0], SIZE)
