"""Means over clips, the best of K samples, and bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from mcvd.evaluation.row import Score
from mcvd.metrics.frame_metrics import FrameMetric

Finish = Callable[[Tensor], Tensor]

NUM_RESAMPLES = 1000
_NUMBERS_AT_ONCE = 1 << 24  # of a resample: 128 MiB


def mean_of_known(values: Tensor, dim: int) -> Tensor:
    """The mean along an axis of what is not NaN; that is all, but where frames have no known value."""
    return values.nanmean(dim) if values.isnan().any() else values.mean(dim)


def best_of_samples(metric: FrameMetric, per_frame: Tensor) -> Tensor:
    """Of the K samples of each clip the best one: what `FrameMetric.per_frame` gives, (N, K, T) -> (N, 1, T)."""
    chosen = metric.best(metric.finish(mean_of_known(per_frame, -1)), 1)
    return per_frame[torch.arange(len(per_frame)), chosen][:, None]


def per_clip(finish: Finish, per_frame: Tensor) -> Tensor:
    """The score of each clip, the mean over its K samples: (N, K, T) -> float64 (N,)."""
    return mean_of_known(finish(mean_of_known(per_frame, -1)), 1)


def summarize(per_frame: Mapping[tuple[str, str], Tensor], finish: Mapping[str, Finish]) -> dict[str, dict[str, Score]]:
    """What is reported of each row and metric.

    Args:
        per_frame: by the names of row and metric what `FrameMetric.per_frame` gives, (N, K, T); K is the row's own.
        finish: of each metric, by its name: see `FrameMetric`.

    Returns:
        row -> name of the metric -> score.
    """
    if not per_frame:
        return {}
    found: dict[str, dict[str, Score]] = {row: {} for row, _ in per_frame}
    of_clips = [per_clip(finish[name], values) for (_, name), values in per_frame.items()]
    intervals = bootstrap_intervals(torch.stack(of_clips, 1))
    for ((row, name), values), clips, interval in zip(per_frame.items(), of_clips, intervals, strict=True):
        course = mean_of_known(finish[name](values).flatten(0, 1), 0)
        mean = mean_of_known(clips, 0).item()
        found[row][name] = Score(mean, interval, tuple(clips.tolist()), tuple(course.tolist()))
    return found


def bootstrap_intervals(values: Tensor) -> list[tuple[float, float] | None]:
    """95% percentile bootstrap intervals of means over clips, always from the same resamples.

    Args:
        values: float64 (N, M), M scores of each of N clips.

    Returns:
        M intervals (low, high); None for a single clip.
    """
    if len(values) < 2:
        return [None] * values.shape[1]
    # Those of scipy.stats.bootstrap, whose import takes longer than a small evaluation's resamples.
    mean, quantile = (np.nanmean, np.nanquantile) if values.isnan().any() else (np.mean, np.quantile)
    at_once, num_clips = max(1, _NUMBERS_AT_ONCE // values.numel()), len(values)
    generator, of_metrics = np.random.default_rng(0), np.ascontiguousarray(values.numpy().T)
    means = []
    for first in range(0, NUM_RESAMPLES, at_once):
        drawn = generator.integers(0, num_clips, (min(at_once, NUM_RESAMPLES - first), num_clips))
        means.append(mean(of_metrics[:, drawn], -1))
    low, high = quantile(np.concatenate(means, axis=1), (0.025, 0.975), axis=1)
    return list(zip(low.tolist(), high.tolist(), strict=True))
