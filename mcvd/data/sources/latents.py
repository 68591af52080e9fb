"""`LatentVideos`: training videos whose frames were encoded once, latents in a pack that is mapped into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from mcvd.data.clips.spec import ClipSpec
from mcvd.data.sources.memmap import FRAMES, INDEX, check_pack, write_frames
from mcvd.data.videos import AbstractVideos, VideosWrapper, add_videos, check_request
from mcvd.runtime.piece_store import PieceStore
from mcvd.runtime.workdir import resumable_workdir
from mcvd.video.transforms import fit_frames

_FRAMES_AT_ONCE = 32  # bounds the memory for a long video
_NUM_CHECKED = 16  # videos of a complete pack
_SAME = 0.05  # more than a frame alone and among others differ by, rounded to float16


class LatentVideos(VideosWrapper):
    """Videos that are read as the latents which a codec made of their frames before (`write_latents`).

    Args:
        videos: those that were encoded; they tell all but the frames.
        folder: the pack.
        spec: the clips that are wanted, in pixels.

    Raises:
        FileNotFoundError: there is no pack.
        VideoError: it is damaged.
        ValueError: it is of other videos, of another size, or clips are wanted that cannot be made of latents.
    """

    def __init__(self, videos: AbstractVideos, folder: str | Path, spec: ClipSpec) -> None:
        super().__init__(videos)
        self.folder = Path(folder)
        if not (self.folder / INDEX).is_file():
            raise FileNotFoundError(f"no latents in {folder}: make them with mcvd data encode")
        index = check_pack(self.folder, content=False)
        if index.get("dtype") != "float16":
            raise ValueError(f"{folder} holds pixels, no latents: make these with mcvd data encode")
        found = (*index["pixels"][:2], index["pixels"][2])
        if found != (*spec.size, spec.channels):
            raise ValueError(
                f"{folder}: is of frames of (H, W, C) {found}, wanted are {(*spec.size, spec.channels)}: encode again"
            )
        if spec.flip or spec.crop != "centre":
            raise ValueError("latents are of whole frames as they are: leave out flip and crop, or data.latents")
        names = [videos.name(number) for number in range(len(videos))]
        lengths = [len(videos.times_seconds(number)) for number in range(len(videos))]
        told = index.get("videos")  # not by packs of before
        if told not in (None, _digest(videos)) or names != index["names"] or lengths != index["lengths"]:
            raise ValueError(f"{folder}: is of other videos than those that are trained on: encode again")
        self.codec = str(index["codec"])  # digest
        self.size: tuple[int, int] = (int(index["size"][0]), int(index["size"][1]))
        self._channels, self._ends = int(index["size"][2]), np.cumsum(lengths)

    @property
    def channels(self) -> int:
        """Channels of the latents."""
        return self._channels

    @cached_property
    def _stored(self) -> NDArray[np.float16]:
        return np.memmap(self.folder / FRAMES, np.float16, "r").reshape(-1, *self.size, self._channels)

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Latents of some frames, float16 (T, c, h, w)."""
        length = len(self.times_seconds(index))
        check_request(index, frames, len(self), length)
        latents = self._stored[int(self._ends[index]) - length + np.asarray(frames, int)]
        return torch.from_numpy(rearrange(latents, "t h w c -> t c h w"))

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_stored"}  # a map is of its process


def write_latents(
    folder: str | Path,
    videos: AbstractVideos,
    spec: ClipSpec,
    size: tuple[int, int, int],
    encode: Callable[[Tensor], Tensor],
    codec: str,
    done: Callable[[int], object],
    log: Callable[[str], None] = logging.getLogger(__name__).info,
) -> bool:
    """Encode every frame of some videos into a pack, written atomically.

    What was encoded before an interruption is kept in a hidden folder beside it, and the same call resumes from there:
    the same codec, size of frames and videos, by their names, numbers of bytes and the times of their frames. What is
    kept of other frames, by the first of every 32, is encoded again.

    Args:
        folder: the pack, new, or made by the same call before.
        videos: what is encoded, all frames as they come.
        spec: size and channels of the frames.
        size: h, w and c of the latents.
        encode: frames, uint8 (T, C, H, W), to latents, float (T, c, h, w).
        codec: digest of the codec, by which a model knows that the latents are of its own.
        done: called with the number of frames that are encoded.
        log: called with a line that the user should see: what is resumed, and what an interruption leaves.

    Returns:
        Whether anything was written: not, where all of it was there.

    Raises:
        ValueError: another process is at work on ``folder``.
        FileExistsError: it holds something else.
        VideoError: it is damaged.
        OSError: something cannot be written.
    """
    told = {"dtype": "float16", "pixels": [*spec.size, spec.channels], "codec": codec, "videos": _digest(videos)}

    def encoded(number: int, frames: Sequence[int]) -> Tensor:
        shown = fit_frames(videos.read(number, frames, spec.size), spec.size, spec.channels)
        found = rearrange(encode(shown), "t c h w -> t h w c").half().cpu()
        if not found.isfinite().all():
            raise ValueError(f"latents of {videos.name(number)} are not finite: this codec is of no use")
        return found

    def is_of(number: int, frame: int, kept: Tensor) -> bool:
        """Whether latents (h, w, c) that were made before are still those of this frame."""
        return torch.allclose(encoded(number, [frame])[0].float(), kept.float(), rtol=_SAME, atol=_SAME)

    if (Path(folder) / INDEX).exists():
        _check_complete(Path(folder), told, is_of)
        with resumable_workdir(folder, told, lambda line: None):  # a command that was killed at its end left it
            return False
    with resumable_workdir(folder, told, log) as work:
        pieces, numbers = PieceStore(work), count()

        def latents(number: int) -> Iterator[NDArray[np.float16]]:
            every = range(len(videos.times_seconds(number)))
            for start in every[::_FRAMES_AT_ONCE]:
                wanted = every[start : start + _FRAMES_AT_ONCE]
                piece = next(numbers)
                found = pieces.load(piece, (len(wanted), *size), torch.float16)
                if found is None or not is_of(number, start, found[0]):
                    found = encoded(number, wanted)
                    pieces.save(piece, found)
                yield found.numpy()
                done(len(wanted))

        write_frames(folder, ((videos.name(number), latents(number)) for number in range(len(videos))), told)
    return True


def _check_complete(folder: Path, told: dict[str, Any], is_of: Callable[[int, int, Tensor], bool]) -> None:
    """Refuse a pack that is there and is not what is asked for; of its frames the first of some videos is looked at."""
    found = check_pack(folder, content=False)
    stored = np.memmap(folder / FRAMES, np.float16, "r").reshape(-1, *found["size"])
    starts = np.cumsum([0, *found["lengths"]])[:-1]
    few = range(0, len(starts), max(1, len(starts) // _NUM_CHECKED))
    same = {name: found.get(name) for name in told} == told
    if not (same and all(is_of(number, 0, torch.from_numpy(stored[starts[number]].copy())) for number in few)):
        raise FileExistsError(
            f"{folder} is of other videos, or of another codec or size: choose another folder, nothing was written"
        )


def _digest(videos: AbstractVideos) -> str:
    digest = blake2b(digest_size=20)
    add_videos(digest, videos)
    return digest.hexdigest()
