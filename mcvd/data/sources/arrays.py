"""`ArrayVideos`: arrays of numbers as videos, such as radar, satellite, thermal or depth sequences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import inf
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mcvd.data.sources.array_file import ENDINGS, open_array, unpacked
from mcvd.data.videos import AbstractVideos, check_request
from mcvd.video.decoders.base import VideoError
from mcvd.video.timing import FrameTimes

_AXES = "NTCHW"


class ArrayVideos(AbstractVideos):
    """Sequences of fields in .npy, .npz, HDF5 or NetCDF-4 files, float32 in the unit of the data; NaN where missing.

    A file holds one sequence, or many along the axis N. Only what a clip needs is read, by each process for itself.
    The model needs a `mcvd.models.codecs.Scale`.

    Args:
        root: a file, or a folder of files in the order of their names.
        axes: of the arrays, a letter each: N sequences, T time, C channels, H height, W width; T, H and W are needed.
            "THW" is one sequence of one channel, "NHWT" many as SEVIR stores them.
        variable: name of the array in a file that holds several; None: the only one that fits.
        missing: a number that stands for missing values, beside NaN and what the file itself declares.
        frame_rate_hz: of all sequences; None: it is unknown.

    Raises (on first use):
        FileNotFoundError: there is no such file.
        VideoError: a file is damaged, or not of these axes.
        ModuleNotFoundError: for HDF5 and NetCDF-4 without the package h5py.

    Examples:
        >>> np.save("/tmp/rain.npy", np.zeros((20, 32, 32), np.float32))  # doctest: +SKIP
        >>> ArrayVideos("/tmp/rain.npy").read(0, [0, 1], (32, 32)).shape  # doctest: +SKIP
        torch.Size([2, 1, 32, 32])
    """

    def __init__(
        self,
        root: str | Path,
        axes: str = "THW",
        variable: str | None = None,
        missing: float | None = None,
        frame_rate_hz: float | None = None,
    ) -> None:
        if len(set(axes)) != len(axes) or not set("THW") <= set(axes) <= set(_AXES):
            raise ValueError(f"axes must be letters of {_AXES}, each once and T, H and W among them, got {axes!r}")
        if frame_rate_hz is not None and not 0 < frame_rate_hz < inf:
            raise ValueError(f"frame_rate_hz must be more than 0, got {frame_rate_hz}")
        self.root, self.axes, self.variable = Path(root), axes, variable
        self.missing, self.frame_rate_hz = missing, frame_rate_hz

    @cached_property
    def _found(self) -> SimpleNamespace:
        """The sequences of the files, listed on first use."""
        root = self.root
        if root.is_dir():
            paths = sorted(path for path in root.iterdir() if path.suffix in ENDINGS)
        else:
            paths = [root] if root.is_file() and root.suffix in ENDINGS else []
        if not paths:
            raise FileNotFoundError(f"no arrays at {root}: name a file or a folder of files that end in {ENDINGS}")
        entries, sizes = [], []
        for number, path in enumerate(paths):
            with open_array(path, self.variable) as array:
                if len(array.shape) != len(self.axes) or array.dtype.kind not in "iuf" or 0 in array.shape:
                    raise VideoError(
                        f"{path}: its array is {array.dtype} {tuple(array.shape)}, and numbers of the axes {self.axes} "
                        "are expected (option axes)"
                    )
                size = dict(zip(self.axes, array.shape, strict=True))
            entries += [(number, sequence, size["T"]) for sequence in range(size.get("N", 1))]
            sizes.append(size.get("C", 1))
        if len(set(sizes)) > 1:
            raise VideoError(f"{root}: the files have different numbers of channels, {sorted(set(sizes))}")
        return SimpleNamespace(paths=paths, entries=np.array(entries, np.int64), channels=sizes[0])

    @property
    def channels(self) -> int:
        """Of the axis C, or 1."""
        return self._found.channels

    def __len__(self) -> int:
        return len(self._found.entries)

    def times_seconds(self, index: int) -> np.ndarray:
        """Evenly spaced times of the frames, float64 (num_frames,)."""
        return self.frame_times(index).starts

    def frame_times(self, index: int) -> FrameTimes:
        """Evenly spaced times of the frames."""
        return FrameTimes.counted(int(self._found.entries[index, 2]), self.frame_rate_hz)

    def name(self, index: int) -> str:
        """The file, and the number of the sequence where it has several."""
        number, sequence, _ = self._found.entries[index].tolist()
        name = self._found.paths[number].name
        return f"{name}[{sequence}]" if "N" in self.axes else name

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames, float32 (T, C, H, W): as stored if that just covers ``cover``, otherwise means of areas.

        Missing values do not enter means; where nothing is known the mean is missing too.
        """
        number, sequence, length = self._found.entries[index].tolist()
        check_request(index, frames, len(self), length)
        path, wanted = self._found.paths[number], sorted(set(frames))
        with open_array(path, self.variable) as array:
            place = tuple(
                {"N": sequence, "T": slice(wanted[0], wanted[-1] + 1)}.get(axis, slice(None)) for axis in self.axes
            )
            values = unpacked(array, np.asarray(array[place]))
        if self.missing is not None:
            values[values == np.float32(self.missing)] = np.nan
        axes = self.axes.replace("N", "")
        values = values.transpose([axes.index(axis) for axis in _AXES if axis in axes])
        video = torch.from_numpy(np.ascontiguousarray(values))
        video = video if "C" in axes else video[:, None]
        return _covering(video[[frame - wanted[0] for frame in frames]], cover)


def _covering(video: Tensor, cover: tuple[int, int]) -> Tensor:
    """Float (T, C, H, W) so that it just covers a size, keeping its aspect."""
    height, width = video.shape[-2:]
    factor = max(cover[0] / height, cover[1] / width)
    size = max(cover[0], round(factor * height)), max(cover[1], round(factor * width))
    if size == (height, width):
        return video
    known = ~video.isnan()
    mean = adaptive_avg_pool2d(torch.where(known, video, 0.0), size) / adaptive_avg_pool2d(known.float(), size)
    return mean  # 0 / 0 is NaN: nothing known
