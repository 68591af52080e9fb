"""`AbstractVideos`: what every collection of videos offers, recorded or drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from torch import Tensor

from mcvd.video.timing import FrameTimes


class SignalsError(ValueError):
    """What should be told beside the frames is not there, or is wrong; names the file, and the row."""


class AbstractVideos(ABC):
    """A numbered collection of videos, read a few frames at a time.

    A collection is cheap to construct and to send to a worker process: it opens or draws a video only in `read`.
    The same arguments always give the same frames.
    """

    def prepare(self) -> None:  # noqa: B027
        """Do the work that workers share, once before they start: a cache, for example. The default does nothing."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of every frame: 3 for colour, 1 for grey."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of videos."""

    @abstractmethod
    def times_seconds(self, index: int) -> np.ndarray:
        """Display times of the frames of video ``index``: float64 (num_frames,), increasing, the first 0."""

    def frame_times(self, index: int) -> FrameTimes:
        """`times_seconds` with the end of the last frame; the default shows it as long as the average frame."""
        return FrameTimes.of(self.times_seconds(index))

    @abstractmethod
    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, in the given order.

        Args:
            index: number of the video, 0 <= index < len(self).
            frames: frame numbers, each 0 <= frame < len(self.times_seconds(index)); repeats are allowed.
            cover: (height, width) in pixels.

        Returns:
            uint8 (T, C, H, W); float32 of values, for models with a scale. H and W just cover ``cover`` at the video's
            aspect ratio; collections that are drawn have none and return exactly ``cover``.
        """

    @abstractmethod
    def name(self, index: int) -> str:
        """The name of video ``index`` in messages: a file name, ``"driving 17"``."""

    def signals(self, index: int, names: Sequence[str]) -> np.ndarray:
        """What is told beside the frames of video ``index``: actions, labels and more.

        Args:
            index: number of the video.
            names: of the numbers, as `mcvd.diffusion.signals.Signals` takes them.

        Returns:
            float32 (num_frames, A).

        Raises:
            SignalsError: there is no such number, or it is wrong; the default has none.
        """
        raise SignalsError(f"{self.name(index)}: has no signals")

    def signal_names(self, index: int) -> list[str]:
        """Names of what could be told of video ``index``; the default has none."""
        return []

    def is_unrelated(self, index: int) -> bool:
        """Whether the frames of video ``index`` are pictures that have nothing to do with each other; by default not.

        Training then looks at each by itself, and gives none as context; see `mcvd.data.PictureFolder`.
        """
        return False

    def path(self, index: int) -> Path | None:
        """The file or folder that is video ``index`` alone; the default has none."""
        return None

    def num_bytes(self, index: int) -> int:
        """Size of the file of video ``index``, by which a change of it is seen; the default has none, 0."""
        return 0


class VideosWrapper(AbstractVideos):
    """Base of collections that read another collection in their own way.

    Args:
        videos: the wrapped collection.
    """

    def __init__(self, videos: AbstractVideos) -> None:
        self.videos = videos

    @property
    def channels(self) -> int:
        """Channels of the wrapped collection."""
        return self.videos.channels

    def __len__(self) -> int:
        return len(self.videos)

    def times_seconds(self, index: int) -> np.ndarray:
        """Display times in the wrapped collection."""
        return self.videos.times_seconds(index)

    def frame_times(self, index: int) -> FrameTimes:
        """Display times in the wrapped collection."""
        return self.videos.frame_times(index)

    def name(self, index: int) -> str:
        """Name in the wrapped collection."""
        return self.videos.name(index)

    def signals(self, index: int, names: Sequence[str]) -> np.ndarray:
        """What the wrapped collection tells."""
        return self.videos.signals(index, names)

    def signal_names(self, index: int) -> list[str]:
        """What the wrapped collection could tell."""
        return self.videos.signal_names(index)

    def is_unrelated(self, index: int) -> bool:
        """Whether its frames are pictures of their own in the wrapped collection."""
        return self.videos.is_unrelated(index)

    def path(self, index: int) -> Path | None:
        """The file in the wrapped collection."""
        return self.videos.path(index)

    def num_bytes(self, index: int) -> int:
        """Size in the wrapped collection."""
        return self.videos.num_bytes(index)


def add_videos(digest: blake2b, videos: AbstractVideos) -> None:
    """Add to a digest what changes when videos do: their names, bytes and times."""
    for number in range(len(videos)):
        digest.update(f"{videos.name(number)}\n{videos.num_bytes(number)}\n".encode(errors="surrogateescape"))
        digest.update(videos.times_seconds(number).tobytes())


def check_request(index: int, frames: Sequence[int], num_videos: int, num_frames: int) -> None:
    """Check that a collection of equally long videos has these frames.

    Raises:
        IndexError: if ``index`` or one of ``frames`` is negative or too large.
    """
    if not 0 <= index < num_videos:
        raise IndexError(f"video {index} asked of a collection of {num_videos}: choose 0 <= index < {num_videos}")
    outside = [frame for frame in frames if not 0 <= frame < num_frames]
    if outside:
        raise IndexError(f"frames {outside} asked of a video of {num_frames}: choose 0 <= frame < {num_frames}")
