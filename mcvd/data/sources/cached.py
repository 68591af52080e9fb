"""`CachedVideos`: videos decoded once into raw pixels on disk, which are mapped into memory.

One ``.npy`` file per video, uint8 (T, C, H, W), named by the digest of the video's file and of what was done to its
frames. The operating system's page cache shares it between workers and processes.
"""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mcvd.data.sources.folder import VideoFolder
from mcvd.data.videos import VideosWrapper
from mcvd.runtime.atomic import atomic_write, remove_stale_parts
from mcvd.runtime.digests import Digests, json_digest
from mcvd.runtime.lock import file_lock
from mcvd.runtime.progress import map_in_threads
from mcvd.runtime.timeout import TimeLimit
from mcvd.video.decoders.base import VideoError
from mcvd.video.decoders.frame_folder import reading_facts
from mcvd.video.open import engine_version
from mcvd.video.transforms import fit_frames, take_frames, to_channels

FORMAT = 3
_FRAMES_AT_ONCE = 32  # bounds the memory for a long video
_MAX_MAPS = 4096  # the kernel allows a process 65,530


class CachedVideos(VideosWrapper):
    """A folder of videos whose frames are decoded once and then read from memory-mapped files.

    `prepare` decodes what is missing, one thread per core; several processes at once divide the work. Frames equal
    those of the folder bit for bit. A video that cannot be cached (damaged, no space left) is read from its own file,
    and one warning gives the reason.

    Args:
        videos: the folder of videos.
        folder: of the cache; made if missing, may be shared by data sets and by processes.
        size: (height, width) that clips are cropped to; for another size the video files are read.
        crop: "centre" stores only the window of ``size``; "random" the full frame that covers it.
        channels: 3 for colour, 1 for grey.
        max_bytes: size limit of the folder. Entries that this data set does not use are deleted first, the least
            recently used before others; videos that still do not fit are read from their own files. None: no limit.

    Examples:
        >>> videos = CachedVideos(VideoFolder("videos"), "cache", size=(64, 64))  # doctest: +SKIP
        >>> videos.prepare()  # doctest: +SKIP
        >>> videos.read(0, range(7), cover=(64, 64)).shape  # doctest: +SKIP
        torch.Size([7, 3, 64, 64])
    """

    def __init__(
        self,
        videos: VideoFolder,
        folder: str | Path,
        size: tuple[int, int],
        crop: Literal["centre", "random"] = "centre",
        channels: int = 3,
        max_bytes: int | None = None,
    ) -> None:
        if max_bytes is not None and max_bytes < 1:
            raise ValueError(f"max_bytes must be 1 or more, or None for no limit, got {max_bytes}")
        super().__init__(videos)
        self.videos: VideoFolder = videos
        self.folder = Path(folder)
        self.size: tuple[int, int] = (size[0], size[1])
        self.crop = crop
        self.max_bytes = max_bytes
        self._channels = channels
        self._entries: list[Path | None] = [None] * len(videos)
        self._maps: OrderedDict[int, Tensor] = OrderedDict()

    @property
    def channels(self) -> int:
        """Channels of every frame: 3 for colour, 1 for grey."""
        return self._channels

    @property
    def num_cached(self) -> int:
        """How many videos are read from the cache."""
        return sum(entry is not None for entry in self._entries)

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, uint8 (T, C, H, W), a copy."""
        if tuple(cover) != self.size:
            return to_channels(self.videos.read(index, frames, cover), self._channels)
        pixels = self._map(index)
        if pixels is None:
            return self._fit(self.videos.read(index, frames, self.size))
        return take_frames(pixels, frames)

    def _fit(self, video: Tensor) -> Tensor:
        """What is stored of frames that cover ``size``."""
        return fit_frames(video, self.size if self.crop == "centre" else None, self._channels)

    def _map(self, index: int) -> Tensor | None:
        """All frames of a video, mapped; None where they are not cached."""
        pixels, entry = self._maps.get(index), self._entries[index]
        if pixels is None and entry is not None:
            pixels = _open(entry, len(self.times_seconds(index)))
            if pixels is None:
                warnings.warn(f"{self._entries[index]} vanished: {self.name(index)} is decoded again", stacklevel=2)
                self._entries[index] = None
                return None
            self._maps[index] = pixels
            if len(self._maps) > _MAX_MAPS:
                self._maps.popitem(last=False)
        return pixels

    def __getstate__(self) -> dict[str, Any]:
        # A map belongs to a process; pickling it would send all its pixels to a spawned worker.
        return self.__dict__ | {"_maps": OrderedDict()}

    def prepare(self) -> None:
        """Decode what is missing in the cache; it may be ended at any moment, and what is finished stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_stale_parts(self.folder)
        with Digests(self.folder / "digests.json") as digests:
            entries = map_in_threads(
                lambda index: self._entry(digests, index), range(len(self)), "Looking into the cache"
            )
        wanted = {entry.name for entry in entries if entry is not None}
        space = _Space(self.folder, wanted, self.max_bytes)
        faults: dict[str, list[int]] = {}

        def cache(index: int, wait: bool) -> bool:
            """Whether the video is settled: cached, or impossible to cache."""
            entry = entries[index]
            if entry is None:
                return True  # the file has vanished; reading it will say so
            try:
                settled = self._build(index, entry, space, wait)
            except (_CacheFullError, VideoError) as fault:
                faults.setdefault(str(fault), []).append(index)
            except OSError as fault:
                faults.setdefault(fault.strerror or str(fault), []).append(index)
            else:
                if settled:
                    self._entries[index] = entry
                return settled
            return True

        settled = map_in_threads(
            lambda index: cache(index, wait=False), range(len(self)), f"Caching frames in {self.folder}"
        )
        # Entries that another process was building: wait for them, and build them if that process was ended.
        for index in (index for index, done in enumerate(settled) if not done):
            cache(index, wait=True)
        for fault, indices in faults.items():
            names = ", ".join(self.name(index) for index in indices[:3]) + (", ..." if len(indices) > 3 else "")
            warnings.warn(f"{len(indices)} of {len(self)} videos are not cached ({fault}): {names}", stacklevel=2)

    def _entry(self, digests: Digests, index: int) -> Path | None:
        path = self.videos.paths[index]
        try:
            content = digests.of(path.parent if "*" in path.name else path)  # one of several sequences of a folder
        except OSError:
            return None
        key = [FORMAT, content, *self.size, self.crop, self._channels, engine_version(self.videos.engine)]
        return self.folder / f"{json_digest(key + reading_facts(path))}.npy"

    def _build(self, index: int, entry: Path, space: _Space, wait: bool) -> bool:
        """Make sure of an entry; False if another process is building it and this one does not ``wait``."""
        num_frames = len(self.times_seconds(index))
        lock = entry.with_suffix(".lock")
        if _open(entry, num_frames) is None or lock.exists():  # a builder that was killed leaves its lock
            with file_lock(lock, wait) as locked:
                if not locked:
                    return False
                if _open(entry, num_frames) is None:  # nobody built it while this process waited
                    self._write(index, entry, space)
        os.utime(entry)  # most recently used: deleted last
        return True

    def _write(self, index: int, entry: Path, space: _Space) -> None:
        path, num_frames = self.videos.paths[index], len(self.times_seconds(index))
        limit, seconds = TimeLimit(), self.videos.timeout_seconds
        reader = limit.call(self.videos.open, path, seconds=seconds)
        try:
            with atomic_write(entry, sweep=False) as part, part.open("wb") as file:
                for start in range(0, num_frames, _FRAMES_AT_ONCE):
                    frames = range(num_frames)[start : start + _FRAMES_AT_ONCE]
                    video = self._fit(limit.call(reader.read, frames, self.size, seconds=seconds))
                    if start == 0:
                        shape = (num_frames, *video.shape[1:])
                        space.reserve(int(np.prod(shape)))
                        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                        np.lib.format.write_array_header_1_0(file, header)
                    # Written, not mapped: on a full disk a write is an error, a touched map ends the process.
                    file.write(video.contiguous().numpy().data)
        except TimeoutError:
            reader = None  # still stuck in its thread; closing it would be stuck too
            raise
        finally:
            if reader is not None:
                reader.close()


