"""The scores of frames that an evaluation reports: a table, and what makes an entry of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcvd.metrics.frames import luma, mean_squared_error, mirrored_ssim_per_frame, psnr_from_mse, ssim_per_frame

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
        definition: what exactly it is, in words: values compare only where it is the same.
        rounded: whether made frames become 8 bits before. False: ``per_frame`` takes float32 in [0, 1] for any uint8.

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
    definition: str = ""
    rounded: bool = True

    def per_video(self, video: Tensor, truth: Tensor) -> Tensor:
        """The score of each video, float64 (...)."""
        return self.finish(self.per_frame(video, truth).mean(-1))

    def best(self, scores: Tensor, dim: int) -> Tensor:
        """The place of the best of several scores, int64 (...)."""
        return scores.argmax(dim) if self.higher_is_better else scores.argmin(dim)

    def describe(self) -> dict[str, Any]:
        """What a reader of its values has to know, as JSON holds it."""
        return {
            "title": self.title,
            "digits": self.digits,
            "higher_is_better": self.higher_is_better,
            "definition": self.definition,
        }


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


PSNR = FrameMetric(
    "psnr",
    "PSNR dB",
    2,
    mean_squared_error,
    psnr_from_mse,
    definition="of frames rounded to 8 bits; of the squared error averaged over the frames of a video",
)
SSIM = FrameMetric(
    "ssim",
    "SSIM",
    3,
    ssim_per_frame,
    definition="of frames rounded to 8 bits, then grey; Gaussian window of 11 pixels, sigma 1.5; mean over frames",
)
TORCHMETRICS_SSIM = FrameMetric(
    "ssim",
    "SSIM",
    3,
    mirrored_ssim_per_frame,
    definition="as torchmetrics has it, of frames rounded to 8 bits, in colour; Gaussian window of 11 pixels, sigma "
    "1.5, mirrored at the border; mean over frames",
)
MS_SSIM = FrameMetric(
    "ms_ssim",
    "MS-SSIM",
    3,
    ms_ssim_per_frame,
    definition="of frames rounded to 8 bits, then grey; on as many of five scales as fit; mean over frames",
)
