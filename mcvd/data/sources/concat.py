"""`ConcatVideos`: several collections of videos as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from torch import Tensor

from mcvd.data.videos import AbstractVideos, check_request
from mcvd.video.timing import FrameTimes


class ConcatVideos(AbstractVideos):
    """Collections one after another, to train on all of them at once.

    Every clip of every video is equally likely: the share of a collection is its number of clips times its repeats.

    Args:
        collections: one or more, with the same number of channels.
        repeats: how many times each collection counts, so that a small one has weight beside a large one. Training
            starts each copy of a clip at another frame, so they are not the same clip twice.

    Examples:
        >>> from mcvd.data import DrivingScenes
        >>> len(ConcatVideos([DrivingScenes(num_videos=2), DrivingScenes(num_videos=3, seed=1)], repeats=[10, 1]))
        23
    """

    def __init__(self, collections: list[AbstractVideos], repeats: list[int] | None = None):
        if not collections or len({videos.channels for videos in collections}) > 1:
            found = [videos.channels for videos in collections]
            raise ValueError(f"give one or more collections of equal channels, got channels {found}")
        if repeats is not None and (len(repeats) != len(collections) or min(repeats) < 1):
            raise ValueError(
                f"repeats must be one number of 1 or more for each of {len(collections)} collections, got {repeats}"
            )
        counts = repeats or [1] * len(collections)
        self.collections = [videos for videos, count in zip(collections, counts, strict=True) for _ in range(count)]
        self.ends = list(accumulate(len(videos) for videos in self.collections))

    @property
    def channels(self) -> int:
        """Channels of all collections."""
        return self.collections[0].channels

    def __len__(self) -> int:
        return self.ends[-1]

    def prepare(self) -> None:
        """Prepare each collection once."""
        for videos in dict.fromkeys(self.collections):
            videos.prepare()

    def times_seconds(self, index: int) -> np.ndarray:
        """Display times of the frames, float64 (num_frames,)."""
        videos, number = self._find(index)
        return videos.times_seconds(number)

    def frame_times(self, index: int) -> FrameTimes:
        """Display times of the frames with their end."""
        videos, number = self._find(index)
        return videos.frame_times(number)

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, uint8 (T, C, H, W), as its collection reads them."""
        videos, number = self._find(index)
        return videos.read(number, frames, cover)

    def name(self, index: int) -> str:
        """Name in its collection."""
        videos, number = self._find(index)
        return videos.name(number)

    def signals(self, index: int, names: Sequence[str]) -> np.ndarray:
        """What its collection tells."""
        videos, number = self._find(index)
        return videos.signals(number, names)

    def signal_names(self, index: int) -> list[str]:
        """What its collection could tell."""
        videos, number = self._find(index)
        return videos.signal_names(number)

    def is_unrelated(self, index: int) -> bool:
        """Whether its frames are pictures of their own in its collection."""
        videos, number = self._find(index)
        return videos.is_unrelated(number)

    def path(self, index: int) -> Path | None:
        """The file in its collection."""
        videos, number = self._find(index)
        return videos.path(number)

    def num_bytes(self, index: int) -> int:
        """Size in its collection."""
        videos, number = self._find(index)
        return videos.num_bytes(number)

    def _find(self, index: int) -> tuple[AbstractVideos, int]:
        """The collection of a video, and its number there."""
        check_request(index, (), len(self), num_frames=0)
        which = bisect_right(self.ends, index)
        return self.collections[which], index - (self.ends[which - 1] if which else 0)
