"""Signals: numbers that are told beside the frames, such as actions, controls, labels, or the vector of a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcvd.diffusion.masking import Masking
from mcvd.runtime.columns import check_columns, column_names, key_of, width_of
from mcvd.runtime.numbers import NumbersError
from mcvd.runtime.suggest import did_you_mean

Given = Mapping[str, Any] | Tensor | np.ndarray
"""What users give; see `Signals.of`."""

MAX_SPREADS = 10.0  # how far from the mean of training, in standard deviations, a number may lie


@dataclass(frozen=True)
class Signals:
    """Which numbers a model is told beside each frame, in which order, and how large they were in training.

    Args:
        names: of the numbers: ``steering``; ``label=archery`` is 1 where the label of a video is "archery" and 0
            elsewhere; ``text[384]`` stands for 384 numbers, such as the vector of a text.
        mean, std: of the training data, a number each; training measures them. The network sees ``(x - mean) / std``.
        low, high: smallest and largest value in the training data, likewise.

    Examples:
        >>> Signals(("steering", "label=left", "label=right")).size
        3
    """

    names: tuple[str, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        check_columns(self.names)
        for name in ("mean", "std", "low", "high"):
            numbers = tuple(map(float, getattr(self, name)))
            if len(numbers) not in (0, self.size) or not np.isfinite(numbers).all():
                raise ValueError(f"signals.{name} must be {self.size} finite numbers or none, got {list(numbers)[:9]}")
            object.__setattr__(self, name, numbers)
        if self.std and min(self.std) <= 0:
            raise ValueError(f"signals.std must be above 0, got {min(self.std)}")

    @property
    def size(self) -> int:
        """How many numbers there are for each frame."""
        return sum(map(width_of, self.names))

    @property
    def columns(self) -> list[str]:
        """A name for each of them."""
        return column_names(self.names)

    @property
    def labels(self) -> dict[str, list[str]]:
        """The groups of labels, and what a video may be called in each."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            if "=" in name:
                found.setdefault(key_of(name), []).append(name.partition("=")[2])
        return found

    def normalised(self, values: Tensor) -> Tensor:
        """Values (..., A) in their own units as the network sees them, float32."""
        if not self.mean:
            return values.float()
        mean, std = (torch.tensor(each, device=values.device) for each in (self.mean, self.std))
        return (values.float() - mean) / std

    def of(self, given: Given, num_videos: int, num_past: int, num_frames: int, num_future: int = 0) -> SignalTrack:
        """Check what a user gives, and make of it what `mcvd.diffusion.rollout` takes.

        Args:
            given: (A,), the same for all frames; (T, A), a row for each; or (B, T, A), for each video. T is the number
                of generated frames, or that of all frames, given and generated, in the order of time; rows that are not
                told are those of the nearest frame. Or a dictionary by name, of numbers or (T,) or (B, T) each, of
                (..., D) for ``text[D]``, and of a word for a group of labels.
            num_videos: B.
            num_past, num_frames, num_future: frames given before, generated, given after.

        Raises:
            ValueError: a name is unknown or missing, or a length does not fit.
            NumbersError: a number is not finite, or far from all that was seen in training.
        """
        lengths = (num_frames, num_past + num_frames + num_future)
        if isinstance(given, Mapping):
            values = self._by_name(given)
        else:
            try:
                values = torch.as_tensor(given)
            except (TypeError, ValueError, RuntimeError) as error:
                raise ValueError(f"signals must be numbers, equally many for each frame, got {given!r:.60}") from error
            values = values[None] if values.ndim == 1 else values
            values = values[None] if values.ndim == 2 else values
        fits = values.ndim == 3 and values.shape[0] in (1, num_videos) and values.shape[2] == self.size
        if not fits or values.shape[1] not in (1, *lengths):
            wanted = f"{lengths[0]} generated frames" + (f", or all {lengths[1]}" if lengths[1] > lengths[0] else "")
            raise ValueError(
                f"signals are ({self.size},), (T, {self.size}) or ({num_videos}, T, {self.size}), a row for each of "
                f"the {wanted}, got {tuple(values.shape)}: the columns are {_listed(self.columns)}"
            )
        values = values.float()
        wrong = ~values.isfinite()
        if self.mean:
            wrong = wrong | (self.normalised(values).abs() > MAX_SPREADS) & ~self._in_range(values)
        if wrong.any():
            _, row, column = wrong.nonzero()[0].tolist()
            raise NumbersError(
                f"signals: row {row}, {self.columns[column]} is {values[..., row, column].flatten()[0]:g}"
                + (f"; in training it was {self.low[column]:g} to {self.high[column]:g}" if self.low else "")
            )
        first = num_past if values.shape[1] == lengths[0] else 0
        values = self.normalised(values).expand(num_videos, -1, -1)
        return SignalTrack(values, torch.ones(num_videos, dtype=torch.bool), first)

    def hidden(self, num_videos: int) -> SignalTrack:
        """Nothing is told."""
        return SignalTrack(torch.zeros(num_videos, 1, self.size), torch.zeros(num_videos, dtype=torch.bool))

    def _in_range(self, values: Tensor) -> Tensor:
        if not self.low:
            return torch.zeros_like(values, dtype=torch.bool)
        return (values >= torch.tensor(self.low)) & (values <= torch.tensor(self.high))

    def _by_name(self, given: Mapping[str, Any]) -> Tensor:
        keys = dict.fromkeys(key_of(name) for name in self.names)
        for name in given:
            if name not in keys and name not in self.names:
                raise ValueError(
                    f"signals: there is no {name}{did_you_mean(str(name), keys)} (there are: {_listed(keys)})"
                )
        columns = [self._column(name, given) for name in self.names]
        try:
            batch, length = torch.broadcast_shapes(*(column.shape[:2] for column in columns))
        except RuntimeError:
            lengths = {key_of(name): tuple(c.shape[:2]) for name, c in zip(self.names, columns, strict=True)}
            raise ValueError(f"signals: equally many videos and frames of each, got {lengths}") from None
        return torch.cat([column.expand(batch, length, -1) for column in columns], 2)

    def _column(self, name: str, given: Mapping[str, Any]) -> Tensor:
        """The numbers (B or 1, T or 1, width) of one name."""
        key = key_of(name)
        found = given.get(name, given.get(key))
        if found is None:
            raise ValueError(
                f"signals: {key} is missing (there are: {_listed(dict.fromkeys(map(key_of, self.names)))})"
            )
        if isinstance(found, str) and "=" in name:
            labels = self.labels[key]
            if found not in labels:
                raise ValueError(
                    f"signals: {key} is one of {_listed(labels)}, got {found!r}{did_you_mean(found, labels)}"
                )
            found = float(found == name.partition("=")[2])
        try:
            values = torch.as_tensor(found, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"signals: {key} must be numbers, got {found!r:.60}") from error
        wide = name != key and "=" not in name
        values = values if wide else values[..., None]
        if values.ndim > 3 or values.shape[-1] != width_of(name):
            raise ValueError(f"signals: {name} takes {width_of(name)} numbers, got shape {tuple(values.shape)}")
        return values.view(*[1] * (3 - values.ndim), *values.shape)


