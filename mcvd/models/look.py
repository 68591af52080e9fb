"""`Look`: videos of a model as pictures: pixels as they are, values in colours with a legend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mcvd.models.codecs import AbstractCodec, Pixels
from mcvd.models.video_model import VideoModel
from mcvd.video.legend import Legend, beside_legend, enlarged

PIXELS = Pixels()


@dataclass(frozen=True)
class Look:
    """How videos are shown.

    Args:
        codec: what their numbers mean.
        channels: how many they have.
        shown: those to look at; none: as the codec has it.
    """

    codec: AbstractCodec = PIXELS
    channels: int = 3
    shown: tuple[int, ...] = ()

    @classmethod
    def of(cls, model: VideoModel, shown: tuple[int, ...] = ()) -> Look:
        """Of a model's videos.

        Raises:
            ValueError: there are no such channels.
        """
        look = cls(model.codec, model.channels, shown)
        if shown:
            look.legend  # noqa: B018  refuses what is not there
            look.pictures(model.codec.as_written(_one_frame(model)))
        return look

    @property
    def unit(self) -> str:
        """Of the values."""
        return self.codec.unit

    @cached_property
    def legend(self) -> Legend | None:
        """What the colours mean; None for pixels."""
        return self.codec.legend(self.channels, self.shown)

    def pictures(self, video: Tensor) -> Tensor:
        """Videos (..., C, H, W) as pictures, uint8 (..., 1 or 3, H, W)."""
        return self.codec.pictures(video, self.shown)

    def film(self, pictures: Iterable[Tensor]) -> Iterator[Tensor]:
        """Chunks of pictures (n, 1 or 3, H, W) with the legend at their right."""
        return (beside_legend(chunk, self.legend) for chunk in pictures)

    def strip(self, pictures: Iterable[Tensor]) -> Iterator[Tensor]:
        """Chunks of pictures for a strip, with the legend as one more frame at the end."""
        last = None
        for chunk in pictures:
            last = chunk if self.legend is None else enlarged(chunk).expand(-1, 3, -1, -1)
            yield last
        if self.legend is not None and last is not None:
            yield self.legend.panel(*last.shape[-2:])[None]


PIXEL_LOOK = Look()


def _one_frame(model: VideoModel) -> Tensor:
    return torch.zeros(1, model.channels, 2, 2, dtype=model.codec.dtype)
