"""`DrawnVideos`: what collections have in common whose videos are drawn, not filmed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from mcvd.data.videos import AbstractVideos, check_request
from mcvd.runtime.rng import check_seed

MAX_COUNT = 1 << 24  # what a recipe claims is believed up to here: the frames of all videos are counted in memory


class DrawnVideos(AbstractVideos):
    """Base of collections of equally long videos, each drawn from (seed, number of the video) alone.

    A collection names what it draws, ``title``, and draws it in ``_draw``.

    Args:
        num_videos: number of videos.
        num_frames: frames of each video; a longer video begins with the shorter one.
        frame_rate_hz: frames per second.
        seed: which collection, 0 or more; collections of different seeds share no video.
    """

    title: str

    def __init__(self, num_videos: int, num_frames: int, frame_rate_hz: float, seed: int) -> None:
        check_seed(seed)
        if num_videos < 1 or num_frames < 1 or not frame_rate_hz > 0:
            raise ValueError(
                f"{type(self).__name__} needs num_videos >= 1, num_frames >= 1 and frame_rate_hz > 0, "
                f"got {num_videos}, {num_frames} and {frame_rate_hz}"
            )
        if max(num_videos, num_frames, frame_rate_hz) > MAX_COUNT or seed >= 1 << 63:
            raise ValueError(
                f"{type(self).__name__} takes at most {MAX_COUNT} for num_videos, num_frames and frame_rate_hz and 63 "
                f"bits for the seed, got {num_videos}, {num_frames}, {frame_rate_hz} and {seed}"
            )
        self.num_videos, self.num_frames = num_videos, num_frames
        self.frame_rate_hz, self.seed = frame_rate_hz, seed

    @property
    def channels(self) -> int:
        """1: grey."""
        return 1

    def __len__(self) -> int:
        return self.num_videos

    def times_seconds(self, index: int) -> np.ndarray:
        """Evenly spaced times of the frames, float64 (num_frames,)."""
        check_request(index, (), self.num_videos, self.num_frames)
        return np.arange(self.num_frames) / self.frame_rate_hz

    def name(self, index: int) -> str:
        """What is drawn, and the video's number."""
        return f"{self.title} {index}"

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Draw frames of one video: uint8, or float32 where it says so, (T, C, H, W), exactly ``cover = (H, W)``."""
        check_request(index, frames, self.num_videos, self.num_frames)
        return self._draw(np.random.default_rng([self.seed, index]), np.asarray(frames, int), cover)

    @abstractmethod
    def _draw(self, generator: np.random.Generator, frames: NDArray[np.int64], cover: tuple[int, int]) -> Tensor:
        """Frames of the video that ``generator`` determines."""


def ink_to_pixels(ink: NDArray[np.float32], cover: tuple[int, int]) -> Tensor:
    """From ink, float32 (T, h, w) in [0, 1], to grey frames: uint8 (T, 1, H, W), resized to ``cover = (H, W)``."""
    frames = torch.from_numpy(ink)[:, None]
    if tuple(cover) != frames.shape[-2:]:
        frames = interpolate(frames, size=tuple(cover), mode="bilinear", antialias=True)
    return (frames * 255 + 0.5).clamp(0, 255).to(torch.uint8)
