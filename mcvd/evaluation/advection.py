"""`Advection`: what the nearest given frames show moves on as it did; optical flow by OpenCV, an optional package."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcvd.metrics.frames import luma
from mcvd.models.codecs import AbstractCodec

_LEAST_SIDE = 128  # of pictures whose flow is sought: smaller ones are enlarged
_PAIRS = 3  # of frames whose flows are averaged


@dataclass(frozen=True)
class Advection:
    """The last frame carried on by its motion: extrapolation along trajectories (semi-Lagrangian, as in nowcasting).

    The motion is the mean optical flow of the last pairs of frames (dense inverse search, Kroeger et al. 2016, of
    OpenCV), constant in time. What comes in from outside is what lies at the border.

    Args:
        codec: of the videos: the flow is that of what it encodes, where rain of all magnitudes is seen.

    Raises:
        ModuleNotFoundError: without the package opencv-python-headless.
    """

    codec: AbstractCodec

    def __call__(self, past: Tensor, future: Tensor, num_frames: int) -> Tensor:
        """The frames between past and future (..., T, C, H, W), 2 or more of one of them; NaN where missing."""
        if past.shape[-4]:
            return self._after(past, num_frames)
        return self._after(future.flip(-4), num_frames).flip(-4)

    def _after(self, past: Tensor, num_frames: int) -> Tensor:
        videos = past.flatten(0, -5) if past.ndim > 4 else past[None]
        found = torch.stack([torch.from_numpy(self._one(video.cpu(), num_frames)) for video in videos])
        if not past.is_floating_point():
            found = found.round().clamp(0, 255)
        return found.to(past).view(*past.shape[:-4], num_frames, *past.shape[-3:])

    def _one(self, past: Tensor, num_frames: int) -> np.ndarray:
        cv2 = import_opencv()
        grey = _grey(self.codec, past[-1 - _PAIRS :])
        flow = np.mean([_flow(cv2, after, before) for before, after in pairwise(grey)], 0)
        height, width = flow.shape[:2]
        place = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
        last = past[-1].float().permute(1, 2, 0).numpy()
        frames = []
        for _ in range(num_frames):
            place = place + _at(cv2, flow, place)
            frames.append(np.stack([_at(cv2, last[..., channel], place) for channel in range(last.shape[-1])]))
        return np.stack(frames).astype(np.float32)


def import_opencv() -> Any:
    """The package cv2; says what to install where it is not there."""
    try:
        import cv2
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "advection needs the package opencv-python-headless: python -m pip install 'mcvd[fields]'"
        ) from None
    return cv2


def _grey(codec: AbstractCodec, video: Tensor) -> list[np.ndarray]:
    """Pictures in which motion is seen, uint8 (H, W) each: of values the mean over channels of what is encoded."""
    if not video.is_floating_point():
        return list(luma(video).numpy())
    encoded = codec.encode(video)[:, : video.shape[1]].mean(1)
    return list((255 * (encoded + 1) / 2).round().clamp(0, 255).to(torch.uint8).numpy())


def _flow(cv2: Any, after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where each pixel of a frame comes from in the frame before, relative to it: float32 (H, W, 2), right and down."""
    height, width = after.shape
    factor = max(1, -(-_LEAST_SIDE // min(height, width)))
    size = (factor * width, factor * height)
    large = [cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in (after, before)]
    found = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*large, None)
    return cv2.resize(found, (width, height), interpolation=cv2.INTER_AREA) / factor


def _at(cv2: Any, values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values between the pixels, at places (right, down)."""
    return cv2.remap(values.astype(np.float32), place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
