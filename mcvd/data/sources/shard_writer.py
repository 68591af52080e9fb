"""``mcvd data pack``: writes a collection of videos into the shards that `mcvd.data.ShardedVideos` streams."""

from __future__ import annotations

import json
import os
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from mcvd.data.loader import ForkSafeLoader
from mcvd.data.sources.shards import CHECKS, FRAMES, INDEX, OURS, RECORD_BYTES, ShardedVideos, import_litdata
from mcvd.data.video_clips import VideoClips
from mcvd.data.videos import AbstractVideos
from mcvd.runtime.atomic import atomic_write, remove_stale_parts, write_json
from mcvd.runtime.digests import json_digest
from mcvd.runtime.disk import check_free_space
from mcvd.video.decoders.base import VideoError
from mcvd.video.timing import FrameTimes, frames_at_rate
from mcvd.video.transforms import fit_frames

PART_BYTES = 1 << 30  # the work that an interruption loses
CHUNK_BYTES = "64MB"
PART = "part.json"


@dataclass(frozen=True)
class ShardSpec:
    """What is stored of each video.

    Args:
        size: (height, width) of every frame, cut from the centre of one that just covers it.
        channels: 3 for colour, 1 for grey.
        frame_rate_hz: of the frames that are stored.
        by_time: read the videos by time at that rate; otherwise every frame is stored as it comes.
    """

    size: tuple[int, int]
    channels: int
    frame_rate_hz: float
    by_time: bool

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return self.channels * self.size[0] * self.size[1]

    @property
    def frames_per_record(self) -> int:
        """Frames of a full record."""
        return max(1, RECORD_BYTES // self.frame_bytes)

    def frames(self, times: FrameTimes) -> NDArray[np.int64]:
        """Numbers of the frames of a video that are stored."""
        if self.by_time:
            return frames_at_rate(times, self.frame_rate_hz)
        return np.arange(len(times))


def write_shards(videos: AbstractVideos, out: str | Path, spec: ShardSpec, num_workers: int | None = None) -> bool:
    """Pack all videos into ``out``; after an interruption a second run resumes, and a complete result is left as it is.

    Videos are decoded by worker processes and written in order, in parts of about a gigabyte, each atomically. A video
    that cannot be read to its end is cut there, or left out, with a warning that names it.

    Args:
        videos: what to pack.
        out: the new folder.
        spec: what to store.
        num_workers: processes that decode; None: one per core.

    Returns:
        Whether there was anything to do.

    Raises:
        OSError: if the disk has too little space, before anything is written where that can be foreseen.
        ValueError: if ``out`` holds shards of other videos or another spec, or no video can be read.
    """
    out = Path(out)
    remove_stale_parts(out)
    counts = np.array([len(spec.frames(videos.frame_times(index))) for index in range(len(videos))], np.int64)
    parts = list(_parts(videos, counts, spec))
    if (out / INDEX).exists():
        index = json.loads((out / INDEX).read_text(encoding="utf-8"))
        if index["config"].get(OURS, {}).get("plans") != [part.plan for part in parts]:
            raise ValueError(f"{out} holds other videos, or frames of another size or rate; name a new folder")
        check_shards(out)
        return False
    missing = [part for part in parts if not part.is_done(out)]
    check_free_space(out, sum(int(counts[part.videos].sum()) for part in missing) * (spec.frame_bytes + 8))
    out.mkdir(parents=True, exist_ok=True)
    records = _Records(videos, counts, spec, [index for part in missing for index in part.videos])
    workers = os.cpu_count() if num_workers is None else num_workers
    loader = ForkSafeLoader(records, batch_size=None, num_workers=workers or 0)
    decoded = iter(tqdm(loader, f"Packing {out}", len(records), disable=None))
    for part in missing:
        _write_part(out / part.name, part, videos, counts, spec, decoded)
    _write_index(out, parts, spec)
    check_shards(out)
    return True


def pack_data(data: VideoClips, out: str | Path, num_workers: int | None = None) -> tuple[dict[str, int], bool]:
    """Pack the training and the validation videos of ``data`` into ``out/train`` and ``out/val``.

    ``out/data.yaml`` then trains on them: ``mcvd fit --config out/data.yaml``.

    Returns:
        How many videos are in each of the two, and whether anything was written: not, where all of it was there.
    """
    data.setup()
    out, spec = Path(out), data.spec
    rate = spec.frame_rate_hz or data.frame_rate_hz
    if rate is None:
        raise ValueError("the videos tell no frame rate, which shards must hold: name it with --rate HZ")
    shards = ShardSpec(spec.size, spec.channels, rate, by_time=spec.frame_rate_hz is not None)
    sides = {"train": data.train_clips.videos, "val": data.val_clips.videos}
    done = [write_shards(videos, out / side, shards, num_workers) for side, videos in sides.items()]
    name = f"mcvd.data.{ShardedVideos.__name__}"
    recipe = {side: {"class_path": name, "init_args": {"root": str(out / side)}} for side in sides}
    remove_stale_parts(out)
    if any(done) or not (out / "data.yaml").exists():
        with atomic_write(out / "data.yaml") as beside:
            beside.write_text(yaml.safe_dump({"data": recipe | {"channels": spec.channels}}, sort_keys=False))
    return {side: len(ShardedVideos(str(out / side))) for side in sides}, any(done)


def check_shards(root: str | Path) -> dict[str, Any]:
    """The index of shards on a disk, after checking the size of every file against it.

    Raises:
        VideoError: if a file is damaged; says what to do.
    """
    root = Path(root)
    index = json.loads((root / INDEX).read_text(encoding="utf-8"))
    for chunk in index["chunks"]:
        file = root / chunk["filename"]
        found = file.stat().st_size if file.exists() else 0
        if found != chunk["chunk_bytes"]:
            raise VideoError(
                f"{file}: damaged ({found} bytes, {chunk['chunk_bytes']} expected); "
                f"delete its folder and {root / INDEX} and pack again"
            )
    return index


@dataclass(frozen=True)
class _Part:
    """Videos that are packed together.

    Args:
        name: its folder.
        videos: their numbers.
        plan: a digest of the videos and the spec.
    """

    name: str
    videos: range
    plan: str

    def is_done(self, out: Path) -> bool:
        """Whether it is there, made by the same plan."""
        record = out / self.name / PART
        if not record.exists():
            return False
        if json.loads(record.read_text(encoding="utf-8"))["plan"] != self.plan:
            raise ValueError(f"{out / self.name} holds other videos, or of another size or rate; name a new folder")
        return True


def _parts(videos: AbstractVideos, counts: NDArray[np.int64], spec: ShardSpec) -> Iterator[_Part]:
    start, num_bytes = 0, 0
    for stop in range(1, len(counts) + 1):
        num_bytes += int(counts[stop - 1]) * spec.frame_bytes
        if num_bytes < PART_BYTES and stop < len(counts):
            continue
        chosen = range(start, stop)
        content = [repr(spec), [[videos.name(index), int(counts[index])] for index in chosen]]
        plan = json_digest(content)
        yield _Part(f"{start:08}", chosen, plan)
        start, num_bytes = stop, 0


class _Records(Dataset):
    """The records of some videos in order: frames, uint8 (T, C, H, W), or why they cannot be read."""

    def __init__(self, videos: AbstractVideos, counts: NDArray[np.int64], spec: ShardSpec, chosen: list[int]) -> None:
        self.videos, self.spec = videos, spec
        num_records = -(-counts[chosen] // spec.frames_per_record)
        self.video = np.repeat(np.array(chosen, np.int64), num_records)
        self.number = np.arange(len(self.video)) - np.repeat(np.cumsum(num_records) - num_records, num_records)

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, record: int) -> Tensor | str:
        index, first = int(self.video[record]), int(self.number[record]) * self.spec.frames_per_record
        frames = self.spec.frames(self.videos.frame_times(index))[first : first + self.spec.frames_per_record]
        try:
            video = self.videos.read(index, frames.tolist(), self.spec.size)
        except (VideoError, OSError) as fault:
            return str(fault)
        if video.is_floating_point():
            raise ValueError(
                f"shards hold pixels of 8 bits, {self.videos.name(index)} has {video.dtype}: train on it unpacked"
            )
        return fit_frames(video, self.spec.size, self.spec.channels)


def _write_part(
    folder: Path,
    part: _Part,
    videos: AbstractVideos,
    counts: NDArray[np.int64],
    spec: ShardSpec,
    decoded: Iterator[Tensor | str],
) -> None:
    from litdata.streaming.writer import BinaryWriter

    litdata = import_litdata()
    names, lengths, number = [], [], 0
    with atomic_write(folder) as beside:
        beside.mkdir()
        writer = BinaryWriter(
            str(beside), chunk_bytes=CHUNK_BYTES, item_loader=litdata.TemporalArrayLoader([[FRAMES, CHECKS]])
        )
        for index in part.videos:
            length, fault = 0, ""
            for _ in range(-(-int(counts[index]) // spec.frames_per_record)):
                frames = next(decoded)
                if fault or isinstance(frames, str):
                    fault = fault or str(frames)
                    continue
                pixels = frames.numpy()
                writer[number] = {FRAMES: pixels, CHECKS: np.array([zlib.crc32(frame) for frame in pixels], np.uint32)}
                number, length = number + 1, length + len(pixels)
            if fault:
                outcome = f"its first {length} frames are packed" if length else "left out"
                warnings.warn(f"{videos.name(index)}: {outcome} ({fault})", stacklevel=3)
            if length:
                names.append(videos.name(index))
                lengths.append(length)
        if number:
            writer.done()
            writer.merge()
        record = {"plan": part.plan, "names": names, "lengths": lengths}
        (beside / PART).write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_index(out: Path, parts: list[_Part], spec: ShardSpec) -> None:
    """One index of all parts, in LitData's form: it reads them as one data set."""
    names: list[str] = []
    lengths: list[int] = []
    index: dict[str, Any] = {"chunks": []}
    for part in parts:
        record = json.loads((out / part.name / PART).read_text(encoding="utf-8"))
        names += record["names"]
        lengths += record["lengths"]
        if record["names"]:
            found = json.loads((out / part.name / INDEX).read_text(encoding="utf-8"))
            index["config"] = found["config"]
            index["updated_at"] = found["updated_at"]
            index["chunks"] += [chunk | {"filename": f"{part.name}/{chunk['filename']}"} for chunk in found["chunks"]]
    if not names:
        raise ValueError(f"{out}: no video could be packed")
    index["config"][OURS] = {
        "names": names,
        "lengths": lengths,
        "shape": [spec.channels, *spec.size],
        "frame_rate_hz": spec.frame_rate_hz,
        "frames_per_record": spec.frames_per_record,
        "plans": [part.plan for part in parts],
    }
    write_json(out / INDEX, index, indent=None)
