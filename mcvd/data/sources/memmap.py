"""`MemmapVideos`: prepared videos of one small size, raw pixels that are mapped into memory; and their packs."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from mcvd.data.listed import ListedVideos, Listing
from mcvd.data.videos import check_request
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.error_text import one_line
from mcvd.video.decoders.base import VideoError
from mcvd.video.transforms import scale_to_cover

FRAMES, INDEX = "frames.bin", "index.json"


def write_pack(folder: str | Path, videos: Iterable[tuple[str, NDArray[np.uint8]]], frame_rate_hz: float) -> None:
    """Write videos of one size as a pack: a folder of ``frames.bin`` and ``index.json``, written atomically.

    Args:
        folder: the pack.
        videos: (name, uint8 (T, H, W, C)), all of one H, W and C, C being 1 or 3.
        frame_rate_hz: frames per second.

    Raises:
        ValueError: if there is no video, or one is not of that kind.
    """

    def checked() -> Iterator[tuple[str, Iterable[NDArray[np.uint8]]]]:
        for name, video in videos:
            if video.dtype != np.uint8 or video.ndim != 4 or video.shape[3] not in (1, 3) or not video.size:
                raise ValueError(f"{name}: must be uint8 (T, H, W, C), got {video.dtype} {video.shape}")
            yield name, (video,)

    write_frames(folder, checked(), {"frame_rate_hz": frame_rate_hz})


def write_frames(
    folder: str | Path, videos: Iterable[tuple[str, Iterable[NDArray[Any]]]], told: dict[str, Any]
) -> None:
    """Write frames of one size and dtype as a pack, atomically.

    Args:
        folder: the pack.
        videos: (name, parts of its frames in a row, each (T, H, W, C)).
        told: what else its index says.

    Raises:
        ValueError: if there is no video, or they are not of one size.
    """
    names: list[str] = []
    lengths: list[int] = []
    digest = hashlib.sha256()
    size: tuple[int, ...] = ()
    with atomic_write(folder) as part:
        part.mkdir()
        with (part / FRAMES).open("wb") as file:
            for name, parts in videos:
                lengths.append(0)
                for frames in parts:
                    size = size or frames.shape[1:]
                    if frames.shape[1:] != size:
                        raise ValueError(f"{name}: is (H, W, C) {frames.shape[1:]}, the pack {folder} holds {size}")
                    content = np.ascontiguousarray(frames).data
                    file.write(content)
                    digest.update(content)
                    lengths[-1] += len(frames)
                names.append(name)
            if not names:
                raise ValueError(f"{folder}: there is no video to write into this pack")
        index = {"size": list(size), "sha256": digest.hexdigest(), "names": names, "lengths": lengths} | told
        (part / INDEX).write_text(json.dumps(index, ensure_ascii=False) + "\n", encoding="utf-8")


def check_pack(folder: str | Path, content: bool = True) -> dict[str, Any]:
    """The index of a pack, after checking its frames against it.

    Args:
        folder: the pack.
        content: read all pixels and compare their digest; otherwise compare only the size.

    Raises:
        ValueError: if the pack is damaged; says what to do.
    """
    folder = Path(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        height, width, channels = (int(number) for number in index["size"])
        lengths = [int(length) for length in index["lengths"]]
        dtype = np.dtype(index.get("dtype", "uint8"))
        sound = min(height, width, channels, *lengths) > 0 and dtype in (np.uint8, np.float16)
        if dtype == np.uint8:
            sound = sound and channels in (1, 3) and 0 < float(index["frame_rate_hz"]) < math.inf
        if not sound or len(index["names"]) != len(lengths):
            raise ValueError("impossible numbers")
        expected, found = sum(lengths) * height * width * channels * dtype.itemsize, (folder / FRAMES).stat().st_size
        if found != expected:
            raise ValueError(f"{FRAMES} has {found} bytes, {expected} expected")
        if content:
            with (folder / FRAMES).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != index["sha256"]:
                    raise ValueError(f"{FRAMES} is not what was written")
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise VideoError(f"{folder}: damaged ({one_line(error)}); delete this folder and prepare again") from None
    return index


class MemmapVideos(ListedVideos):
    """Prepared videos: all packs below a folder, in the order of their paths.

    Frames are read through a memory map that is opened for each clip, so workers share its pages.

    Args:
        root: a split of the prepared data, such as ``data/kth/train``.

    Raises (on first use):
        FileNotFoundError: if nothing is prepared there.
        VideoError: if a pack is damaged.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @cached_property
    def _found(self) -> SimpleNamespace:
        """The packs, listed on first use: a collection can be named in a configuration without its data."""
        root = self.root
        folders = sorted(path.parent for path in self.root.rglob(INDEX) if not path.parent.name.startswith("."))
        if not folders:
            raise FileNotFoundError(
                f"no prepared data in {root}: run the recipe's prepare.py first, or name their place "
                "(--data.train.init_args.root, --data.val.init_args.root)"
            )
        names: list[str] = []
        rates: list[float] = []
        places, sizes = [], []
        for number, folder in enumerate(folders):
            index = check_pack(folder, content=False)
            if "dtype" in index:
                raise VideoError(f"{folder} holds latents: name it as data.latents, beside the videos")
            ends = np.cumsum(index["lengths"])
            places.append(np.stack([np.full(len(ends), number), ends - index["lengths"], index["lengths"]], 1))
            names += [str(name) for name in index["names"]]
            sizes.append(tuple(index["size"]))
            rates.append(float(index["frame_rate_hz"]))
        if len({size[2] for size in sizes}) > 1:
            raise VideoError(f"{root}: holds grey and coloured packs; name one kind")
        # places: (num_videos, 3): pack, first frame, number of frames
        return SimpleNamespace(folders=folders, names=names, rates=rates, sizes=sizes, places=np.concatenate(places))

    @cached_property
    def _listing(self) -> Listing:
        found = self._found
        rates = [found.rates[pack] for pack in found.places[:, 0].tolist()]
        return Listing(found.names, found.places[:, 2], rates, found.sizes[0][2])

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, uint8 (T, C, H, W): as stored if that just covers ``cover``, otherwise scaled."""
        pack, first, length = self._found.places[index].tolist()
        check_request(index, frames, len(self), length)
        height, width, channels = self._found.sizes[pack]
        offset = first * height * width * channels
        path = self._found.folders[pack] / FRAMES
        stored = np.memmap(path, np.uint8, "r", offset, (length, height, width, channels))
        video = torch.from_numpy(rearrange(stored[np.asarray(frames, int)], "t h w c -> t c h w"))
        return scale_to_cover(video, cover)
