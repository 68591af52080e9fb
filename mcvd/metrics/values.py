"""Frames of values against the ground truth, in the unit of the data; missing values (NaN) do not count."""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.metrics.frame_metrics import FrameMetric


def mean_absolute_error(video: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of each frame over its known values.

    Args:
        video: float (..., T, C, H, W), NaN where missing.
        target: the same, leading axes broadcast.

    Returns:
        float64 (..., T); NaN where nothing of a frame is known.

    Examples:
        >>> video, target = torch.tensor([[1.0, 5.0], [2.0, torch.nan]]).view(2, 1, 1, 1, 2)
        >>> mean_absolute_error(video, target)
        tensor([1.], dtype=torch.float64)
    """
    return (video.double() - target.double()).abs().flatten(-3).nanmean(-1)


def mean_squared_error_of_values(video: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each frame; arguments and result as of `mean_absolute_error`."""
    return (video.double() - target.double()).square().flatten(-3).nanmean(-1)


MAE = FrameMetric(
    "mae",
    "MAE",
    3,
    mean_absolute_error,
    higher_is_better=False,
    definition="mean absolute error in the unit of the data, over known values and frames",
)
RMSE = FrameMetric(
    "rmse",
    "RMSE",
    3,
    mean_squared_error_of_values,
    torch.sqrt,
    higher_is_better=False,
    definition="root of the squared error averaged over known values and frames of a video; in the unit of the data",
)
