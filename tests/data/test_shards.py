"""Shards: the same clips as from the files, from a disk and from a store; each once, and the next one after a stop."""

import json
import os
import pickle
import resource
import shutil
import signal
import time
from types import SimpleNamespace

import pytest
import torch
from reference.file_server import served
from reference.grey_videos import write_video
from reference.numbered_videos import NumberedVideos, frame_numbers
from reference.recorder import every_step, fit, flat

from mcvd.apps.cli.main import main
from mcvd.data.datamodule import VideoData
from mcvd.data.sources import shard_writer
from mcvd.data.sources.shard_writer import ShardSpec, check_shards, write_shards
from mcvd.data.sources.shards import ShardedVideos
from mcvd.video.decoders.base import VideoError

pytest.importorskip("litdata")

SIZE = (4, 6)
SPEC = ShardSpec(SIZE, 3, 10.0, by_time=False)
LENGTHS = [24, 10, 31]


@pytest.fixture
def small_parts(monkeypatch):
    """Records of seven frames, each video a part of its own."""
    monkeypatch.setattr(shard_writer, "RECORD_BYTES", 7 * SPEC.frame_bytes)
    monkeypatch.setattr(shard_writer, "PART_BYTES", 1)


@pytest.fixture
def root(tmp_path, small_parts):
    write_shards(NumberedVideos(LENGTHS), tmp_path / "bucket/é shards", SPEC, num_workers=0)
    return tmp_path / "bucket/é shards"


def loaded(videos, num_workers=0, val=None, **options):
    options = {"num_frames": 3, "size": SIZE, "batch_size": 2, "num_workers": num_workers} | options
    return VideoData(train=videos, val=val or NumberedVideos([12]), **options)


def one_line(fault):
    return "\n" not in str(fault.value)


@pytest.mark.parametrize("frames", [range(31), range(5, 17), [6], [7], [30, 2, 2, 9], range(1, 30, 3)])
def test_frames_are_those_packed_across_the_borders_of_records(root, frames):
    shards = ShardedVideos(str(root))
    assert (len(shards), shards.channels, shards.name(2)) == (3, 3, "video 2")
    assert [len(shards.times_seconds(index)) for index in range(3)] == LENGTHS
    assert torch.equal(shards.read(2, frames, SIZE), NumberedVideos(LENGTHS).read(2, list(frames), SIZE))


