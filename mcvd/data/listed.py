"""`ListedVideos`: what collections have in common whose videos are listed when they are first needed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcvd.data.videos import AbstractVideos
from mcvd.video.timing import FrameTimes


@dataclass(frozen=True)
class Listing:
    """The videos of a collection.

    Args:
        names: of the videos.
        lengths: int64 (N,), frames of each.
        rates_hz: of each, or one of all; None: nobody tells it.
        channels: of every frame.
    """

    names: Sequence[str]
    lengths: np.ndarray
    rates_hz: Sequence[float] | float | None
    channels: int


class ListedVideos(AbstractVideos):
    """Base of collections that know names, lengths and rates of their videos from a list, evenly spaced in time.

    A collection makes the list in ``_listing``, on first use: it can be named in a configuration without its data.
    """

    @property
    @abstractmethod
    def _listing(self) -> Listing:
        """The list, made once."""

    @property
    def channels(self) -> int:
        """3 for colour, 1 for grey; of fields any number."""
        return self._listing.channels

    def __len__(self) -> int:
        return len(self._listing.lengths)

    def times_seconds(self, index: int) -> np.ndarray:
        """Display times of the frames, float64 (num_frames,)."""
        return self.frame_times(index).starts

    def frame_times(self, index: int) -> FrameTimes:
        """Evenly spaced times of the frames."""
        rates = self._listing.rates_hz
        rate = rates[index] if isinstance(rates, Sequence) else rates
        return FrameTimes.counted(int(self._listing.lengths[index]), rate)

    def name(self, index: int) -> str:
        """What the list calls it."""
        return str(self._listing.names[index])
