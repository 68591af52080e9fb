"""`PictureFolder`: pictures as clips whose frames have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from mcvd.data.videos import AbstractVideos, check_request
from mcvd.runtime.rng import keyed_generator
from mcvd.video.decoders.base import FRAME_SUFFIXES
from mcvd.video.decoders.pictures import load_picture


class PictureFolder(AbstractVideos):
    """A folder of pictures to train on beside clips (joint training, Ho et al. 2022, arXiv 2204.03458, section 3).

    A "video" is ``num_frames`` different pictures, taken at random. A network that sees frame by frame learns from them
    what frames look like: its attention over time is switched off for them, and nothing is given as context.

    Args:
        root: a folder of pictures (jpg, png, webp and others), all levels of it; they are scaled and cropped to size.
        num_frames: pictures of a "video", at least as many as a clip has frames.
        frame_rate_hz: at which they are said to come, that of the clips beside them.
        seed: in which order they are taken, 0 or more.

    Raises (on first use):
        FileNotFoundError: if there is no picture.
        VideoError: if a picture cannot be read.
    """

    def __init__(self, root: str | Path, num_frames: int = 20, frame_rate_hz: float = 10.0, seed: int = 0):
        if num_frames < 1 or frame_rate_hz <= 0 or seed < 0:
            raise ValueError(
                f"num_frames must be at least 1, frame_rate_hz above 0 and seed at least 0, got {num_frames}, "
                f"{frame_rate_hz}, {seed}"
            )
        self.root, self.num_frames, self.frame_rate_hz, self.seed = Path(root), num_frames, frame_rate_hz, seed

    @property
    def channels(self) -> int:
        """3: red, green, blue."""
        return 3

    def __len__(self) -> int:
        """So many that every picture comes up about once."""
        return (len(self._files) + self.num_frames - 1) // self.num_frames

    @cached_property
    def _files(self) -> list[Path]:
        files = sorted(path for path in self.root.rglob("*") if path.suffix.lower() in FRAME_SUFFIXES)
        if not files:
            endings = ", ".join(sorted(FRAME_SUFFIXES))
            raise FileNotFoundError(f"no picture in {self.root} ({endings}): name a folder of pictures")
        return [files[place] for place in keyed_generator(self.seed).permutation(len(files))]

    def times_seconds(self, index: int) -> np.ndarray:
        """As if of a video: float64 (num_frames,)."""
        check_request(index, (), len(self), self.num_frames)
        return np.arange(self.num_frames) / self.frame_rate_hz

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """So many pictures, uint8 (T, 3, H, W) of exactly the size ``cover``, cropped around their middle."""
        check_request(index, frames, len(self), self.num_frames)
        height, width = cover
        pictures = []
        for frame in frames:
            file = self._files[(index * self.num_frames + frame) % len(self._files)]
            fitted = ImageOps.fit(load_picture(file), (width, height), Image.Resampling.BICUBIC)
            pictures.append(torch.from_numpy(np.array(fitted)).permute(2, 0, 1))
        return torch.stack(pictures)

    def name(self, index: int) -> str:
        """Its number, and the folder."""
        return f"pictures {index} of {self.root}"

    def is_unrelated(self, index: int) -> bool:
        """Always."""
        return True
