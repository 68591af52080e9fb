"""`Pixels`: videos of 8 bits, 0 to 255."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.frames import model_from_pixels, pixels_from_model, unit_from_model
from mcvd.models.codecs.base import AbstractCodec


@dataclass(frozen=True)
class Pixels(AbstractCodec):
    """Videos uint8, black 0 and white 255; as published, -1 and 1 in the model.

    Examples:
        >>> Pixels().encode(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1)).flatten().tolist()
        [-1.0, 1.0]
    """

    dtype = torch.uint8

    @property
    def unit(self) -> str:
        """Grey levels."""
        return "grey levels"

    @property
    def thresholds(self) -> tuple[float, ...]:
        """A quarter, a half and three quarters of the way to white."""
        return (64.0, 128.0, 192.0)

    def planes(self, channels: int) -> int:
        """The channels themselves."""
        return channels

    def encode(self, video: Tensor) -> Tensor:
        """See `mcvd.frames.model_from_pixels`."""
        if video.dtype != torch.uint8:
            raise ValueError(
                f"this model takes pixels, uint8, got {video.dtype}: for values it needs a scale, model.codec"
            )
        return model_from_pixels(video)

    def decode(self, frames: Tensor, rounded: bool = True) -> Tensor:
        """See `mcvd.frames.pixels_from_model` and, not rounded, `mcvd.frames.unit_from_model`."""
        return pixels_from_model(frames) if rounded else unit_from_model(frames)

    def pictures(self, video: Tensor, shown: Sequence[int] = ()) -> Tensor:
        """The video itself."""
        if shown:
            raise ValueError("the videos of this model are pixels: there are no channels of values to choose from")
        return video

    def wrong(self, video: Tensor) -> str | None:
        """Whether they are 8 bits."""
        if video.dtype == torch.uint8:
            return None
        if video.is_floating_point():
            return "(255 * video).round() as uint8, if they are in [0, 1]; for values it needs a scale, model.codec"
        return "mcvd.read_video(path, size=...) makes them fit"
