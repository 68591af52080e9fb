"""`DrivingScenes`: synthetic streets, seen from a moving car and drawn on demand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from mcvd.data.synthetic.drawn import DrawnVideos
from mcvd.data.synthetic.driving.painter import Painter
from mcvd.data.synthetic.driving.world import Street
from mcvd.data.videos import SignalsError, check_request
from mcvd.runtime.suggest import did_you_mean

_SIGNALS = {"speed": "speed", "gap": "gap", "braking": "ahead_braking"}  # names, and those of `Drive`


class DrivingScenes(DrawnVideos):
    """Streets seen from a moving car: houses, trees, parked cars, traffic, curves, changing light. Nothing to download.

    Every video is another street, determined by its number: the same at any size, whichever frames are read.
    Collections with different seeds share no street; by convention seed 0 trains and seed 1 is held out.

    Args:
        num_videos: number of streets.
        num_frames: frames of each video; a longer video begins with the shorter one.
        frame_rate_hz: frames per second.
        seed: which collection of streets, 0 or more.

    Examples:
        >>> clip = DrivingScenes().read(17, range(12), cover=(64, 64))
        >>> clip.shape, clip.dtype
        (torch.Size([12, 3, 64, 64]), torch.uint8)
    """

    title = "driving"

    def __init__(self, num_videos: int = 1000, num_frames: int = 60, frame_rate_hz: float = 10.0, seed: int = 0):
        super().__init__(num_videos, num_frames, frame_rate_hz, seed)

    @property
    def channels(self) -> int:
        """3: red, green, blue."""
        return 3

    def signal_names(self, index: int) -> list[str]:
        """How the camera car drives."""
        return [*_SIGNALS]

    def signals(self, index: int, names: Sequence[str]) -> np.ndarray:
        """How the camera car drives, float32 (num_frames, A).

        ``speed`` in metres per second, ``gap`` in metres to the car ahead, ``braking`` of that car, 0 to 1.
        """
        check_request(index, (), self.num_videos, self.num_frames)
        for name in names:
            if name not in _SIGNALS:
                known = ", ".join(_SIGNALS)
                raise SignalsError(f"{self.name(index)}: there is no {name}{did_you_mean(name, _SIGNALS)} ({known})")
        drive = Street(np.random.default_rng([self.seed, index]), self.num_frames, self.frame_rate_hz).drive
        return np.stack([getattr(drive, _SIGNALS[name]) for name in names], 1).astype(np.float32)

    def _draw(self, generator: np.random.Generator, frames: NDArray[np.int64], cover: tuple[int, int]) -> Tensor:
        street = Street(generator, self.num_frames, self.frame_rate_hz)
        image = Painter(street, frames, cover).paint()
        pixels = (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)
        return torch.from_numpy(np.ascontiguousarray(rearrange(pixels, "c t h w -> t c h w")))
