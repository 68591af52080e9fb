"""The scores of frames that an evaluation reports: a table, and what makes an entry of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mcvd.metrics.frames import luma, mean_squared_error, psnr_from_mse, ssim_per_frame

_WINDOW_SIZE = 11
# Of the finest scale first: Wang, Simoncelli and Bovik 2003.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_CHUNK_FRAMES = 256


@dataclass(frozen=True)
class FrameMetric:
    """A score of frames against the truth.

    Args:
        name: its key in results.
        title: what people call it, with the unit.
        digits: after the point, for people.
        per_frame: videos and their truth, uint8 (..., T, C, H, W) both, leading axes broadcast -> float64 (..., T),
            what is averaged over the frames of a video.
        finish: makes the score of such an average, where that is not the average itself.
        higher_is_better: whether more is better.

    Example:
        >>> black = torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8)
        >>> PSNR.per_video(black + 51, black)
        tensor([13.9794], dtype=torch.float64)
    """

    name: str
    title: str
    digits: int
    per_frame: Callable[[Tensor, Tensor], Tensor]
    finish: Callable[[Tensor], Tensor] = Tensor.double
    higher_is_better: bool = True

    def per_video(self, video: Tensor, truth: Tensor) -> Tensor:
        """The score of each video, float64 (...)."""
        return self.finish(self.per_frame(video, truth).mean(-1))

    def best(self, scores: Tensor, dim: int) -> Tensor:
        """The place of the best of several scores, int64 (...)."""
        return scores.argmax(dim) if self.higher_is_better else scores.argmin(dim)

    def describe(self) -> dict[str, Any]:
        """What a reader of its values has to know, as JSON holds it."""
        return {"title": self.title, "digits": self.digits, "higher_is_better": self.higher_is_better}


def black_and_white(metric: FrameMetric) -> FrameMetric:
    """The metric of frames whose pixels all become 0 or 255 first, as published for the SSIM of moving digits."""

    def per_frame(video: Tensor, truth: Tensor) -> Tensor:
        return metric.per_frame(*((side >= 128).to(torch.uint8) * 255 for side in (video, truth)))

    return replace(metric, per_frame=per_frame)


def num_scales(height: int, width: int) -> int:
    """On how many scales, at most 5, MS-SSIM sees frames of this size; 0 if they are too small for two."""
    side = min(height, width)
    fits = [n for n in (2, 3, 4, 5) if side >> (n - 1) >= _WINDOW_SIZE and side > (_WINDOW_SIZE - 1) * (n - 1) ** 2]
    return max(fits, default=0)


def ms_ssim_per_frame(video: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity on several scales (Wang, Simoncelli and Bovik 2003) of the grey picture; by torchmetrics.

    On five scales, as published, from 176 pixels on; smaller frames have as many as `num_scales` tells, with the
    weights of those scaled to the same sum. So its values compare only for frames of the same size.

    Args:
        video: uint8 (..., T, C, H, W), C 1 or 3.
        truth: the same, leading axes broadcast.

    Returns:
        float64 (..., T), 1 for identical frames.

    Raises:
        ValueError: the frames are too small for two scales.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    scales = num_scales(*truth.shape[-2:])
    if not scales:
        raise ValueError(f"MS-SSIM needs frames of 22x22 pixels or more, got {truth.shape[-2]}x{truth.shape[-1]}")
    share = sum(_SCALE_WEIGHTS[:scales]) / sum(_SCALE_WEIGHTS)
    weights = tuple(weight / share for weight in _SCALE_WEIGHTS[:scales])
    pair = torch.broadcast_tensors(luma(video), luma(truth))
    frames = pair[0].shape[:-2]
    sides = (side.flatten(0, -3)[:, None].float().split(_CHUNK_FRAMES) for side in pair)
    parts = [
        multiscale_structural_similarity_index_measure(
            made, true, data_range=255.0, betas=weights, normalize="relu", reduction="none"
        )
        for made, true in zip(*sides, strict=True)
    ]
    return torch.cat(parts).double().unflatten(0, frames)


PSNR = FrameMetric("psnr", "PSNR dB", 2, mean_squared_error, psnr_from_mse)
SSIM = FrameMetric("ssim", "SSIM", 3, ssim_per_frame)
MS_SSIM = FrameMetric("ms_ssim", "MS-SSIM", 3, ms_ssim_per_frame)
