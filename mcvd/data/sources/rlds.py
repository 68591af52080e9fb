"""`RldsVideos`: episodes of robots as TFRecord files in the layout of RLDS, read without TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mcvd.data.prepare.tfrecord import features, read_records
from mcvd.data.sources.episodes import AbstractEpisodes
from mcvd.data.videos import SignalsError, check_request
from mcvd.runtime.columns import key_of, width_of
from mcvd.runtime.suggest import did_you_mean
from mcvd.video.decoders.base import VideoError
from mcvd.video.decoders.pictures import picture_faults, to_rgb
from mcvd.video.transforms import scale_to_cover

STEPS, OBSERVATION = "steps/", "steps/observation/"
TEXT = ("steps/language_instruction", "steps/observation/natural_language_instruction")
LABEL = "label"
_RECORD_OVERHEAD = 16  # bytes of a record beside its data

Features = dict[str, list[bytes] | np.ndarray]


class _Episode(NamedTuple):
    file: Path
    start: int
    length: int


class RldsVideos(AbstractEpisodes):
    """One video for each episode of an RLDS data set, such as those of Open X-Embodiment, with what was done in it.

    Files are read through once to find the episodes. Signals are the numbers of each step: ``action[7]`` is
    ``steps/action``, ``state[8]`` is ``steps/observation/state``; ``label=...`` is the instruction.

    Args:
        root: the folder of one version of a data set, with its ``*.tfrecord*`` files.
        image: which pictures of the observations, such as "image" or "hand_image"; None is the only ones.
        split: "train", "val" or another that file names hold; None takes all files.
        frame_rate_hz: of the steps, which the files do not tell.

    Raises:
        FileNotFoundError: there are no such files.
        VideoError: a file is damaged, or has no pictures of that name.
    """

    def __init__(
        self, root: str | Path, image: str | None = None, split: str | None = None, frame_rate_hz: float | None = None
    ) -> None:
        self.root, self.image, self.split, self.frame_rate_hz = Path(root), image, split, frame_rate_hz
        pattern = "*.tfrecord*" if split is None else f"*-{split}.tfrecord*"
        self.files = sorted(self.root.glob(pattern))
        if not self.files:
            raise FileNotFoundError(f"no files {pattern} in {root}")

    @cached_property
    def _episodes(self) -> list[_Episode]:
        found = []
        for file in self.files:
            start = 0
            for record in read_records(file):
                found.append(_Episode(file, start, len(self._pictures(_parsed(record, file), file))))
                start += len(record) + _RECORD_OVERHEAD
        return found

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one episode, uint8 (T, 3, H, W), just covering ``cover``."""
        check_request(index, frames, len(self), self._episodes[index].length)
        pictures = self._pictures(self._features(index), self._episodes[index].file)
        return torch.stack([self._decoded(pictures[number], index, number, cover) for number in frames])

    def name(self, index: int) -> str:
        """The name of the file and the number of the episode."""
        return f"{self._episodes[index].file.name} episode {index}"

    def signal_names(self, index: int) -> list[str]:
        """The numbers of each step, and the instruction."""
        length, found = self._episodes[index].length, []
        content = self._features(index)
        for name, values in content.items():
            if isinstance(values, np.ndarray) and name.startswith(STEPS) and len(values) and not len(values) % length:
                width = len(values) // length
                key = name.removeprefix(OBSERVATION).removeprefix(STEPS)
                found.append(key if width == 1 else f"{key}[{width}]")
        label = self._label(content)
        return sorted(found) + ([f"{LABEL}={label}"] if label else [])

    def signals(self, index: int, names: Sequence[str]) -> np.ndarray:
        """Numbers of each step, float32 (num_frames, A)."""
        content = self._features(index)
        return np.concatenate([self._signal(content, index, name) for name in names], 1).astype(np.float32)

    def _signal(self, content: Features, index: int, name: str) -> np.ndarray:
        length, key, width = self._episodes[index].length, key_of(name), width_of(name)
        if name.startswith(f"{LABEL}="):
            return np.full((length, 1), self._label(content) == name.partition("=")[2])
        for prefix in (STEPS, OBSERVATION):
            values = content.get(f"{prefix}{key}")
            if isinstance(values, np.ndarray):
                if len(values) != length * width:
                    raise SignalsError(
                        f"{self.name(index)}: {key} has {len(values)} numbers for {length} steps of {width}"
                    )
                return values.reshape(length, width)
        known = self.signal_names(index)
        meant = did_you_mean(name, known)
        raise SignalsError(f"{self.name(index)}: there is no {name}{meant} (there are: {', '.join(known)})")

    @staticmethod
    def _label(content: Features) -> str:
        for name in TEXT:
            texts = content.get(name)
            if isinstance(texts, list) and texts:
                return " ".join(texts[0].decode(errors="replace").split())
        return ""

    def _features(self, index: int) -> Features:
        episode = self._episodes[index]
        return _parsed(next(read_records(episode.file, start=episode.start)), episode.file)

    def _pictures(self, content: Features, file: Path) -> list[bytes]:
        images = {
            name.removeprefix(OBSERVATION): values
            for name, values in content.items()
            if name.startswith(OBSERVATION) and isinstance(values, list) and values and _is_picture(values[0])
        }
        if self.image is None and len(images) == 1:
            return next(iter(images.values()))
        if self.image not in images:
            there = ", ".join(sorted(images)) or "none"
            raise VideoError(f"{file}: name its pictures with image=, there are: {there}")
        return images[self.image]

    def _decoded(self, content: bytes, index: int, number: int, cover: tuple[int, int]) -> Tensor:
        place = Path(f"{self.name(index)} step {number}")
        with picture_faults(place), Image.open(io.BytesIO(content)) as stored:
            picture = to_rgb(stored)
        video = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        return scale_to_cover(video, cover)[0]


def _parsed(record: bytes, file: Path) -> Features:
    try:
        return features(record)
    except ValueError as error:
        raise VideoError(f"{file}: {error}") from None


def _is_picture(content: bytes) -> bool:
    return content[:3] == b"\xff\xd8\xff" or content[:8] == b"\x89PNG\r\n\x1a\n"