class _CacheFullError(Exception):
    """The folder has reached its limit."""


class _Space:
    """The space that is left in the cache; entries of other data sets are deleted for it."""

    def __init__(self, folder: Path, wanted: set[str], max_bytes: int | None) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self._lock = Lock()
        stats = {path: path.stat() for path in folder.glob("*.npy")}
        self.used = sum(stat.st_size for stat in stats.values())
        latest_first = sorted(stats, key=lambda path: stats[path].st_mtime, reverse=True)
        self.others = {path: stats[path].st_size for path in latest_first if path.name not in wanted}

    def reserve(self, num_bytes: int) -> None:
        """Reserve bytes. Raises `_CacheFullError` if they are not to be had."""
        if self.max_bytes is None:
            return
        with self._lock:
            if self.used - sum(self.others.values()) + num_bytes > self.max_bytes:
                raise _CacheFullError(f"{self.folder} may hold {self.max_bytes:,} bytes")
            while self.used + num_bytes > self.max_bytes:
                path, size = self.others.popitem()
                path.unlink(missing_ok=True)  # a process that maps it still reads it
                self.used -= size
            self.used += num_bytes


def _open(entry: Path, num_frames: int) -> Tensor | None:
    """An entry's frames, mapped copy-on-write; None if it is missing or incomplete."""
    try:
        pixels = np.load(entry, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return torch.from_numpy(pixels) if pixels.dtype == np.uint8 and len(pixels) == num_frames else None
