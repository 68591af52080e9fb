"""`RainFields`: invented rain that drifts, grows and decays, in mm/h."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mcvd.data.synthetic.drawn import DrawnVideos

_RANGE = 1.6  # cells live in a square of this side about the frame, so that they drift in and out of it
_CELLS, _MEMBERS = 5, 3
_PEAK_MM_H = 60.0
_DRY_MM_H = 0.1


class RainFields(DrawnVideos):
    """Rain fields, float32 in mm/h: groups of showers that drift together and each grow and decay.

    The drift of a sequence is steady; where showers are born, how large they become and how long they live is not to be
    seen beforehand, so a forecast cannot be certain. Below 0.1 mm/h it is dry. For models with a
    `mcvd.models.codecs.Scale`, such as ``Scale(0, 100, "log", unit="mm/h")``.

    Args:
        num_videos: number of sequences.
        num_frames: of each.
        frame_rate_hz: fields per second; radar has one in 5 minutes, 1 / 300.
        seed: which collection.

    Examples:
        >>> RainFields(4, 10).read(0, range(10), (32, 32)).shape
        torch.Size([10, 1, 32, 32])
    """

    title = "rain"

    def __init__(self, num_videos: int, num_frames: int = 24, frame_rate_hz: float = 1 / 300, seed: int = 0) -> None:
        super().__init__(num_videos, num_frames, frame_rate_hz, seed)

    def _draw(self, generator: np.random.Generator, frames: NDArray[np.int64], cover: tuple[int, int]) -> Tensor:
        angle, speed = generator.uniform(0, 2 * np.pi), generator.uniform(0.01, 0.05)  # sides of the frame a step
        drift = speed * np.array([np.sin(angle), np.cos(angle)])
        shape = (_CELLS, _MEMBERS)
        centres = generator.uniform(0, _RANGE, (_CELLS, 1, 2)) + generator.normal(0, 0.08, (*shape, 2))
        size, peak = generator.uniform(0.04, 0.11, shape), _PEAK_MM_H * generator.beta(1.2, 3.0, shape)
        born, life = generator.uniform(-20, 40, shape), generator.uniform(8, 30, shape)
        y, x = (((np.arange(side) + 0.5) / side).astype(np.float32) for side in cover)
        fields = np.zeros((len(frames), *cover), np.float32)
        for number, frame in enumerate(frames.tolist()):
            age = np.mod(frame - born, 2 * life) / (2 * life)  # showers come again, so that it never only dries up
            strength = peak * np.sin(np.pi * age) ** 2
            place = np.mod(centres + frame * drift, _RANGE) - (_RANGE - 1) / 2
            for (v, u), width, rain in zip(place.reshape(-1, 2), size.ravel(), strength.ravel(), strict=True):
                down, across = (np.exp(-0.5 * ((line - at) / width) ** 2) for line, at in ((y, v), (x, u)))
                fields[number] += np.float32(rain) * np.outer(down, across)
        fields[fields < _DRY_MM_H] = 0
        return torch.from_numpy(fields)[:, None]
