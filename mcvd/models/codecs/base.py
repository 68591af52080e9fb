"""`AbstractCodec`: the two doors between the videos of users and the numbers that are diffused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from mcvd.diffusion.block_coding import BlockCoding
    from mcvd.video.legend import Legend


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

    @property
    @abstractmethod
    def thresholds(self) -> tuple[float, ...]:
        """Levels whose reaching is an event that an evaluation scores, if nobody names others."""

    @abstractmethod
    def planes(self, channels: int) -> int:
        """How many channels the network sees of frames with so many."""

    @property
    def bound(self) -> float:
        """The largest absolute value of what is diffused."""
        return 1.0

    @property
    def coding(self) -> BlockCoding | None:
        """How it codes frames together, part by part of a block: `encode` and `decode` then take one part. None: it
        codes each frame by itself."""
        return None

    @property
    def digest(self) -> str | None:
        """Of all that encoded frames depend on, where they can be kept (``mcvd data encode``); None: they cannot."""
        return None

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
    def pictures(self, video: Tensor, shown: Sequence[int] = ()) -> Tensor:
        """A user's video (..., C, H, W) to look at, uint8 (..., 1 or 3, H, W).

        Args:
            video: as `encode` takes it.
            shown: channels, one by a colour map or three as red, green and blue; none: as the codec itself has it.

        Raises:
            ValueError: there are no such channels to choose from.
        """

    def legend(self, channels: int, shown: Sequence[int] = ()) -> Legend | None:
        """What the colours of `pictures` mean, of videos with so many channels; None where they mean themselves."""
        return None

    def known_values(self, video: Tensor) -> Tensor:
        """A user's video as scores take it: the same, NaN where values are missing."""
        return video

    def as_written(self, video: Tensor) -> Tensor:
        """A user's video as results look: of `dtype`, missing values as `decode` gives them."""
        return video

    @abstractmethod
    def wrong(self, video: Tensor) -> str | None:
        """What to do with a video that has the wrong dtype, in a few words; None where it is right."""
