"""PSNR, SSIM and LPIPS of frames as the published evaluation of MCVD computes them (Voleti et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mcvd.metrics.frame_metrics import PSNR, SSIM, FrameMetric
from mcvd.metrics.lpips import lpips

LPIPS_SIZE = 128


def published_squared_error(video: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each frame, of the floats themselves: float64 (..., T).

    Args:
        video: float (..., T, C, H, W) in [0, 1], or uint8.
        target: the same, leading axes broadcast.
    """
    difference = unit_from_pixels(video) - unit_from_pixels(target)
    return difference.square_().flatten(-3).mean(-1).double()


def truncated(frames: Tensor) -> Tensor:
    """float32 in [0, 1] -> uint8, rounded down as by ``ToPILImage`` of torchvision."""
    return (frames * 255).to(torch.uint8)


def unit_from_pixels(frames: Tensor) -> Tensor:
    """The value of a pixel in the published evaluation: float32 in [0, 1].

    True frames pass through the model's range and back. In float32 that costs 63 of the 256 grey levels a little,
    and truncation then makes them one level darker.

    Args:
        frames: uint8, or float in [0, 1] already, any shape.

    Raises:
        ValueError: floats beyond [0, 1].

    Examples:
        >>> truncated(unit_from_pixels(torch.tensor([10, 128, 255], dtype=torch.uint8))).tolist()
        [9, 128, 255]
    """
    if frames.dtype == torch.uint8:
        return (2 * (frames.float() / 255) - 1 + 1) / 2
    if not (frames.is_floating_point() and frames.min() >= 0 and frames.max() <= 1):
        raise ValueError(f"frames must be uint8, or float in [0, 1], got {frames.dtype}: samples have rounded=False")
    return frames.float()


PUBLISHED_PSNR = replace(
    PSNR,
    title="PSNR (mcvd-2022) dB",
    per_frame=published_squared_error,
    rounded=False,
    definition="mcvd-2022: of frames that are not rounded; of the squared error averaged over the frames of a video",
)


def _of_truncated(
    metric: FrameMetric, title: str, definition: str, first: Callable[[Tensor], Tensor] | None = None
) -> FrameMetric:
    """The metric of truncated frames."""

    def per_frame(video: Tensor, target: Tensor) -> Tensor:
        sides = (unit_from_pixels(side) for side in (video, target))
        return metric.per_frame(*(truncated(first(side) if first else side) for side in sides))

    return replace(metric, title=title, per_frame=per_frame, rounded=False, definition=definition)


_WINDOW = "Gaussian window of 11 pixels, sigma 1.5; mean over frames"
PUBLISHED_SSIM = _of_truncated(
    SSIM, "SSIM (mcvd-2022)", f"mcvd-2022: of frames truncated to 8 bits, then grey; {_WINDOW}"
)
PUBLISHED_BINARY_SSIM = _of_truncated(
    SSIM,
    "binary SSIM (mcvd-2022)",
    f"mcvd-2022 for moving digits: of pixels that become 0 or 1 first; {_WINDOW}",
    torch.round,
)


def published_lpips(path: str | Path | None = None) -> FrameMetric:
    """LPIPS of truncated frames, scaled to squares of 128 pixels; argument and errors as of `lpips`."""
    metric = lpips(path, LPIPS_SIZE)
    definition = f"mcvd-2022: {metric.definition.replace('rounded', 'truncated')}"
    return _of_truncated(metric, "LPIPS (mcvd-2022)", definition)
