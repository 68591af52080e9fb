"""Several collections of videos as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from torch import Tensor

from mcvd.data.videos import AbstractVideos


class ConcatVideos(AbstractVideos):
    """Collections one after another, for training on all of them at once.

    Every clip of every video is as likely as any other: a collection's share is its number of clips, times its repeats.

    Args:
        parts: collections of the same number of channels.
        repeats: how many times each part is there, so that a small collection has its say beside a large one. Training
            begins each of the copies of a clip at another frame, so they are not the same clip twice.

    Example::

        Joined([VideoFolder("drives"), DrivingScenes(num_videos=100)], repeats=[10, 1])
    """

    def __init__(self, parts: list[AbstractVideos], repeats: list[int] | None = None):
        if not parts or len({part.channels for part in parts}) > 1:
            raise ValueError(
                f"parts must be one or more collections of equal channels, got channels {[p.channels for p in parts]}"
            )
        if repeats is not None and (len(repeats) != len(parts) or min(repeats) < 1):
            raise ValueError(f"repeats must be one number of 1 or more for each of {len(parts)} parts, got {repeats}")
        times = repeats or [1] * len(parts)
        self.parts = [part for part, count in zip(parts, times, strict=True) for _ in range(count)]
        self.ends = list(accumulate(len(part) for part in self.parts))

    @property
    def channels(self) -> int:
        """Of all parts."""
        return self.parts[0].channels

    def __len__(self) -> int:
        return self.ends[-1]

    def prepare(self) -> None:
        """See `AbstractVideos`."""
        for part in dict.fromkeys(self.parts):
            part.prepare()

    def times_seconds(self, index: int) -> np.ndarray:
        """See `AbstractVideos`."""
        part, inside = self._find(index)
        return part.times_seconds(inside)

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """See `AbstractVideos`."""
        part, inside = self._find(index)
        return part.read(inside, frames, cover)

    def name(self, index: int) -> str:
        """See `AbstractVideos`."""
        part, inside = self._find(index)
        return part.name(inside)

    def _find(self, index: int) -> tuple[AbstractVideos, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"video {index} asked of a collection of {len(self)}: choose 0 <= index < {len(self)}")
        number = bisect_right(self.ends, index)
        return self.parts[number], index - (self.ends[number - 1] if number else 0)
