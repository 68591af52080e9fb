"""The reader of videos that are folders of numbered pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mcvd.runtime.yaml_file import read_yaml
from mcvd.video.decoders.base import FRAME_SUFFIXES, VIDEO_SUFFIXES, AbstractReader, VideoError
from mcvd.video.decoders.frame_names import FrameSequence, choose_sequence, find_sequences, frame_pictures
from mcvd.video.decoders.pictures import check_still, load_picture, lost_levels, opened_picture
from mcvd.video.timing import FrameTimes

STATEMENT = "frames.yaml"
# Sizes that are compared on opening; reading compares every one.
_NUM_COMPARED = 16


class FrameFolderReader(AbstractReader):
    """Reads a folder whose pictures (png, jpg, ...) are the frames, in the order of their numbers: 2.png before 10.png.

    Frames of another size than the first are refused, as are two pictures of one number. Transparent pixels are laid
    on black. The frame rate, and the values of pictures of more than 8 bits that are black and white, are those of a
    file ``frames.yaml`` in the folder or in the one above::

        frame_rate_hz: 20
        range: [0, 4000]

    Args:
        path: the folder; hidden files and files of other kinds in it are passed over. Of a folder with several
            sequences a pattern names one: ``day1/A_*``, ``clip/*.jpg``.
        frame_rate_hz: frames per second, where no such file tells it; None: nobody knows.
    """

    def __init__(self, path: str | Path, frame_rate_hz: float | None = None) -> None:
        if frame_rate_hz is not None and not 0 < frame_rate_hz < np.inf:
            raise ValueError(f"frame_rate_hz must be more than 0, got {frame_rate_hz}")
        self.path = Path(path)
        sequence = _sequence_at(self.path)
        self._files, stated = sequence.files, stated_facts(sequence.files[0].parent)
        self._levels = stated.levels
        self.times = FrameTimes.counted(len(self._files), stated.frame_rate_hz or frame_rate_hz)
        self.frame_rate_hz = self.times.told_rate_hz
        self.size = _common_size(self._files)
        some = [self._files[place] for place in sorted({0, len(self._files) // 2, len(self._files) - 1})]
        lost = "" if self._levels else lost_levels(some)
        self.notes = (*sequence.notes, *([lost] if lost else []))

    def _read(self, frames: Sequence[int], size: tuple[int, int]) -> Tensor:
        height, width = size
        video = torch.empty(len(frames), 3, height, width, dtype=torch.uint8)
        for place, number in enumerate(frames):
            picture = load_picture(self._files[number], self._levels)
            _check_size(self._files[number], (picture.height, picture.width), self.size)
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.BICUBIC)
            video[place] = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        return video

    def close(self) -> None:
        """Nothing is held open between reads."""


def check_all_sizes(path: Path) -> None:
    """Raise `VideoError` unless all pictures of a video have one size; `FrameFolderReader` looks at some on opening."""
    files = _sequence_at(path).files
    first = picture_size(files[0])
    for file in files:
        _check_size(file, picture_size(file), first)


def _sequence_at(path: Path) -> FrameSequence:
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, path.name)
    pictures = frame_pictures(folder, pattern)
    if not pictures:
        films = sorted(each for each in folder.iterdir() if each.suffix.lower() in VIDEO_SUFFIXES)
        there = f", but films: name one of them, such as {films[0]}" if films else ""
        raise VideoError(f"{path}: the folder holds no pictures ({', '.join(sorted(FRAME_SUFFIXES))}){there}")
    return choose_sequence(find_sequences(pictures), path)


@dataclass(frozen=True)
class StatedFacts:
    """What a user says of the pictures of a folder.

    Args:
        frame_rate_hz: frames per second; None: not stated.
        levels: the values that are black and white in pictures of more than 8 bits; None: not stated.
    """

    frame_rate_hz: float | None = None
    levels: tuple[float, float] | None = None


def stated_facts(folder: Path) -> StatedFacts:
    """What the file `STATEMENT` of a folder, or of the one above it, says.

    Raises:
        VideoError: if it says anything else, or nonsense.
    """
    file = next((file for file in (folder / STATEMENT, folder.resolve().parent / STATEMENT) if file.is_file()), None)
    if file is None:
        return StatedFacts()
    content = read_yaml(file)
    rate, levels = content.pop("frame_rate_hz", None), content.pop("range", None)
    if content:
        raise VideoError(f"{file}: does not know {', '.join(map(str, content))}; it may state frame_rate_hz and range")
    if rate is not None and not (_is_number(rate) and 0 < rate < np.inf):
        raise VideoError(f"{file}: frame_rate_hz must be more than 0, got {rate!r}")
    if levels is not None and not (
        isinstance(levels, list) and len(levels) == 2 and all(map(_is_number, levels)) and levels[0] < levels[1]
    ):
        raise VideoError(f"{file}: range must be [the value of black, the value of white], got {levels!r}")
    return StatedFacts(None if rate is None else float(rate), None if levels is None else (levels[0], levels[1]))


def reading_facts(path: Path) -> list[Any]:
    """What decides, beside the files' contents, which pixels a path gives: for the key of a cache; empty for most."""
    levels = stated_facts(path if path.is_dir() else path.parent).levels
    return [*([path.name] if "*" in path.name else []), *([] if levels is None else [levels])]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def picture_size(file: Path) -> tuple[int, int]:
    """(height, width) of a picture file when upright, from its header."""
    with opened_picture(file) as picture:
        check_still(file, picture)
        turned = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return picture.size if turned else picture.size[::-1]


def _common_size(files: Sequence[Path]) -> tuple[int, int]:
    first = picture_size(files[0])
    for place in np.unique(np.linspace(0, len(files) - 1, _NUM_COMPARED).astype(int)).tolist():
        _check_size(files[place], picture_size(files[place]), first)
    return first


def _check_size(file: Path, size: tuple[int, int], first: tuple[int, int]) -> None:
    if size != first:
        raise VideoError(f"{file}: is {size[1]}x{size[0]}, the first frame of the folder is {first[1]}x{first[0]}")
