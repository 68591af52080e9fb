"""The reader of animated pictures: WebP, AVIF, animated PNG, stacks of TIFF, and GIFs that FFmpeg miscounts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mcvd.video.decoders.base import AbstractReader, VideoError
from mcvd.video.decoders.frame_folder import stated_facts
from mcvd.video.decoders.pictures import (
    check_sides,
    count_frames,
    declared_levels,
    lost_levels,
    opened_picture,
    picture_faults,
    to_rgb,
)
from mcvd.video.timing import FrameTimes

# How files begin that FFmpeg does not read, or reads as their first frame alone: offset, bytes.
_SIGNATURES = ((8, b"WEBP"), (0, b"\x89PNG\r\n\x1a\n"), (0, b"II*\x00"), (0, b"MM\x00*"), (0, b"II+\x00"))
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_SEQUENCES = frozenset({b"hevc", b"hevx", b"heis", b"msf1"})
# As browsers do: what claims to be shown for no time is shown for a tenth of a second.
_UNTIMED_SECONDS = 0.1
_SHORTEST_GIF_SECONDS = 0.02
_MAX_PIXELS = 1 << 25  # of a frame, a little more than 8K: a small file can claim any number, and decoders keep several


def is_animation(path: Path) -> bool:
    """Whether a file is of a kind that `AnimationReader` reads, by how it begins; of one frame or of many.

    Raises:
        VideoError: if it is a sequence of HEIF pictures, of which FFmpeg would give the still picture beside them.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # each of what open() asks for beside costs time
    try:
        head = os.read(file, 64)
    finally:
        os.close(file)
    if head[4:8] == b"ftyp":
        brands = {head[8:12]} | {head[place : place + 4] for place in range(16, min(len(head), head[3]), 4)}
        if _AVIF_BRANDS & brands:
            return True
        if brands & _HEIF_SEQUENCES and head[8:12] in _HEIF_SEQUENCES | {b"heic", b"heix", b"mif1"}:
            raise VideoError(f"{path}: a sequence of HEIF pictures cannot be read; convert it to mp4 first")
    return any(head[offset : offset + len(text)] == text for offset, text in _SIGNATURES)


def num_pictures(path: Path) -> int:
    """How many frames a picture file holds: more than one if it is animated."""
    with opened_picture(path) as picture:
        return count_frames(picture)


class AnimationReader(AbstractReader):
    """Reads all frames of an animated picture with Pillow, each laid on those before it as the file says.

    Stacks of TIFF tell no times: their frame rate is unknown unless a file ``frames.yaml`` beside states it, see
    `mcvd.video.decoders.frame_folder`. Transparent pixels are laid on black.

    Args:
        path: the file.
        frame_rate_hz: frames per second of a file that does not tell it; None: nobody knows.
    """

    def __init__(self, path: str | Path, frame_rate_hz: float | None = None) -> None:
        self.path = Path(path)
        stated = stated_facts(self.path.parent)
        self._levels = stated.levels
        with picture_faults(self.path):
            picture = self._picture = Image.open(self.path)
        with self._ending_on_faults():
            check_sides(self.path, picture)
            if picture.width * picture.height > _MAX_PIXELS:
                raise VideoError(
                    f"{self.path}: says that its frames are {picture.width}x{picture.height} pixels; an animated "
                    f"picture is read up to {_MAX_PIXELS / 1e6:.0f} million, make a video of it"
                )
            # The picture that stands in for the animation where none can be shown is no frame of it.
            self._first = int(bool(picture.info.get("default_image")) and count_frames(picture) > 1)
            num_frames = count_frames(picture) - self._first
            upright = ImageOps.exif_transpose(picture)
            self.size = (upright.height, upright.width)
            shown = [_shown_seconds(picture, self._first + number) for number in range(num_frames)]
        told = _told_times(shown) if num_frames > 1 else None
        self.times = told or FrameTimes.counted(num_frames, stated.frame_rate_hz or frame_rate_hz)
        self.frame_rate_hz = self.times.told_rate_hz
        lost = "" if self._levels else lost_levels([self.path])
        self.notes = (lost,) if lost else ()

    def _read(self, frames: Sequence[int], size: tuple[int, int]) -> Tensor:
        height, width = size
        video = torch.empty(len(frames), 3, height, width, dtype=torch.uint8)
        with self._ending_on_faults():
            for place in np.argsort(frames, kind="stable").tolist():
                if self._first + frames[place] < self._picture.tell():
                    self._begin_anew()
                picture = self._picture
                picture.seek(self._first + frames[place])
                picture.load()
                frame = to_rgb(ImageOps.exif_transpose(picture), self._levels or declared_levels(picture))
                if (frame.height, frame.width) != self.size:
                    raise VideoError(
                        f"{self.path}: frame {frames[place]} is {frame.width}x{frame.height}, "
                        f"the first is {self.size[1]}x{self.size[0]}"
                    )
                if frame.size != (width, height):
                    frame = frame.resize((width, height), Image.Resampling.BICUBIC)
                video[place] = torch.from_numpy(np.array(frame)).permute(2, 0, 1)
        return video

    def _begin_anew(self) -> None:
        """Go back: Pillow cannot in a PNG with a picture that is no frame, and elsewhere begins anew as well."""
        self._picture.close()
        self._picture = Image.open(self.path)

    def close(self) -> None:
        """Give the file back."""
        self._picture.close()

    @contextmanager
    def _ending_on_faults(self) -> Iterator[None]:
        """As `picture_faults`; a decoder that failed is not used again."""
        try:
            with picture_faults(self.path):
                yield
        except VideoError:
            self.close()
            raise


def _shown_seconds(picture: Image.Image, number: int) -> tuple[float, float]:
    """(since when, how long) a frame is shown; 0 where the file does not say, as all but AVIF do of the first."""
    picture.seek(number)
    if picture.format in ("WEBP", "AVIF"):
        picture.load()  # these learn it by decoding
    start = picture.info.get("timestamp", 0) if picture.format == "AVIF" else 0
    duration = picture.info.get("duration", 0)
    seconds = float(duration) / 1000 if isinstance(duration, int | float) else 0.0
    if picture.format == "GIF" and seconds < _SHORTEST_GIF_SECONDS:
        return 0.0, _UNTIMED_SECONDS  # also of a hundredth, as FFmpeg and browsers do
    return float(start) / 1000, seconds


def _told_times(shown: list[tuple[float, float]]) -> FrameTimes | None:
    """Times of frames of which each is shown since and for so many seconds; None where nothing is told."""
    starts, durations = np.array(shown).T
    if not durations.any():
        return None
    durations = np.where(durations > 0, durations, _UNTIMED_SECONDS)
    if (np.diff(starts) <= 0).any():
        starts = np.concatenate([[0.0], np.cumsum(durations[:-1])])
    # Otherwise they are told, and a sum of durations, each rounded to a millisecond, would run away from them.
    return FrameTimes(starts - starts[0], float(starts[-1] - starts[0] + durations[-1]))
