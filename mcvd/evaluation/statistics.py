"""Means over clips, the best of K samples, and bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mcvd.metrics.frame_metrics import FrameMetric

NUM_RESAMPLES = 1000


def _best(metric: FrameMetric, per_frame: Tensor) -> Tensor:
    """Of the K videos of each clip the best one, (B, K, T) -> (B, 1, T)."""
    chosen = metric.best(metric.finish(per_frame.mean(-1)), 1)
    return per_frame[torch.arange(len(per_frame)), chosen][:, None]


def _summaries(
    rows: dict[str, dict[str, Tensor]], metrics: Sequence[FrameMetric]
) -> dict[str, dict[str, float | list[float] | None]]:
    """Scores (B, K, T) of each row and metric -> what is told of them."""
    per_clip = torch.stack(
        [
            torch.stack([metric.finish(row[metric.name].mean(-1)).mean(1) for metric in metrics], -1)
            for row in rows.values()
        ],
        1,
    )  # (N, rows, metrics)
    means, intervals = per_clip.mean(0).tolist(), _intervals(per_clip)
    summaries: dict[str, dict[str, Any]] = {name: {} for name in rows}
    for r, (name, row) in enumerate(rows.items()):
        for m, metric in enumerate(metrics):
            summaries[name] |= {
                metric.name: means[r][m],
                f"{metric.name}_interval": intervals[r][m],
                f"{metric.name}_per_clip": per_clip[:, r, m].tolist(),
                f"{metric.name}_per_frame": metric.finish(row[metric.name]).mean((0, 1)).tolist(),
            }
    return summaries


def _intervals(per_clip: Tensor) -> list[list[list[float] | None]]:
    """95% bootstrap intervals of the means over clips: (N, rows, 2) -> for each row and metric [low, high]."""
    num_clips = len(per_clip)
    if num_clips < 2:
        return [[None] * per_clip.shape[2] for _ in per_clip[0]]
    generator = torch.Generator().manual_seed(0)
    draws = (torch.randint(num_clips, (num_clips,), generator=generator) for _ in range(NUM_RESAMPLES))
    means = torch.stack([per_clip[draw].mean(0) for draw in draws])
    ends = means.quantile(torch.tensor([0.025, 0.975], dtype=means.dtype), dim=0)
    return ends.permute(1, 2, 0).tolist()


def _grey_levels(mse: list[Tensor]) -> float:
    return 255 * torch.cat(mse).mean().sqrt().item()
