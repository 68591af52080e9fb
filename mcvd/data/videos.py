"""What every source of training videos offers: a numbered collection, read a few frames at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from torch import Tensor


class AbstractVideos(ABC):
    """A numbered collection of videos, read a few frames at a time.

    A collection is cheap to make and to send to a worker process: it opens or draws a video only in `read`.
    The same arguments always give the same frames.
    """

    def prepare(self) -> None:  # noqa: B027
        """Do, once and before workers are started, what all of them will share; there may be nothing to do."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of every frame: 3 for colour, 1 for grey."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of videos."""

    @abstractmethod
    def times_seconds(self, index: int) -> np.ndarray:
        """When each frame of video ``index`` is shown: float64 (num_frames,), rising, the first at 0."""

    @abstractmethod
    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, in the order asked for.

        Args:
            index: which video, 0 <= index < len(self).
            frames: frame numbers, each 0 <= frame < len(self.times_seconds(index)); repeats are allowed.
            cover: (height, width) in pixels.

        Returns:
            uint8 (T, C, H, W). H and W just cover ``cover`` with the video's aspect kept; collections that are
            drawn rather than filmed have no aspect to keep and return exactly ``cover``.
        """

    @abstractmethod
    def name(self, index: int) -> str:
        """What reports call video ``index``: a file name, ``"driving 17"``."""


class VideosWrapper(AbstractVideos):
    """The same videos as in another collection, read in another way; a base class.

    Args:
        videos: that collection.
    """

    def __init__(self, videos: AbstractVideos) -> None:
        self.videos = videos

    @property
    def channels(self) -> int:
        """As in the collection."""
        return self.videos.channels

    def __len__(self) -> int:
        return len(self.videos)

    def times_seconds(self, index: int) -> np.ndarray:
        """See `AbstractVideos`."""
        return self.videos.times_seconds(index)

    def name(self, index: int) -> str:
        """See `AbstractVideos`."""
        return self.videos.name(index)


def check_request(index: int, frames: Sequence[int], num_videos: int, num_frames: int) -> None:
    """Refuse a video or a frame that a collection of equally long videos does not have.

    Raises:
        IndexError: if ``index`` or one of ``frames`` is negative or too large.
    """
    if not 0 <= index < num_videos:
        raise IndexError(f"video {index} asked of a collection of {num_videos}: choose 0 <= index < {num_videos}")
    outside = [frame for frame in frames if not 0 <= frame < num_frames]
    if outside:
        raise IndexError(f"frames {outside} asked of a video of {num_frames}: choose 0 <= frame < {num_frames}")
