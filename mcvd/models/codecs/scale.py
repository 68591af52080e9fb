"""`Scale`: float data of any number of channels, with a range, a unit, and perhaps missing values."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, log1p
from typing import Literal

import torch
from torch import Tensor

from mcvd.frames import pixels_from_model
from mcvd.models.codecs.base import AbstractCodec

_DECADES = 1000.0  # of a logarithmic scale: linear below about a thousandth of the range


@dataclass(frozen=True)
class Scale(AbstractCodec):
    """Values of a quantity: rain in mm/h, temperature in kelvin, depth in metres. Results have the same unit.

    Args:
        low, high: what becomes -1 and 1, one number or one for each channel; values outside are moved to the nearer
            end. `mcvd data check` measures them.
        transform: "linear", or "log" for quantities of many magnitudes that begin at ``low``, such as rain: equal
            factors become equal steps, down to about a thousandth of the range, below which it is linear:
            ``log(1 + 1000 u) / log(1001)`` for the place u in the range, 0 to 1.
        unit: of the values, for people.
        missing: the number that stands for a missing value, or "nan"; NaN always does then. The network gets a plane
            for each channel that tells where values are missing, samples it too, and what it says is missing comes
            back as this number. None: there are none.
        names: of the channels, for people; none, or as many as there are channels.

    Examples:
        >>> rain = Scale(0.0, 100.0, "log", unit="mm/h", missing="nan")
        >>> field = torch.tensor([0.0, 0.1, 25.0, float("nan")]).view(1, 1, 2, 2)
        >>> rain.decode(rain.encode(field)).flatten().tolist()
        [0.0, 0.10000000149011612, 25.0, nan]
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    transform: Literal["linear", "log"] = "linear"
    unit: str = ""  # type: ignore[misc]  # a field is what the property asks for
    missing: float | Literal["nan"] | None = None
    names: tuple[str, ...] = ()

    dtype = torch.float32

    def __post_init__(self) -> None:
        low, high = _each(self.low), _each(self.high)
        if not low or len(low) != len(high):
            raise ValueError(f"low and high need equally many numbers, got {self.low} and {self.high}")
        if not all(isfinite(a) and isfinite(b) and a < b for a, b in zip(low, high, strict=True)):
            raise ValueError(f"low must be below high, both finite, got {self.low} and {self.high}")
        if self.transform not in ("linear", "log"):
            raise ValueError(f"transform must be 'linear' or 'log', got {self.transform!r}")
        if isinstance(self.missing, str) and self.missing != "nan":
            raise ValueError(f"missing must be a number, 'nan' or None, got {self.missing!r}")
        if not isinstance(self.missing, str) and self.missing is not None and not isfinite(self.missing):
            raise ValueError(f"missing must be a finite number, 'nan' or None, got {self.missing}")

    def planes(self, channels: int) -> int:
        """The channels, and where values may be missing one more for each.

        Raises:
            ValueError: ranges or names are of another number of channels.
        """
        for name, number in (("low and high", len(_each(self.low))), ("names", len(self.names) or 1)):
            if number not in (1, channels):
                raise ValueError(f"{name} of this scale are for {number} channels, and the model has {channels}")
        return channels if self.missing is None else 2 * channels

    def encode(self, video: Tensor) -> Tensor:
        """Floats or whole numbers in the unit of the data; missing values become the middle of the range."""
        values = video.float()
        missing = self._missing(values)
        low, high = (torch.tensor(_each(end), device=values.device)[:, None, None] for end in (self.low, self.high))
        place = ((values - low) / (high - low)).clamp(0, 1)
        if self.transform == "log":
            place = (place * _DECADES).log1p() / log1p(_DECADES)
        if self.missing is None:
            return 2 * place - 1
        return torch.cat([torch.where(missing, 0.0, 2 * place - 1), 1 - 2 * missing.float()], -3)

    def decode(self, frames: Tensor, rounded: bool = True) -> Tensor:
        """float32 in the unit of the data."""
        frames = frames.float()
        there = None
        if self.missing is not None:
            frames, there = frames.chunk(2, -3)
        place = ((frames + 1) / 2).clamp(0, 1)
        if self.transform == "log":
            place = (place * log1p(_DECADES)).expm1() / _DECADES
        low, high = (torch.tensor(_each(end), device=frames.device)[:, None, None] for end in (self.low, self.high))
        values = torch.minimum(torch.maximum(low + place * (high - low), low), high)
        return values if there is None else torch.where(there < 0, float(self.missing), values)  # type: ignore[arg-type]

    def weight(self, video: Tensor) -> Tensor | None:
        """Missing values have none; where they are missing counts everywhere."""
        if self.missing is None:
            return None
        there = (~self._missing(video.float())).float()
        return torch.cat([there, torch.ones_like(there)], -3)

    def pictures(self, video: Tensor) -> Tensor:
        """Grey from the low end (black) to the high end, of three channels a colour picture, of others the first alone.

        Missing values are black.
        """
        video = video.float()
        frames = self.encode(video)[..., : video.shape[-3], :, :]
        frames = torch.where(self._missing(video), -1.0, frames)
        return pixels_from_model(frames if video.shape[-3] in (1, 3) else frames[..., :1, :, :])

    def wrong(self, video: Tensor) -> str | None:
        """Whether they are numbers."""
        return "values in the unit of the data, as float32" if video.is_complex() or video.dtype == torch.bool else None

    def _missing(self, values: Tensor) -> Tensor:
        missing = values.isnan()
        if self.missing is None:
            if not values.isfinite().all():
                raise ValueError(
                    "values that are not finite: say in the scale of the model how missing ones look (missing: nan)"
                )
        elif self.missing != "nan":
            missing = missing | (values == self.missing)
        return missing


def _each(ends: float | tuple[float, ...]) -> tuple[float, ...]:
    return tuple(ends) if isinstance(ends, tuple | list) else (ends,)
