"""`Hdf5Videos`: the HDF5 shards of the published MCVD code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from mcvd.data.listed import ListedVideos, Listing
from mcvd.data.videos import check_request
from mcvd.runtime.error_text import one_line
from mcvd.video.decoders.base import VideoError
from mcvd.video.transforms import scale_to_cover

MAX_FRAME_BYTES = 64 << 20
_TEST_PERSONS = range(21, 26)
Part = Literal["all", "kth-train", "kth-test", "ucf-train", "ucf-test"]


class Hdf5Videos(ListedVideos):
    """Videos in HDF5 shards of the published MCVD code: ``"{video}/{frame}"`` uint8 (H, W[, C]), ``"len/{video}"``.

    Shards are in the order of their names, videos in the order of their numbers. A shard is opened for each clip, in
    the process that reads.

    Args:
        root: a shard (.hdf5, .h5) or a folder of shards.
        part: "all" videos of the shards (BAIR, Cityscapes and Kinetics have a folder for each split), or one side of a
            split: "kth-train" and "kth-test" by person (1 to 20, 21 to 25), "ucf-train" and "ucf-test" by position (of
            the test videos every tenth is used, as published).
        frame_rate_hz: of all videos; the shards do not tell it. None: it is unknown.

    Raises (on first use):
        FileNotFoundError: if there is no shard.
        VideoError: if one is damaged or does not have that layout.
        ModuleNotFoundError: without the package h5py.
    """

    def __init__(self, root: str | Path, part: Part = "all", frame_rate_hz: float | None = None) -> None:
        if frame_rate_hz is not None and not 0 < frame_rate_hz < math.inf:
            raise ValueError(f"frame_rate_hz must be more than 0, got {frame_rate_hz}")
        self.root, self.part, self.frame_rate_hz = Path(root), part, frame_rate_hz

    @cached_property
    def _found(self) -> SimpleNamespace:
        """The videos of the shards, listed on first use."""
        root, part, endings = self.root, self.part, (".hdf5", ".h5")
        if root.is_dir():
            shards = sorted(path for path in root.iterdir() if path.suffix in endings)
        else:
            shards = [root] if root.exists() else []
        if not shards:
            raise FileNotFoundError(f"no HDF5 shard at {root}: name a folder of .hdf5 files, or one such file")
        entries: list[tuple[int, int, int]] = []  # shard, number in it, frames
        for number, shard in enumerate(shards):
            with _open(shard) as file:
                entries += [(number, video, frames) for video, frames in _chosen(shard, file, part, len(entries))]
        if not entries:
            raise VideoError(f"{root}: the shards hold no videos of part {part!r}")
        first, video, _ = entries[0]
        with _open(shards[first]) as file:
            channels = _frame(shards[first], file, video, 0).shape[2]
        return SimpleNamespace(shards=shards, entries=np.array(entries, np.int64), channels=channels)

    @cached_property
    def _listing(self) -> Listing:
        names = [f"{self._found.shards[shard].name}/{video}" for shard, video, _ in self._found.entries.tolist()]
        return Listing(names, self._found.entries[:, 2], self.frame_rate_hz, self._found.channels)

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, uint8 (T, C, H, W): as stored if that just covers ``cover``, otherwise scaled."""
        shard, video, length = self._found.entries[index].tolist()
        check_request(index, frames, len(self), length)
        path = self._found.shards[shard]
        with _open(path) as file:
            stored = [_frame(path, file, video, frame) for frame in frames]
        if len({frame.shape for frame in stored}) > 1 or stored[0].shape[2] != self._found.channels:
            raise VideoError(f"{path}: video {video} has frames of different shapes")
        return scale_to_cover(torch.from_numpy(rearrange(np.stack(stored), "t h w c -> t c h w")), cover)


def _chosen(path: Path, file: Any, part: Part, before: int) -> list[tuple[int, int]]:
    """(number, frames) of the videos of a part in one shard."""
    try:
        names = sorted((name for name in file["len"] if name.isdecimal()), key=int)
        lengths = {int(name): _number(file["len"][name]) for name in names}
        if any(length < 1 or length > len(file[str(video)]) for video, length in lengths.items()):
            raise ValueError("a video has fewer frames than its length tells")
        if part.startswith("kth"):
            test = {video for video in lengths if _number(file["person"][str(video)]) in _TEST_PERSONS}
            return [item for item in lengths.items() if (item[0] in test) == (part == "kth-test")]
        if part.startswith("ucf"):
            if before:
                raise ValueError("the split of UCF-101 by place needs all videos in one shard")
            train, every_tenth = _number(file["num_train"]), _number(file["num_test"]) // 10
            places = range(train) if part == "ucf-train" else range(train, train + 10 * every_tenth, 10)
            return [(video, lengths[video]) for video in places]
    except (KeyError, ValueError, TypeError, AttributeError, OSError, RuntimeError) as error:
        raise VideoError(f"{path}: not a shard of the published MCVD code ({one_line(error)})") from None
    return list(lengths.items())


def _number(dataset: Any) -> int:
    if dataset.shape != () or dataset.dtype.kind not in "iu":
        raise ValueError(f"{dataset.name} is not a whole number")
    return int(dataset[()])


def _frame(path: Path, file: Any, video: int, number: int) -> np.ndarray:
    """One stored frame, uint8 (H, W, C); its size is checked before memory is allocated."""
    place = f"{path}: frame {number} of video {video}"
    try:
        stored = file[f"{video}/{number}"]
        shape, dtype = stored.shape, stored.dtype
        is_picture = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
        if not is_picture or min(shape) < 1 or dtype != np.uint8 or math.prod(shape) > MAX_FRAME_BYTES:
            raise VideoError(f"{place} is {dtype} {shape}; uint8 (H, W) or (H, W, C) expected")
        pixels = stored[()]
    except (KeyError, OSError, RuntimeError, AttributeError) as error:
        raise VideoError(f"{place} cannot be read ({one_line(error)})") from None
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _open(path: Path) -> Any:
    try:
        import h5py

        return h5py.File(path, "r", locking=False)
    except ModuleNotFoundError:
        raise ModuleNotFoundError("HDF5 shards need the package h5py: python -m pip install 'mcvd[recipes]'") from None
    except OSError as error:
        raise VideoError(f"{path}: cannot be read as HDF5 ({one_line(error)})") from None
