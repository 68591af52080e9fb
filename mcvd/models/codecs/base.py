"""`AbstractCodec`: the two doors between the videos of users and the numbers that are diffused."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class AbstractCodec(ABC):
    """What a model's numbers mean. A model asks it where videos come in and where they go out, and nowhere else.

    What is diffused lies between -1 and 1, to which samplers clip.
    """

    dtype: torch.dtype
    """Of the videos that come out, and of those that come in."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """Of the values, such as "grey levels" or "mm/h"; empty where they have none."""

    @abstractmethod
    def planes(self, channels: int) -> int:
        """How many channels the network sees of frames with so many."""

    @abstractmethod
    def encode(self, video: Tensor) -> Tensor:
        """A user's video (..., C, H, W) as what is diffused, float32 (..., planes, H, W) in [-1, 1].

        Raises:
            ValueError: of another dtype, or with values that have no meaning.
        """

    @abstractmethod
    def decode(self, frames: Tensor, rounded: bool = True) -> Tensor:
        """What was diffused, float (..., planes, H, W), as a user's video (..., C, H, W).

        Args:
            frames: not clamped.
            rounded: False gives float32 in [0, 1] where the result would be 8 bits.
        """

    def weight(self, video: Tensor) -> Tensor | None:
        """How much each number of an encoded video counts in the loss, (..., planes, H, W); None: all the same."""
        return None

    @abstractmethod
    def pictures(self, video: Tensor) -> Tensor:
        """A user's video (..., C, H, W) to look at, uint8 (..., 1 or 3, H, W)."""

    @abstractmethod
    def wrong(self, video: Tensor) -> str | None:
        """What to do with a video that has the wrong dtype, in a few words; None where it is right."""