def test_training_and_validation_clips_of_packed_files_are_those_of_the_files(tmp_path, capsys):
    for number in range(11):
        write_video(tmp_path / f"videos/{number} é.mp4", 12 + number)
    words = ["data", "pack", str(tmp_path / "videos"), "--out", str(tmp_path / "out"), "--size", "16x24"]
    assert main([*words, "--num-workers", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"out": str(tmp_path / "out"), "num_videos": {"train": 10, "val": 1}, "is_new": True}
    plain = VideoData(str(tmp_path / "videos"), num_frames=4, size=(16, 24))
    folders = {side: ShardedVideos(str(tmp_path / "out" / side)) for side in ("train", "val")}
    packed = VideoData(**folders, num_frames=4, size=(16, 24))
    for data in (plain, packed):
        data.setup("fit")
    assert packed.frame_rate_hz == plain.frame_rate_hz == 10
    for part in ("train_clips", "val_clips"):
        ours, files = getattr(packed, part), getattr(plain, part)
        assert len(ours) == len(files)
        assert all(torch.equal(ours[sample]["video"], files[sample]["video"]) for sample in range(len(files)))
    assert main(["data", "check", str(tmp_path / "out/data.yaml"), "--size", "16x24"]) == 0


def test_a_second_run_does_nothing_and_another_request_is_refused(root):
    before = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    assert not write_shards(NumberedVideos(LENGTHS), root, SPEC)
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*")} == before
    for videos, spec in (
        (NumberedVideos([24, 10, 30]), SPEC),
        (NumberedVideos(LENGTHS), ShardSpec(SIZE, 1, 10, False)),
    ):
        with pytest.raises(ValueError, match="name a new folder"):
            write_shards(videos, root, spec)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resumed_training_continues_with_the_next_clip(root, tmp_path, num_workers):
    whole = fit(tmp_path, loaded(ShardedVideos(str(root)), num_workers), 2, [every_step(tmp_path)]).seen
    assert flat(whole) == list(range(2 * len(whole)))
    resumed = fit(tmp_path, loaded(ShardedVideos(str(root)), num_workers), 2, ckpt_path=tmp_path / "step-3.ckpt").seen
    assert resumed == whole[3:]


def test_two_processes_with_two_workers_each_see_every_clip_once(root):
    shards = ShardedVideos(str(root))
    data = loaded(pickle.loads(pickle.dumps(shards)))
    data.setup("fit")
    expected = [data.train_clips[sample]["video"] for sample in range(len(data.train_clips))]
    data.num_workers = 2
    seen = {}
    for rank in range(2):
        data.trainer = SimpleNamespace(global_rank=rank, world_size=2, fit_loop=_at_the_start())
        for batch in data.train_dataloader():
            for number, video in zip(batch["index"].tolist(), batch["video"], strict=True):
                assert number not in seen
                seen[number] = video
    assert sorted(seen) == list(range(len(expected) // 4 * 4))
    assert all(torch.equal(video, expected[number]) for number, video in seen.items())


def _at_the_start():
    progress = SimpleNamespace(total=SimpleNamespace(processed=0))
    return SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress))


@pytest.fixture
def store(root, tmp_path, monkeypatch):
    """The shards in an object store."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root.rename(root.parent / "clips")
    with served(tmp_path) as (address, asked):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        yield SimpleNamespace(root="s3://bucket/clips", folder=root.parent / "clips", asked=asked)


def test_a_store_is_asked_for_the_frames_of_the_clip_and_no_more(store):
    shards, plain = ShardedVideos(store.root), NumberedVideos(LENGTHS)
    assert torch.equal(shards.read(2, range(15, 20), SIZE), plain.read(2, range(15, 20), SIZE))
    ranges = [asked for asked in store.asked if asked[1].endswith(".bin")]
    assert len(ranges) == 1 and ranges[0][0] == "GET"
    first, last = map(int, ranges[0][2].removeprefix("bytes=").split("-"))
    assert last - first + 1 == 5 * (SPEC.frame_bytes + 4)
    # Workers that were forked after the process itself has read open the store for themselves.
    data = loaded(shards, num_workers=1)
    data.setup("fit")
    expected = torch.stack([data.train_clips[sample]["video"] for sample in range(2)])
    assert torch.equal(next(iter(data.train_dataloader()))["video"], expected)


def test_what_is_wrong_with_a_store_is_told_in_one_line(store):
    shards = ShardedVideos(store.root)
    assert len(shards) == 3
    (chunk,) = (store.folder / "00000002").glob("*.bin")
    chunk.unlink()
    with pytest.raises(VideoError, match=r"s3://bucket/clips \(video 2\): cannot be read \(.*404") as fault:
        shards.read(2, [0], SIZE)
    assert one_line(fault)
    with pytest.raises(VideoError, match=r"s3://bucket/nothing: cannot be read") as fault:
        len(ShardedVideos("s3://bucket/nothing"))
    assert one_line(fault)


def test_a_store_that_does_not_answer_is_given_up(store, monkeypatch):
    shards = ShardedVideos(store.root)
    assert len(shards) == 3
    shards.timeout_seconds = 0.3
    monkeypatch.setattr(shards, "_read", lambda *_: time.sleep(1))
    with pytest.raises(VideoError, match=r"reading 1 frames of video 0 took longer than 0.3 s"):
        shards.read(0, [0], SIZE)


def test_a_damaged_shard_is_named_and_its_clips_are_replaced(root):
    (chunk,) = root.glob("00000001/*.bin")
    content = bytearray(chunk.read_bytes())
    content[-20] ^= 1
    chunk.write_bytes(content)
    shards = ShardedVideos(str(root))
    assert frame_numbers(shards.read(1, [0, 3], SIZE)) == [0, 3]
    with pytest.raises(VideoError, match=r"video 1.*wrong checksums") as fault:
        shards.read(1, [9], SIZE)
    assert one_line(fault)
    chunk.write_bytes(content[:100])
    with pytest.raises(VideoError, match=r"chunk-0-0.bin: damaged \(100 bytes, \d+ expected\)"):
        check_shards(root)
    data = loaded(ShardedVideos(str(root)))
    data.setup("fit")
    with pytest.warns(UserWarning, match=r"video 1\): cannot be read .*; clips of this video are replaced") as caught:
        clips = [data.train_clips[sample]["video"] for sample in range(len(data.train_clips))]
    assert len(caught) == 1 and all(clip[0, 0, 0, 0] != 1 for clip in clips)


class Killer(NumberedVideos):
    """Ends its process in the middle of the third video."""

    def read(self, index, frames, cover):
        if index == 2 and frames[0] > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index, frames, cover)


def test_packing_killed_in_the_middle_goes_on_and_gives_the_same(root, tmp_path):
    child = os.fork()
    if child == 0:
        write_shards(Killer(LENGTHS), tmp_path / "out", SPEC, num_workers=0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == ["00000000", "00000001"]
    done = (tmp_path / "out/00000001").stat().st_ino
    assert write_shards(NumberedVideos(LENGTHS), tmp_path / "out", SPEC, num_workers=0)
    assert (tmp_path / "out/00000001").stat().st_ino == done
    assert not list((tmp_path / "out").glob(".*"))
    for file in root.rglob("*.bin"):
        assert (tmp_path / "out" / file.relative_to(root)).read_bytes() == file.read_bytes()


def test_a_full_disk_is_told_and_what_is_whole_stays(tmp_path, small_parts, monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2200, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_shards(NumberedVideos(LENGTHS), tmp_path / "out", SPEC, num_workers=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["00000000", "00000001"]
    assert write_shards(NumberedVideos(LENGTHS), tmp_path / "out", SPEC, num_workers=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match=r"are needed, the disk has 0.000954 MiB free"):
        write_shards(NumberedVideos(LENGTHS), tmp_path / "other", SPEC)
    assert not (tmp_path / "other").exists()


def test_a_video_that_cannot_be_read_is_left_out_and_named(tmp_path, small_parts):
    with pytest.warns(UserWarning, match=r"video 1: left out \(video 1: damaged\)"):
        write_shards(NumberedVideos(LENGTHS, broken=[1]), tmp_path / "out", SPEC, num_workers=0)
    shards = ShardedVideos(str(tmp_path / "out"))
    assert [shards.name(index) for index in range(len(shards))] == ["video 0", "video 2"]
    assert frame_numbers(shards.read(1, [30], SIZE)) == [30]


def test_what_is_not_there_or_not_ours_is_told_on_first_use(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="make them with mcvd data pack"):
        len(ShardedVideos(str(tmp_path / "nowhere")))
    index = json.loads((root / "index.json").read_text())
    del index["config"]["mcvd"]
    (root / "index.json").write_text(json.dumps(index))
    with pytest.raises(VideoError, match="not made by mcvd data pack"):
        len(ShardedVideos(str(root)))
