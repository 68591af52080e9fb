"""`ArrayFile`: sequences of fields in a file, or in a folder whose files are its frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mcvd.video.arrays.axes import LETTERS, usual_axes
from mcvd.video.arrays.base import OpenArray
from mcvd.video.arrays.open import array_faults, open_array
from mcvd.video.arrays.tiff import tiff_seconds
from mcvd.video.arrays.times import rising, seconds_of_names
from mcvd.video.decoders.base import VideoError
from mcvd.video.transforms import covering_size


class AbstractFields(ABC):
    """Sequences of fields that are open: float32 in the unit of the data, NaN where missing.

    Attributes:
        num_sequences, num_frames, channels: how many there are.
        size: (height, width) as stored.
        times_seconds: of the frames, float64 (num_frames,), rising from 0; None: nobody tells.
        unit: of the values, where the file tells it.
    """

    num_sequences: int
    num_frames: int
    channels: int
    size: tuple[int, int]
    times_seconds: np.ndarray | None
    unit: str

    @abstractmethod
    def read(self, sequence: int, frames: Sequence[int]) -> Tensor:
        """Some frames of one sequence, float32 (T, C, H, W); numbers in any order, repeats allowed."""

    @abstractmethod
    def close(self) -> None:
        """Give the files back."""


class ArrayFile(AbstractFields):
    """The sequences of one file, or of several variables of it as channels.

    Args:
        path: of the file.
        axes: see `mcvd.data.ArrayVideos`; None: as the file tells, or as usual for their number.
        variables: names of the arrays, each a channel or several; none: the only one that fits.
        missing: a number that stands for missing values, beside NaN and what the file declares.

    Raises:
        VideoError: it cannot be read, or is not of these axes.
    """

    def __init__(
        self, path: Path, axes: str | None = None, variables: Sequence[str] = (), missing: float | None = None
    ) -> None:
        self._path, self._missing = path, missing
        self._arrays: list[OpenArray] = []
        try:
            for name in variables or (None,):
                self._arrays.append(open_array(path, name))
            found = [self._axes_of(array, axes) for array in self._arrays]
            self._axes = found[0]
            first = self._arrays[0]
            if any(each.shape != first.shape or own != found[0] for each, own in zip(self._arrays, found, strict=True)):
                shapes = ", ".join(str(array.shape) for array in self._arrays)
                raise VideoError(f"{path}: {', '.join(variables)} have different shapes, {shapes}")
        except BaseException:
            self.close()
            raise
        size = dict(zip(self._axes, first.shape, strict=True))
        self.num_sequences, self.num_frames = size.get("N", 1), size.get("T", 1)
        self._own_channels = size.get("C", 1)
        self.channels = self._own_channels * len(self._arrays)
        self.size = size["H"], size["W"]
        self.times_seconds = first.times_seconds
        if self.times_seconds is not None and len(self.times_seconds) != self.num_frames:
            self.times_seconds = None
        self.unit = first.unit

    def _axes_of(self, array: OpenArray, axes: str | None) -> str:
        found = axes or array.axes or usual_axes(len(array.shape))
        kind = f"{array.dtype} {tuple(array.shape)}"
        if found is None:
            raise VideoError(f"{self._path}: its array is {kind}, say what its axes are (option axes), such as NHWT")
        if len(array.shape) != len(found) or array.dtype.kind not in "iuf" or 0 in array.shape:
            raise VideoError(
                f"{self._path}: its array is {kind}, and numbers of the axes {found} are expected (option axes)"
            )
        return found

    def read(self, sequence: int, frames: Sequence[int]) -> Tensor:
        """See `AbstractFields.read`: the span from the first to the last of the frames is read at once."""
        first, last = min(frames), max(frames)
        place = tuple({"N": sequence, "T": slice(first, last + 1)}.get(axis, slice(None)) for axis in self._axes)
        axes = self._axes.replace("N", "")
        parts = []
        for array in self._arrays:
            with array_faults(self._path):
                values = array.read(place)
            values = values.transpose([axes.index(axis) for axis in LETTERS if axis in axes])
            values = values if "T" in axes else values[None]
            parts.append(values if "C" in axes else values[:, None])
        values = parts[0] if len(parts) == 1 else np.concatenate(parts, 1)
        if [*frames] != [*range(first, last + 1)]:
            values = values[np.asarray(frames) - first]
        if self._missing is not None:
            values[values == np.float32(self._missing)] = np.nan
        return torch.from_numpy(np.ascontiguousarray(values))

    def close(self) -> None:
        """Close the file."""
        for array in self._arrays:
            array.close()
        self._arrays = []


class FrameFiles(AbstractFields):
    """One sequence, each frame of which is a file, in the order of their names.

    Times are told by tags of the files (TIFF) or by dates in their names.

    Args:
        paths: of the files.
        axes, variables, missing: of each, as in `ArrayFile`.
    """

    num_sequences = 1

    def __init__(
        self,
        paths: Sequence[Path],
        axes: str | None = None,
        variables: Sequence[str] = (),
        missing: float | None = None,
    ) -> None:
        self._paths, self._options = list(paths), (axes, variables, missing)
        first = ArrayFile(self._paths[0], *self._options)
        self.channels, self.size, self.unit = first.channels, first.size, first.unit
        first.close()
        self.num_frames = len(self._paths)
        self.times_seconds = _times(self._paths)

    def read(self, sequence: int, frames: Sequence[int]) -> Tensor:
        """See `AbstractFields.read`."""
        found = {}
        for number in dict.fromkeys(frames):
            file = ArrayFile(self._paths[number], *self._options)
            try:
                if (file.channels, file.size, file.num_frames) != (self.channels, self.size, 1):
                    raise VideoError(
                        f"{self._paths[number]}: is {file.num_frames} frames of {file.channels} channels and size "
                        f"{file.size}, the first of the sequence 1 of {self.channels} and {self.size}"
                    )
                found[number] = file.read(0, [0])[0]
            finally:
                file.close()
        return torch.stack([found[number] for number in frames])

    def close(self) -> None:
        """Nothing is open between two reads."""


def covering_fields(video: Tensor, cover: tuple[int, int] | None) -> Tensor:
    """Float (T, C, H, W) so that it just covers a size, aspect kept: means of areas.

    Missing values do not enter means; where nothing is known the mean is missing too.
    """
    size = covering_size((video.shape[-2], video.shape[-1]), cover)
    if size == tuple(video.shape[-2:]):
        return video
    known = ~video.isnan()
    return adaptive_avg_pool2d(torch.where(known, video, 0.0), size) / adaptive_avg_pool2d(known.float(), size)


def _times(paths: Sequence[Path]) -> np.ndarray | None:
    times = seconds_of_names([path.name for path in paths])
    if times is None and all(path.suffix.lower() in (".tif", ".tiff") for path in paths):
        with suppress(OSError, ValueError):  # not even a TIFF: reading says so
            seconds = [tiff_seconds(path) for path in paths]
            known = [each for each in seconds if each is not None]
            if len(known) == len(seconds):
                times = rising(np.array(known) - known[0])
    return times
