"""Hold out a part of a collection for validation where none is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mcvd.data.clips.spec import ClipSpec, find_clips
from mcvd.data.videos import AbstractVideos

EVERY = 10


class VideoSubset(AbstractVideos):
    """Some videos of a collection, or parts of them, as a collection of their own.

    Args:
        videos: the collection.
        parts: (index, start, stop) for each excerpt: the frames ``start <= frame < stop`` of video ``index``.
    """

    def __init__(self, videos: AbstractVideos, parts: Sequence[tuple[int, int, int]]) -> None:
        self.videos = videos
        self.parts = list(parts)

    @property
    def channels(self) -> int:
        """Channels of the collection."""
        return self.videos.channels

    def __len__(self) -> int:
        return len(self.parts)

    def times_seconds(self, index: int) -> np.ndarray:
        """When each frame of excerpt ``index`` is shown: float64 (num_frames,), the first at 0."""
        video, start, stop = self.parts[index]
        times = self.videos.times_seconds(video)[start:stop]
        return times - times[0]

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one excerpt, uint8 (T, C, H, W), just covering ``cover``."""
        video, start, _ = self.parts[index]
        return self.videos.read(video, [start + frame for frame in frames], cover)

    def name(self, index: int) -> str:
        """The name of the video."""
        return self.videos.name(self.parts[index][0])


def train_val_split(videos: AbstractVideos, spec: ClipSpec) -> tuple[VideoSubset, VideoSubset]:
    """Split a collection into (training, validation) without overlap.

    Of the videos that are long enough for a clip every tenth is held out, the last one if there are fewer than ten.
    Of a single video its last tenth is held out, at least one clip.

    Raises:
        ValueError: if there is only one video and it has room for only one clip.
    """
    usable = np.unique(find_clips(videos, spec).video).tolist()
    whole = [(index, 0, len(videos.times_seconds(index))) for index in usable]
    if len(whole) > 1:
        held = whole[EVERY - 1 :: EVERY] or whole[-1:]
        return VideoSubset(videos, [part for part in whole if part not in set(held)]), VideoSubset(videos, held)
    index, _, stop = whole[0]
    times = videos.times_seconds(index)
    if spec.count_clips(times) < 2:
        raise ValueError(
            f"the only video, {videos.name(index)}, has room for only one clip of {spec}, so nothing can be held out "
            "for validation; use more or longer videos, or name validation videos (--data.val_root)"
        )
    cut = min(stop - stop // EVERY, spec.count_starts(times) - 1)
    return VideoSubset(videos, [(index, 0, cut)]), VideoSubset(videos, [(index, cut, stop)])
