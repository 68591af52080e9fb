"""`InMemoryVideos`: a collection that is drawn or decoded once, then read from memory that workers share."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from mcvd.data.loader import ForkSafeLoader
from mcvd.data.videos import AbstractVideos, VideosWrapper
from mcvd.runtime.arrays import height_and_width
from mcvd.video.transforms import take_frames

_FRAMES_AT_ONCE = 256  # bounds the memory for a long video's frames at their own size


class InMemoryVideos(VideosWrapper):
    """A collection whose frames are read once, at one size, into memory.

    For small frames of a collection that is slow to read: invented scenes that are drawn on demand, a few hours of
    video files. An hour of 64x64 at 10 Hz takes 0.44 GB, which forked workers share. For more than fits into memory see
    `mcvd.data.CachedVideos` and `mcvd.data.ShardedVideos`.

    Args:
        videos: the wrapped collection.
        size: (height, width) that the frames cover, or one number for both; frames of another size are read anew.

    Examples:
        >>> from mcvd.data import DrivingScenes
        >>> streets = InMemoryVideos(DrivingScenes(num_videos=2, num_frames=5), size=16)
        >>> streets.prepare()
        >>> streets.read(1, [0, 4], cover=(16, 16)).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, videos: AbstractVideos, size: tuple[int, int] | int = 64) -> None:
        super().__init__(videos)
        self.size = height_and_width(size)
        self._frames: list[Tensor] | None = None

    def prepare(self) -> None:
        """Read all frames, one process per core; a second call does nothing."""
        if self._frames is None:
            self.videos.prepare()
            cores = os.cpu_count() or 1
            full_videos = ForkSafeLoader(
                _FullVideos(self.videos, self.size), batch_size=None, num_workers=cores if cores > 1 else 0
            )
            # A worker's tensor lies in a file in shared memory, of which a process may have only so many.
            self._frames = [video.clone() for video in tqdm(full_videos, "Reading into memory", disable=None)]

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, uint8 (T, C, H, W), a copy."""
        if self._frames is None or tuple(cover) != self.size:
            return self.videos.read(index, frames, cover)
        return take_frames(self._frames[index], frames)


class _FullVideos(Dataset):
    """All frames of each video."""

    def __init__(self, videos: AbstractVideos, size: tuple[int, int]) -> None:
        self.videos, self.size = videos, size

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> Tensor:
        count = len(self.videos.times_seconds(index))
        chunks = [range(count)[start : start + _FRAMES_AT_ONCE] for start in range(0, count, _FRAMES_AT_ONCE)]
        return torch.cat([self.videos.read(index, chunk, self.size) for chunk in chunks])
