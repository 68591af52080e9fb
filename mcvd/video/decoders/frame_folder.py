"""The reader of videos that are folders of numbered pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mcvd.runtime.error_text import one_line
from mcvd.video.decoders.base import FRAME_SUFFIXES, AbstractReader, VideoError
from mcvd.video.timing import NOMINAL_RATE_HZ, FrameTimes


class FrameFolderReader(AbstractReader):
    """Reads a folder whose pictures (png, jpg, ...) are the frames, in natural order: 2.png before 10.png.

    Frames of another size than the first are refused. Transparent pixels are laid on black.

    Args:
        path: the folder; hidden files and files of other kinds in it are passed over.
        frame_rate_hz: frames per second, which the pictures do not tell.
    """

    def __init__(self, path: str | Path, frame_rate_hz: float = NOMINAL_RATE_HZ) -> None:
        if not 0 < frame_rate_hz < np.inf:
            raise ValueError(f"frame_rate_hz must be more than 0, got {frame_rate_hz}")
        self.path = Path(path)
        try:
            files = [file for file in self.path.iterdir() if file.suffix.lower() in FRAME_SUFFIXES]
        except PermissionError:
            raise VideoError(f"{self.path}: permission denied") from None
        self._files = sorted((file for file in files if not file.name.startswith(".")), key=_natural_order)
        if not self._files:
            raise VideoError(f"{self.path}: the folder holds no pictures ({', '.join(sorted(FRAME_SUFFIXES))})")
        self.frame_rate_hz = float(frame_rate_hz)
        self.times = FrameTimes(np.arange(len(self._files)) / self.frame_rate_hz, len(self._files) / self.frame_rate_hz)
        first = _load(self._files[0])
        self.size = (first.height, first.width)

    def _read(self, frames: Sequence[int], size: tuple[int, int]) -> Tensor:
        height, width = size
        video = torch.empty(len(frames), 3, height, width, dtype=torch.uint8)
        for place, number in enumerate(frames):
            picture = _load(self._files[number])
            if (picture.height, picture.width) != self.size:
                raise VideoError(
                    f"{self._files[number]}: is {picture.width}x{picture.height}, "
                    f"the first frame of the folder is {self.size[1]}x{self.size[0]}"
                )
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.BICUBIC)
            video[place] = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        return video

    def close(self) -> None:
        """Nothing is held open between reads."""


def _natural_order(file: Path) -> tuple[list[tuple[int, str]], str]:
    """Numbers within names count as numbers; the name itself decides between 1.png and 01.png."""
    parts = re.findall(r"\d+|\D+", file.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], file.name


def _load(file: Path) -> Image.Image:
    """A picture as upright RGB."""
    try:
        with Image.open(file) as stored:
            stored.load()
            picture = ImageOps.exif_transpose(stored)
    except PermissionError:
        raise VideoError(f"{file}: permission denied") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        fault = one_line(error).replace(f" '{file}'", "")
        raise VideoError(f"{file}: cannot be read as a picture ({fault})") from None
    if picture.mode.startswith("I"):
        # 16 bits of grey: keep the upper 8, Pillow's own conversion would clip at 255.
        return Image.fromarray((np.array(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
