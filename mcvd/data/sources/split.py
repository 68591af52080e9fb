"""A part of a collection as a collection of its own, and the split that holds out validation videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from mcvd.data.clips.spec import ClipSpec, find_clips
from mcvd.data.videos import AbstractVideos, VideosWrapper
from mcvd.video.timing import FrameTimes

EVERY = 10


class VideoSubset(VideosWrapper):
    """Excerpts of the videos of a collection as a collection of their own.

    Args:
        videos: the collection.
        excerpts: (index, start, stop) each: the frames ``start <= frame < stop`` of video ``index``.
    """

    def __init__(self, videos: AbstractVideos, excerpts: Sequence[tuple[int, int, int]]) -> None:
        super().__init__(videos)
        self.excerpts = list(excerpts)

    def __len__(self) -> int:
        return len(self.excerpts)

    def times_seconds(self, index: int) -> np.ndarray:
        """Display times of the frames of excerpt ``index``: float64 (num_frames,), the first 0."""
        return self.frame_times(index).starts

    def frame_times(self, index: int) -> FrameTimes:
        """Display times of the frames of excerpt ``index``, the first 0, and their end."""
        video, start, stop = self.excerpts[index]
        return self.videos.frame_times(video).part(start, stop)

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one excerpt, uint8 (T, C, H, W), just covering ``cover``."""
        video, start, _ = self.excerpts[index]
        return self.videos.read(video, [start + frame for frame in frames], cover)

    def name(self, index: int) -> str:
        """The name of the video."""
        return self.videos.name(self.excerpts[index][0])

    def signals(self, index: int, names: Sequence[str]) -> np.ndarray:
        """Those of the frames of one excerpt, float32 (num_frames, A)."""
        video, start, stop = self.excerpts[index]
        return self.videos.signals(video, names)[start:stop]

    def signal_names(self, index: int) -> list[str]:
        """Of the video."""
        return self.videos.signal_names(self.excerpts[index][0])

    def is_unrelated(self, index: int) -> bool:
        """Whether the frames of the video are pictures of their own."""
        return self.videos.is_unrelated(self.excerpts[index][0])

    def path(self, index: int) -> Path | None:
        """The file in its collection."""
        return self.videos.path(self.excerpts[index][0])

    def num_bytes(self, index: int) -> int:
        """Size of the whole video."""
        return self.videos.num_bytes(self.excerpts[index][0])


def train_val_split(videos: AbstractVideos, spec: ClipSpec) -> tuple[VideoSubset, VideoSubset]:
    """Split a collection into training and validation videos without overlap.

    Of the videos that are long enough for a clip every tenth is held out, the last one if there are fewer than ten.
    Of a single video the last tenth is held out, at least one clip.

    Returns:
        (training, validation).

    Raises:
        ValueError: if there is only one video and it has room for only one clip.
    """
    usable = np.unique(find_clips(videos, spec).video).tolist()
    excerpts = [(index, 0, len(videos.times_seconds(index))) for index in usable]
    if len(excerpts) > 1:
        val = excerpts[EVERY - 1 :: EVERY] or excerpts[-1:]
        train = [excerpt for excerpt in excerpts if excerpt not in set(val)]
        return VideoSubset(videos, train), VideoSubset(videos, val)
    index, _, stop = excerpts[0]
    times = videos.frame_times(index)
    if spec.count_clips(times) < 2:
        raise ValueError(
            f"the only video, {videos.name(index)}, has room for only one clip of {spec}, so nothing can be held out "
            "for validation; use more or longer videos, or name validation videos (--data.val_root)"
        )
    cut = min(stop - stop // EVERY, spec.count_starts(times) - 1)
    return VideoSubset(videos, [(index, 0, cut)]), VideoSubset(videos, [(index, cut, stop)])
