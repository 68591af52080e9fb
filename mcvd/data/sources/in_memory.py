"""A collection of videos held in memory: drawn or decoded once, then read by every worker without copying it."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from mcvd.data.loader import ForkSafeLoader
from mcvd.data.videos import AbstractVideos, VideosWrapper
from mcvd.video.transforms import take_frames

_AT_ONCE = 256  # frames: decoding a long video as a whole would take its source's frames into memory


class InMemoryVideos(VideosWrapper):
    """A collection whose frames are read once, at one size, and kept in memory.

    For small frames of a collection that is slow to read: invented scenes that are drawn on demand, a few hours of
    video files. An hour of 64x64 at 10 Hz takes 0.44 GB. Forked workers share it; for more than memory holds see
    `mcvd.data.CachedVideos` and `mcvd.data.ShardedVideos`.

    Args:
        videos: where frames come from.
        size: (height, width) that the frames cover, or one number for both; for another size the videos are read.

    Example:
        >>> from mcvd.data.synthetic.driving.scenes import DrivingScenes
        >>> streets = Held(DrivingScenes(num_videos=2, num_frames=5), size=16)
        >>> streets.prepare()
        >>> streets.read(1, [0, 4], cover=(16, 16)).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, videos: AbstractVideos, size: tuple[int, int] | int = 64) -> None:
        super().__init__(videos)
        self.size: tuple[int, int] = (size, size) if isinstance(size, int) else (size[0], size[1])
        self._frames: list[Tensor] | None = None

    def prepare(self) -> None:
        """Read all frames, with one process a core; a second call does nothing."""
        if self._frames is None:
            self.videos.prepare()
            cores = os.cpu_count() or 1
            whole = ForkSafeLoader(
                _Whole(self.videos, self.size), batch_size=None, num_workers=cores if cores > 1 else 0
            )
            # A worker's tensor lies in a file in shared memory, of which a process may have only so many.
            self._frames = [video.clone() for video in tqdm(whole, "Reading into memory", disable=None)]

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, a copy; see `AbstractVideos.read`."""
        if self._frames is None or tuple(cover) != self.size:
            return self.videos.read(index, frames, cover)
        return take_frames(self._frames[index], frames)


class _Whole(Dataset):
    """All frames of each video."""

    def __init__(self, videos: AbstractVideos, size: tuple[int, int]) -> None:
        self.videos, self.size = videos, size

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> Tensor:
        count = len(self.videos.times_seconds(index))
        parts = [range(start, min(start + _AT_ONCE, count)) for start in range(0, count, _AT_ONCE)]
        return torch.cat([self.videos.read(index, part, self.size) for part in parts])
