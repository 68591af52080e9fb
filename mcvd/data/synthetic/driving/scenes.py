"""`DrivingScenes`: videos of invented streets, seen from a moving car and drawn on demand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mcvd.data.synthetic.driving.painter import Painter
from mcvd.data.synthetic.driving.world import Street
from mcvd.data.videos import AbstractVideos, check_request


class DrivingScenes(AbstractVideos):
    """Streets seen from a moving car: houses, trees, parked cars, traffic, curves, changing light. Nothing to download.

    Every video is another street, drawn by its number alone: the same at any size, whichever frames are asked.
    Collections with different seeds share no street; by convention seed 0 trains and seed 1 is held out.

    Args:
        num_videos: number of streets.
        num_frames: frames of each video; a longer video begins with the shorter one.
        frame_rate_hz: frames per second.
        seed: which collection of streets, 0 or more.

    Example:
        >>> clip = DrivingScenes().read(17, range(12), cover=(64, 64))
        >>> clip.shape, clip.dtype
        (torch.Size([12, 3, 64, 64]), torch.uint8)
    """

    def __init__(self, num_videos: int = 1000, num_frames: int = 60, frame_rate_hz: float = 10.0, seed: int = 0):
        if num_videos < 1 or num_frames < 1 or frame_rate_hz <= 0 or seed < 0:
            raise ValueError(
                "DrivingScenes needs num_videos >= 1, num_frames >= 1, frame_rate_hz > 0 and seed >= 0, "
                f"got {num_videos}, {num_frames}, {frame_rate_hz} and {seed}"
            )
        self.num_videos, self.num_frames = num_videos, num_frames
        self.frame_rate_hz, self.seed = frame_rate_hz, seed

    @property
    def channels(self) -> int:
        """3: red, green, blue."""
        return 3

    def __len__(self) -> int:
        return self.num_videos

    def times_seconds(self, index: int) -> np.ndarray:
        """Evenly spaced times of the frames, float64 (num_frames,)."""
        check_request(index, (), self.num_videos, self.num_frames)
        return np.arange(self.num_frames) / self.frame_rate_hz

    def name(self, index: int) -> str:
        """The street's number."""
        return f"driving {index}"

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Draw frames of one street: uint8 (T, 3, H, W) with exactly ``cover = (H, W)``."""
        check_request(index, frames, self.num_videos, self.num_frames)
        street = Street(np.random.default_rng([self.seed, index]), self.num_frames, self.frame_rate_hz)
        image = Painter(street, np.asarray(frames, int), cover).paint()  # (3, T, H, W)
        pixels = (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)
        return torch.from_numpy(np.ascontiguousarray(pixels.swapaxes(0, 1)))
