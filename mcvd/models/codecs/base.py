"""`AbstractCodec`: the two doors between the videos of users and the numbers that are diffused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn


class AbstractCodec(ABC):
    """What a model's numbers mean. A model asks it where videos come in and where they go out, and nowhere else.

    What is diffused lies between -`bound` and `bound`, to which samplers clip.
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

    @property
    def bound(self) -> float:
        """The largest absolute value of what is diffused."""
        return 1.0

    def frame_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the frames that the network sees, of frames of this height and width."""
        return size

    def with_network(self) -> tuple[AbstractCodec, nn.Module | None]:
        """The codec with the network that it needs, made anew, whose weights belong to the model; None: it needs none.

        Raises:
            ValueError, FileNotFoundError: there is none, or it is damaged.
        """
        return self, None

    def init_args(self) -> dict[str, Any] | None:
        """The arguments that a model is saved with, where they are not those that it was made of."""
        return None

    @abstractmethod
    def encode(self, video: Tensor) -> Tensor:
        """A user's video (..., C, H, W) as what is diffused, float32 (..., planes, h, w).

        Raises:
            ValueError: of another dtype, or with values that have no meaning.
        """

    @abstractmethod
    def decode(self, frames: Tensor, rounded: bool = True) -> Tensor:
        """What was diffused, float (..., planes, h, w), as a user's video (..., C, H, W).

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
