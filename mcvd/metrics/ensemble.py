"""K samples as an ensemble, the way weather forecasts are scored: CRPS, energy score, motion, sharpness.

Scores have the unit of the data: grey levels for uint8 videos. They are *fair* (Ferro 2014): what K samples score is
what infinitely many of the same model would, on average, so values of different K compare. A single sample or a
baseline is an ensemble of one, whose CRPS is its mean absolute error.

Floats may be missing, which is NaN: where the truth or any of the samples is, nothing counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.metrics.frame_metrics import MetricInfo


@dataclass(frozen=True)
class EnsembleMetric:
    """A score of K samples together against the ground truth, as `FrameMetric` is one of frames.

    Args:
        name: its key in results.
        info: what a reader of its values has to know.
        per_frame: samples (B, K, T, C, H, W) and their ground truth (B, T, C, H, W), uint8 or float -> float64 (B, T).
    """

    name: str
    info: MetricInfo
    per_frame: Callable[[Tensor, Tensor], Tensor]


def crps(samples: Tensor, target: Tensor) -> Tensor:
    """Fair continuous ranked probability score of each frame, the mean over its pixels and channels.

    ``mean_k |x_k - y| - sum_{i<j} |x_i - x_j| / (K (K - 1))`` (Gneiting and Raftery 2007, eq. 20; fair: Ferro 2014),
    by sorting: K log K instead of K squared.

    Args:
        samples: (B, K, T, C, H, W), uint8 or float.
        target: (B, T, C, H, W).

    Returns:
        float64 (B, T), in the unit of the data; 0 is best. It may be negative for a few pixels, as fair scores are. NaN
        where all of a frame is missing.

    Examples:
        >>> samples = torch.tensor([0, 10], dtype=torch.uint8).view(1, 2, 1, 1, 1, 1)
        >>> crps(samples, samples[:, 0] + 4)  # (4 + 6) / 2 - 10 / 2
        tensor([[0.]], dtype=torch.float64)
    """
    return _by_frame(_crps, samples, target)


def energy_score(samples: Tensor, target: Tensor) -> Tensor:
    """Fair energy score of each frame: CRPS of whole pictures, which also asks how pixels vary together.

    ``mean_k ||x_k - y|| - sum_{i<j} ||x_i - x_j|| / (K (K - 1))`` with the root mean square over a frame's numbers as
    norm (Gneiting and Raftery 2007, eq. 22, divided by the square root of how many numbers a frame has, so that it has
    the unit of the data and sizes compare).

    Arguments and result as of `crps`.
    """
    return _by_frame(_energy, samples, target)


def motion(video: Tensor, before: Tensor) -> Tensor:
    """How much changes from frame to frame: the mean absolute difference to the frame before.

    Args:
        video: (..., T, C, H, W), uint8 or float.
        before: (..., 0 or 1, C, H, W), the frame before the first; without one the first counts as the second.

    Returns:
        float64 (..., T), in the unit of the data; 0 for one frame without any before.
    """
    frames = torch.cat([before, video], -4)
    if frames.shape[-4] == 1:
        return torch.zeros(frames.shape[:-3], dtype=torch.float64, device=frames.device)
    changes = _mean_absolute(frames[..., 1:, :, :, :], frames[..., :-1, :, :, :])
    return changes if before.shape[-4] else torch.cat([changes[..., :1], changes], -1)


def sharpness(video: Tensor) -> Tensor:
    """How strong edges are: the mean absolute difference of neighbouring pixels, across and down.

    Args:
        video: (..., T, C, H, W), uint8 or float.

    Returns:
        float64 (..., T), in the unit of the data. A blur is below the truth's, noise above.
    """
    across = _mean_absolute(video[..., 1:], video[..., :-1])
    return (across + _mean_absolute(video[..., 1:, :], video[..., :-1, :])) / 2


def _by_frame(score: Callable[[Tensor, Tensor], Tensor], samples: Tensor, target: Tensor) -> Tensor:
    """A score of float64 (B, K, D) and (B, D) -> (B,), frame after frame, so that memory for one is enough."""
    check_ensemble(samples, target)
    pairs = zip(samples.unbind(2), target.unbind(1), strict=True)
    return torch.stack([score(many.double().flatten(2), one.double().flatten(1)) for many, one in pairs], 1)


def _crps(samples: Tensor, target: Tensor) -> Tensor:
    num_samples, missing = samples.shape[1], is_missing(samples, target)
    error = _mean_of_known((samples - target[:, None]).abs().mean(1), missing)
    if num_samples == 1:
        return error
    # In order, x_i is the larger one of i pairs and the smaller one of K - 1 - i.
    weights = torch.arange(1 - num_samples, num_samples, 2, dtype=samples.dtype, device=samples.device)
    apart = _mean_of_known(weights @ samples.sort(1).values, missing)
    return error - apart / (num_samples * (num_samples - 1))


def _energy(samples: Tensor, target: Tensor) -> Tensor:
    num_samples, missing = samples.shape[1], is_missing(samples, target)
    errors = (samples - target[:, None]).masked_fill(missing[:, None], 0)
    scale = (~missing).sum(1) ** -0.5
    distance = errors.norm(dim=2).mean(1)
    if num_samples == 1:
        return scale * distance
    apart = torch.stack([torch.pdist(each).sum() for each in errors])
    return scale * (distance - apart / (num_samples * (num_samples - 1)))


def is_missing(samples: Tensor, target: Tensor) -> Tensor:
    """Where the truth (B, ...) or one of its samples (B, K, ...) is missing: bool (B, ...)."""
    return target.isnan() | samples.isnan().any(1)


def _mean_of_known(values: Tensor, missing: Tensor) -> Tensor:
    """(B, D) -> (B,)."""
    return values.masked_fill(missing, 0).sum(1) / (~missing).sum(1)


def _mean_absolute(a: Tensor, b: Tensor) -> Tensor:
    """float64 (..., T) of two (..., T, C, H, W); 0 where there are no pixels."""
    if a.is_floating_point():  # of what is known
        change = (a - b).abs().flatten(-3)
        return change.nansum(-1, dtype=torch.float64) / (~change.isnan()).sum(-1).clamp(min=1)
    change = (a.short() - b.short()).abs().flatten(-3)
    return change.sum(-1, dtype=torch.float64) / max(1, a.shape[-3:].numel())


def check_ensemble(samples: Tensor, target: Tensor) -> None:
    """Refuse what are no samples of a target.

    Raises:
        ValueError: shapes or dtypes do not fit, or there is nothing.
    """
    fits = samples.ndim == 6 and target.shape == (samples.shape[0], *samples.shape[2:]) and 0 not in samples.shape
    if not fits or samples.dtype != target.dtype:
        raise ValueError(
            "expected samples (B, K, T, C, H, W) and their target (B, T, C, H, W) of the same dtype, got "
            f"{samples.dtype} {tuple(samples.shape)} and {target.dtype} {tuple(target.shape)}"
        )


CRPS = EnsembleMetric(
    "crps",
    MetricInfo(
        "CRPS",
        3,
        False,
        "fair continuous ranked probability score of the K samples, mean over pixels; of one video: its mean absolute "
        "error",
    ),
    crps,
)
ENERGY_SCORE = EnsembleMetric(
    "energy_score",
    MetricInfo(
        "energy score",
        3,
        False,
        "fair energy score of the K samples, with the root mean square over a frame as norm; of one video: that of its "
        "error; mean over frames",
    ),
    energy_score,
)
MOTION = MetricInfo("motion", 2, None, "mean absolute difference to the frame before, of single samples")
SHARPNESS = MetricInfo("sharpness", 2, None, "mean absolute difference of neighbouring pixels, of single samples")
