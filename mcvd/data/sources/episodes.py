"""What collections of a robot's episodes have in common: colour films with evenly spaced frames."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mcvd.data.videos import AbstractVideos, check_request
from mcvd.video.timing import FrameTimes


class Episode(Protocol):
    """What every kind of episode tells."""

    @property
    def length(self) -> int:
        """How many frames it has."""


class AbstractEpisodes(AbstractVideos):
    """A collection of episodes, all at one rate, ``frame_rate_hz``, or at one that nobody tells."""

    frame_rate_hz: float | None

    @property
    @abstractmethod
    def _episodes(self) -> Sequence[Episode]:
        """Hook: all of them, in order."""

    @property
    def channels(self) -> int:
        """3: pictures are read in colour."""
        return 3

    def __len__(self) -> int:
        return len(self._episodes)

    def times_seconds(self, index: int) -> np.ndarray:
        """Evenly spaced times of the frames, float64 (num_frames,)."""
        return self.frame_times(index).starts

    def frame_times(self, index: int) -> FrameTimes:
        """The times of the frames with the end of the last; not told without a rate."""
        check_request(index, (), len(self), 0)
        return FrameTimes.counted(self._episodes[index].length, self.frame_rate_hz)
