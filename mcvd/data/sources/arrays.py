"""`ArrayVideos`: arrays of numbers as videos, such as radar, satellite, thermal or depth sequences."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mcvd.data.listed import ListedVideos, Listing
from mcvd.data.videos import check_request
from mcvd.video.arrays.axes import LETTERS, check_axes
from mcvd.video.arrays.find import Place, find_places, open_place
from mcvd.video.arrays.sequences import AbstractFields, covering_fields
from mcvd.video.decoders.base import VideoError
from mcvd.video.timing import FrameTimes

_MAX_OPEN = 8  # files at once, of each process


@dataclass(frozen=True)
class _Found:
    """What is there: the files, and (file, sequence in it) of each video; times where files tell them."""

    places: list[Place]
    entries: np.ndarray
    times: list[np.ndarray | None]
    listing: Listing


class ArrayVideos(ListedVideos):
    """Sequences of fields in files of arrays, float32 in the unit of the data; NaN where missing.

    .npy, .npz, Zarr, HDF5, NetCDF, TIFF stacks, GeoTIFF series, DICOM and 16-bit PNG. A file holds one sequence, or
    many along the axis N; files of one frame each are the frames of one sequence, those of each folder together.
    Only what a clip needs is read, by each process for itself. The model needs a `mcvd.models.codecs.Scale`.

    Args:
        root: a file, a folder of files in the order of their names, or a folder of folders of frames.
        axes: of the arrays, a letter each: N sequences, T time, C channels, H height, W width; H and W are needed.
            "THW" is one sequence of one channel, "NHWT" many as SEVIR stores them, "HW" one frame a file. None: as the
            files tell, otherwise by their number HW, THW, TCHW or NTCHW.
        variable: name of the array in a file that holds several, or of several that become channels; None: the only
            one that fits.
        missing: a number that stands for missing values, beside NaN and what the file itself declares.
        frame_rate_hz: of all sequences, in place of what the files tell; None: as they tell, or unknown.

    Raises (on first use):
        FileNotFoundError: there is no such file.
        VideoError: a file is damaged, or not of these axes.
        ModuleNotFoundError: a package that the format needs is not installed.

    Examples:
        >>> np.save("/tmp/rain.npy", np.zeros((20, 32, 32), np.float32))  # doctest: +SKIP
        >>> ArrayVideos("/tmp/rain.npy").read(0, [0, 1], (32, 32)).shape  # doctest: +SKIP
        torch.Size([2, 1, 32, 32])
    """

    def __init__(
        self,
        root: str | Path,
        axes: str | None = None,
        variable: str | list[str] | None = None,
        missing: float | None = None,
        frame_rate_hz: float | None = None,
    ) -> None:
        if axes is not None and not check_axes(axes):
            raise ValueError(f"axes must be letters of {LETTERS}, each once and H and W among them, got {axes!r}")
        if frame_rate_hz is not None and not 0 < frame_rate_hz < inf:
            raise ValueError(f"frame_rate_hz must be more than 0, got {frame_rate_hz}")
        self.root, self.axes, self.variable = Path(root), axes, variable
        self.missing, self.frame_rate_hz = missing, frame_rate_hz
        self._opened: tuple[int, dict[int, AbstractFields]] = (0, {})

    @property
    def _options(self) -> tuple[str | None, tuple[str, ...], float | None]:
        names = self.variable
        return self.axes, () if names is None else (names,) if isinstance(names, str) else tuple(names), self.missing

    @cached_property
    def _found(self) -> _Found:
        """The sequences of the files, listed on first use."""
        axes, variables, _ = self._options
        places = find_places(self.root, axes, variables)
        entries: list[tuple[int, int]] = []
        names, lengths, times, channels = [], [], [], set()
        for number, place in enumerate(places):
            with closing(open_place(place, *self._options)) as fields:
                several = fields.num_sequences > 1 or (axes is not None and "N" in axes)
                entries += [(number, sequence) for sequence in range(fields.num_sequences)]
                lengths += [fields.num_frames] * fields.num_sequences
                times.append(fields.times_seconds)
                channels.add(fields.channels)
                name = place[0].name if len(place) == 1 else place[0].parent.name
                names += [f"{name}[{s}]" if several else name for s in range(fields.num_sequences)]
        if len(channels) > 1:
            raise VideoError(f"{self.root}: the files have different numbers of channels, {sorted(channels)}")
        listing = Listing(names, np.array(lengths, np.int64), self.frame_rate_hz, channels.pop())
        return _Found(places, np.array(entries, np.int64), times, listing)

    @property
    def _listing(self) -> Listing:
        return self._found.listing

    def frame_times(self, index: int) -> FrameTimes:
        """Times of the frames: as the files tell, or evenly spaced."""
        times = self._found.times[self._found.entries[index, 0]]
        if times is None or self.frame_rate_hz is not None:
            return super().frame_times(index)
        return FrameTimes.of(times)

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames, float32 (T, C, H, W): as stored if that just covers ``cover``, otherwise means of areas.

        Missing values do not enter means; where nothing is known the mean is missing too.
        """
        check_request(index, frames, len(self), int(self._listing.lengths[index]))
        number, sequence = self._found.entries[index].tolist()
        return covering_fields(self._open(number).read(sequence, frames), cover)

    def _open(self, number: int) -> AbstractFields:
        """A file, kept open: of this process, as libraries and their locks do not survive a fork."""
        process, files = self._opened
        if process != os.getpid():
            files = {}
            self._opened = os.getpid(), files
        fields = files.pop(number, None) or open_place(self._found.places[number], *self._options)
        files[number] = fields  # the last used is the last
        while len(files) > _MAX_OPEN:
            files.pop(next(iter(files))).close()
        return fields

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": (0, {})}
