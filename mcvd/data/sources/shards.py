"""`ShardedVideos`: a collection too large for memory or one disk, streamed from shards on a disk or in an object store.

The shards are LitData's: records of up to `RECORD_BYTES` of frames in chunks of about 64 MB, and one ``index.json``.
`mcvd.data.sources.shard_writer` makes them. Any window of frames is read at random access, with one range request in
a store, so training reads clips by number as from any other collection (`mcvd.data.batch_sampler`).
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mcvd.data.listed import ListedVideos, Listing
from mcvd.data.videos import check_request
from mcvd.runtime.error_text import one_line
from mcvd.runtime.timeout import TimeLimit
from mcvd.video.decoders.base import VideoError
from mcvd.video.transforms import scale_to_cover

INDEX, FRAMES, CHECKS = "index.json", "frames", "checks"
OURS = "mcvd"  # the key of our facts in LitData's index
RECORD_BYTES = 4 << 20
TIMEOUT_SECONDS = 60.0


class ShardedVideos(ListedVideos):
    """Videos in shards that `mcvd data pack` made, all of one size and rate.

    Every frame has a checksum, verified at each read; a damaged one is a `VideoError`, and training replaces the clip.
    Each process opens the shards for itself and caches nothing.

    Args:
        root: the folder that holds ``index.json``, or its address in an object store, ``s3://bucket/folder``. Keys and
            endpoint of a store are those of its own tools (for S3 the variables AWS_ACCESS_KEY_ID,
            AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, or ~/.aws).
        timeout_seconds: time limit for reading a clip from a store.

    Raises (on first use):
        FileNotFoundError: if there is no ``index.json``.
        VideoError: if the shards are damaged, or not made by mcvd.
        ModuleNotFoundError: without the package litdata.
    """

    def __init__(self, root: str | Path, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        if not timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be more than 0, got {timeout_seconds}")
        self.root = str(root)
        self.timeout_seconds = timeout_seconds
        self._opened: tuple[int, Any] | None = None
        self._limit = TimeLimit()

    def _open(self) -> Any:
        """LitData's view of the shards, one per process: connections do not survive a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            litdata = import_litdata()
            if not _is_remote(self.root) and not (Path(self.root) / INDEX).is_file():
                raise FileNotFoundError(
                    f"no shards in {self.root}: make them with mcvd data pack, or name their place "
                    "(--data.train.init_args.root, --data.val.init_args.root)"
                )
            with _as_video_errors(self.root):
                shards = litdata.StreamingDataset(self.root, item_loader=litdata.TemporalArrayLoader())
                shards.frame_counts  # noqa: B018  reads the index
            self._opened = os.getpid(), shards
        return self._opened[1]

    @cached_property
    def _facts(self) -> SimpleNamespace:
        """The index, read on first use: a collection can be named in a configuration without its data."""
        shards = self._call(self._open)
        with _as_video_errors(self.root):
            # LitData caches the index of a store on the disk.
            index = json.loads((Path(shards.input_dir.path) / INDEX).read_text(encoding="utf-8"))
            facts = index["config"].get(OURS)
            if facts is None:
                raise ValueError("these shards were not made by mcvd data pack")
            lengths = np.array(facts["lengths"], np.int64)
            per_record, rate = int(facts["frames_per_record"]), float(facts["frame_rate_hz"])
            channels, height, width = (int(number) for number in facts["shape"])
            records = -(-lengths // per_record)
            sound = channels in (1, 3) and min(height, width, per_record, *lengths) > 0 and 0 < rate < math.inf
            if not sound or len(facts["names"]) != len(lengths):
                raise ValueError("impossible numbers")
            first = np.cumsum(records) - records
            # The last record of a video holds what is left, all before it are full.
            expected = np.full(int(records.sum()), per_record)
            expected[first + records - 1] = lengths - per_record * (records - 1)
            if not np.array_equal(expected, shards.frame_counts):
                raise ValueError("the shards do not hold the records that it lists")
        listing = Listing(facts["names"], lengths, rate, channels)
        return SimpleNamespace(listing=listing, first=first, per_record=per_record)

    @property
    def _listing(self) -> Listing:
        return self._facts.listing

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, uint8 (T, C, H, W): as stored if that just covers ``cover``, otherwise scaled."""
        check_request(index, frames, len(self), int(self._listing.lengths[index]))
        wanted = np.asarray(frames, np.int64)
        try:
            return scale_to_cover(torch.from_numpy(self._call(self._read, index, wanted)), cover)
        except TimeoutError as fault:
            self._opened = None  # its thread is stuck with it
            raise VideoError(f"{self.root}: reading {len(frames)} frames of {self.name(index)} {fault}") from None

    def _call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``work``, with a time limit if the shards are in a store; for a disk its thread would not pay."""
        if not _is_remote(self.root):
            return work(*arguments)
        return self._limit.call(work, *arguments, seconds=self.timeout_seconds)

    def _read(self, index: int, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
        facts, start, stop = self._facts, int(wanted.min()), int(wanted.max()) + 1
        windows, frame = [], start
        while frame < stop:
            record, offset = divmod(frame, facts.per_record)
            count = min(stop - frame, facts.per_record - offset)
            windows.append(self._window(index, int(facts.first[index]) + record, offset, count))
            frame += count
        window = windows[0] if len(windows) == 1 else np.concatenate(windows)
        if np.array_equal(wanted, np.arange(start, stop)):
            return window
        return window[wanted - start]

    def _window(self, index: int, record: int, start: int, count: int) -> NDArray[np.uint8]:
        with _as_video_errors(self.root, f" ({self.name(index)})"):
            read = self._open().read_window(record, start, count, [FRAMES, CHECKS])
            frames = read[FRAMES]
            if [zlib.crc32(frame) for frame in frames] != read[CHECKS].tolist():
                raise ValueError("a shard is damaged, its frames have wrong checksums")
        return frames

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}


def _is_remote(root: str) -> bool:
    return "://" in root


@contextmanager
def _as_video_errors(root: str, about: str = "") -> Iterator[None]:
    """Turn the many kinds of exceptions of LitData and of the stores' clients into a `VideoError` of one line."""
    try:
        yield
    except (VideoError, ModuleNotFoundError):
        raise
    except Exception as error:  # the clients have no common base below it
        fault = one_line(error)[:200] or type(error).__name__
        raise VideoError(f"{root}{about}: cannot be read ({fault})") from None


@lru_cache(maxsize=1)
def import_litdata() -> ModuleType:
    """The package `litdata`, with a downloader for S3 that works in forked workers and for endpoints without TLS."""
    try:
        import litdata
        from litdata.streaming.downloader import S3Downloader, register_downloader
    except ModuleNotFoundError:
        raise ModuleNotFoundError("shards need the package litdata: python -m pip install 'mcvd[shards]'") from None

    class BotoDownloader(S3Downloader):
        """Reads ranges with boto3; LitData's other client does not survive a fork and refuses http:// endpoints."""

        async def adownload_bytes(self, remote_filepath: str, offset: int, length: int, local_chunkpath: str) -> bytes:
            import asyncio

            return await asyncio.to_thread(self.download_bytes, remote_filepath, offset, length, local_chunkpath)

    register_downloader("s3://", BotoDownloader, overwrite=True)
    return litdata
