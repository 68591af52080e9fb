"""`Scale`: float data of any number of channels, with a range, a unit, and perhaps missing values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, log1p, nan
from typing import Literal

import torch
from torch import Tensor

from mcvd.models.codecs.base import AbstractCodec
from mcvd.video.heat_map import MISSING, heat_map
from mcvd.video.legend import Legend

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
        shown: channels to look at, from 0: one, by a colour map, or three as red, green and blue. None named: all of
            three channels, otherwise the first.

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
    shown: tuple[int, ...] = ()

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
        if len(self.shown) not in (0, 1, 3) or any(channel < 0 for channel in self.shown):
            raise ValueError(f"shown must be one channel or three, counted from 0, got {list(self.shown)}")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """A quarter, a half and three quarters of the range, to two digits; none where channels differ in theirs."""
        if len(set(zip(_each(self.low), _each(self.high), strict=True))) > 1:
            return ()
        one = replace(self, low=_each(self.low)[0], high=_each(self.high)[0], missing=None, names=())
        levels = one.decode(torch.tensor([-0.5, 0.0, 0.5]).view(3, 1, 1, 1)).flatten().tolist()
        return tuple(float(f"{level:.2g}") for level in levels)

    def planes(self, channels: int) -> int:
        """The channels, and where values may be missing one more for each.

        Raises:
            ValueError: ranges or names are of another number of channels.
        """
        for name, number in (("low and high", len(_each(self.low))), ("names", len(self.names) or 1)):
            if number not in (1, channels):
                raise ValueError(f"{name} of this scale are for {number} channels, and the model has {channels}")
        self._shown(channels, ())
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

    def pictures(self, video: Tensor, shown: Sequence[int] = ()) -> Tensor:
        """One channel by a colour map from the low end to the high end, or three as red, green and blue.

        Missing values are grey.
        """
        chosen = self._shown(video.shape[-3], shown)
        video = video.float()
        place = ((self.encode(video)[..., : video.shape[-3], :, :] + 1) / 2).masked_fill(self._missing(video), nan)
        place = place[..., chosen, :, :]
        if len(chosen) == 1:
            return heat_map(place.flatten(0, -3), 1.0).unflatten(0, place.shape[:-3])
        coloured = torch.where(place.isnan().any(-3, keepdim=True), MISSING[0] / 255, place)
        return (255 * coloured).round().to(torch.uint8)

    def legend(self, channels: int, shown: Sequence[int] = ()) -> Legend:
        """See `AbstractCodec.legend`."""
        chosen = self._shown(channels, shown)
        lows, highs = _each(self.low), _each(self.high)
        ends = [(lows[each % len(lows)], highs[each % len(highs)]) for each in chosen]
        names = [self.names[each] if self.names else f"channel {each}" for each in chosen]
        if len(chosen) == 3:
            parts = [
                f"{name} {colour} ({low:g} to {high:g})"
                for name, colour, (low, high) in zip(names, ("red", "green", "blue"), ends, strict=True)
            ]
            title = f"{', '.join(parts)} {self.unit}".strip()
            return Legend(title, has_missing=self.missing is not None)
        ((low, high),) = ends
        if self.transform == "log":
            shares = [0.0, *(_DECADES**-part for part in (2 / 3, 1 / 3)), 1.0]
            places = [log1p(_DECADES * share) / log1p(_DECADES) for share in shares]
        else:
            shares = places = [0.0, 0.25, 0.5, 0.75, 1.0]
        ticks = [(at, f"{low + share * (high - low):.3g}") for at, share in zip(places, shares, strict=True)]
        words = [names[0]] if self.names or channels > 1 else []
        title = " ".join([*words, self.unit]).strip() or "values"
        return Legend(title, ticks, has_missing=self.missing is not None)

    def known_values(self, video: Tensor) -> Tensor:
        """float32, NaN where missing."""
        return video.float().masked_fill(self._missing(video.float()), nan)

    def as_written(self, video: Tensor) -> Tensor:
        """float32, missing values as ``missing`` says."""
        video = video.float()
        return video if self.missing is None else torch.where(self._missing(video), float(self.missing), video)

    def _shown(self, channels: int, shown: Sequence[int]) -> list[int]:
        chosen = list(shown or self.shown or (range(3) if channels == 3 else [0]))
        if len(chosen) not in (1, 3) or not all(0 <= channel < channels for channel in chosen):
            raise ValueError(
                f"one channel or three can be looked at, each 0 to {channels - 1}, got {', '.join(map(str, chosen))}"
            )
        return chosen

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