@dataclass(frozen=True)
class SignalTrack:
    """Signals of the frames of some videos, as the network takes them.

    Args:
        values: float (B, T, A).
        is_told: bool (B,).
        first: place of the first row; place 0 is the first frame given before.
    """

    values: Tensor
    is_told: Tensor
    first: int = 0

    def at(self, places: range) -> Tensor:
        """Those of the frames at some places, (B, len(places), A); beyond what is known, those of the nearest."""
        rows = torch.arange(places.start, places.stop, device=self.values.device) - self.first
        return self.values[:, rows.clamp(0, self.values.shape[1] - 1)]

    def of_videos(self, videos: range, device: torch.device) -> SignalTrack:
        """Those of some of the videos, on their device."""
        part = slice(videos.start, videos.stop)
        return SignalTrack(self.values[part].to(device), self.is_told[part].to(device), self.first)


def check_told(signals: Signals | None, masking: Masking, num_taken: int) -> None:
    """Refuse a network that takes other signals than its model names.

    Raises:
        ValueError: says what to set.
    """
    size = 0 if signals is None else signals.size
    if size != num_taken:
        raise ValueError(
            f"model.signals names {size} numbers for each frame and the network takes {num_taken}: set "
            f"model.net.init_args.num_signals to {size}"
        )
    if masking.p_signals and not size:
        raise ValueError("masking.p_signals hides signals, and model.signals names none")


def told_signals(
    signals: Signals | None, masking: Masking, given: Given | None, num_videos: int, *lengths: int
) -> SignalTrack | None:
    """What a model is told in a work; ``lengths`` are the numbers of frames before, generated, and after.

    Raises:
        ValueError: the model takes none, or it needs them, or they do not fit; see `Signals.of`.
    """
    if signals is None:
        if given is not None:
            raise ValueError("this model takes no signals: it was trained without (model.signals)")
        return None
    if given is not None:
        return signals.of(given, num_videos, *lengths)
    if not masking.p_signals:
        raise ValueError(
            f"this model needs signals ({_listed(signals.columns)}) and was never trained without (masking.p_signals)"
        )
    return signals.hidden(num_videos)


def _listed(names: Any, most: int = 8) -> str:
    names = [*names]
    return ", ".join(names[:most]) + (f", ... ({len(names)})" if len(names) > most else "")
