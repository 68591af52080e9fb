"""FrameMetric, a score of frames against the ground truth, and those that an evaluation reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mcvd.metrics.frames import luma, mean_squared_error, psnr_from_mse, ssim_per_frame
from mcvd.metrics.similarity import WINDOW_SIZE, of_pictures, similarity

# Of the finest scale first: Wang, Simoncelli and Bovik 2003.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@dataclass(frozen=True)
class MetricInfo:
    """What a reader of a metric's values has to know.

    Args:
        title: what people call it, with the unit.
        digits: after the decimal point, for people.
        higher_is_better: whether more is better; None: neither, the value of the ground truth is best.
        definition: what exactly it is, in words: values compare only where it is the same.
    """

    title: str
    digits: int
    higher_is_better: bool | None = True
    definition: str = ""

    @property
    def quantity(self) -> str:
        """The title without its unit."""
        return self.title.removesuffix(" dB")

    def text(self, value: float) -> str:
        """A value as people read it."""
        return f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class FrameMetric:
    """A score of frames against the ground truth.

    Args:
        name: its key in results.
        title, digits, higher_is_better, definition: see `MetricInfo`.
        per_frame: videos and their ground truth, uint8 (..., T, C, H, W) both, leading axes broadcast -> float64
            (..., T), what is averaged over the frames of a video.
        finish: makes the score of such an average, where that is not the average itself.
        rounded: whether generated frames are rounded to 8 bits first. False: ``per_frame`` takes float32 in [0, 1] as
            well as uint8.

    Examples:
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

    def per_video(self, video: Tensor, target: Tensor) -> Tensor:
        """The score of each video, float64 (...)."""
        return self.finish(self.per_frame(video, target).mean(-1))

    def best(self, scores: Tensor, dim: int) -> Tensor:
        """The index of the best of several scores along an axis, int64 (...)."""
        return scores.argmax(dim) if self.higher_is_better else scores.argmin(dim)

    @property
    def info(self) -> MetricInfo:
        """What a reader of its values has to know."""
        return MetricInfo(self.title, self.digits, self.higher_is_better, self.definition)


def num_scales(height: int, width: int) -> int:
    """How many scales, at most 5, MS-SSIM has for frames of this size in pixels; 0 if they are too small for two."""
    side = min(height, width)
    # The window fits the smallest scale, and torchmetrics refuses nothing.
    fits = [n for n in (2, 3, 4, 5) if min(side >> (n - 1), side // (n - 1) ** 2) >= WINDOW_SIZE]
    return max(fits, default=0)


def ms_ssim_per_frame(video: Tensor, target: Tensor) -> Tensor:
    """Structural similarity on several scales (Wang, Simoncelli and Bovik 2003) of the grey picture; as torchmetrics.

    On five scales, as published, from 176 pixels on; smaller frames have as many as `num_scales` says, with the
    weights of those scaled to the same sum. So its values compare only for frames of the same size.

    Args:
        video: uint8 (..., T, C, H, W), C 1 or 3.
        target: the same, leading axes broadcast.

    Returns:
        float64 (..., T), 1 for identical frames.

    Raises:
        ValueError: the frames are too small for two scales.
    """
    scales = num_scales(*target.shape[-2:])
    if not scales:
        raise ValueError(f"MS-SSIM needs frames of 22x22 pixels or more, got {target.shape[-2]}x{target.shape[-1]}")
    share = sum(_SCALE_WEIGHTS[:scales]) / sum(_SCALE_WEIGHTS)
    *weights, last_weight = (weight / share for weight in _SCALE_WEIGHTS[:scales])

    def score(a: Tensor, b: Tensor) -> Tensor:
        a, b, found = a.float(), b.float(), torch.ones(len(a), device=a.device)
        for weight in weights:
            contrast = similarity(a, b, mirrored=False)[1]
            found = found * contrast.flatten(1).mean(1).relu() ** weight
            a, b = (F.avg_pool2d(side, 2) for side in (a, b))
        return found * similarity(a, b, mirrored=True)[0].flatten(1).mean(1).relu() ** last_weight

    return of_pictures(score, luma(video), luma(target))


def torchmetrics_ssim_per_frame(video: Tensor, target: Tensor) -> Tensor:
    """SSIM with the defaults of torchmetrics, of each colour and up to the border: another number than `SSIM`.

    Arguments and result as of `mcvd.metrics.frames.ssim_per_frame`.
    """

    def score(a: Tensor, b: Tensor) -> Tensor:
        return similarity(a, b, mirrored=True)[0].flatten(1).mean(1)

    return of_pictures(score, video, target, num_axes=3)


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
    "ssim_torchmetrics",
    "SSIM (torchmetrics)",
    3,
    torchmetrics_ssim_per_frame,
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
