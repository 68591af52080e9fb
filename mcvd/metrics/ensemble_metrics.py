"""The sums and counts of `mcvd.metrics.calibration` as metrics of torchmetrics: several processes add up to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mcvd.metrics.calibration import event_counts, rank_counts, rank_shares, spread_and_error, spread_skill_sums


class SpreadSkill(Metric):
    """How far the samples differ, and how far their mean is from the truth: root mean squares by frame.

    See `mcvd.metrics.calibration.spread_skill_sums`.

    Args:
        num_frames: T of the videos.
        options: of `torchmetrics.Metric`.
    """

    full_state_update = False
    sums: Tensor

    def __init__(self, num_frames: int, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("sums", torch.zeros(3, num_frames, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, samples: Tensor, target: Tensor) -> None:
        """Take in samples (B, K, T, C, H, W), K 2 or more, and their target (B, T, C, H, W), uint8 or float."""
        self.sums += spread_skill_sums(samples, target)

    def compute(self) -> Tensor:
        """Spread and error, float64 (2, T), in the unit of the data."""
        return spread_and_error(self.sums)


class RankHistogram(Metric):
    """Where the truth lies among K sorted samples: K + 1 places, equally often for a calibrated ensemble.

    A rise at both ends says that samples differ too little, a hill that they differ too much, a slope that they are too
    bright or too dark (Hamill 2001). Where the truth equals some samples, it is in all of their places in equal parts.

    Args:
        num_samples: K.
        options: of `torchmetrics.Metric`.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, num_samples: int, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("counts", torch.zeros(num_samples + 1, num_samples + 1, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, samples: Tensor, target: Tensor) -> None:
        """Take in samples (B, K, T, C, H, W) and their target (B, T, C, H, W), uint8 or float."""
        self.counts += rank_counts(samples, target)

    def compute(self) -> Tensor:
        """The share of each place, float64 (K + 1,), in sum 1."""
        return rank_shares(self.counts)


class Exceedance(Metric):
    """How often values reach thresholds, in samples and in truth: counts by threshold and frame.

    Args:
        thresholds: in the unit of the data; an event is a value that is as large, or larger.
        num_samples: K.
        num_frames: T of the videos.
        options: of `torchmetrics.Metric`.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, thresholds: Sequence[float], num_samples: int, num_frames: int, **options: Any) -> None:
        super().__init__(**options)
        self._thresholds = tuple(thresholds)
        shape = (len(self._thresholds), num_frames, 2, num_samples + 1)
        self.add_state("counts", torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, samples: Tensor, target: Tensor) -> None:
        """Take in samples (B, K, T, C, H, W) and their target (B, T, C, H, W), uint8 or float."""
        self.counts += event_counts(samples, target, self._thresholds)

    def compute(self) -> Tensor:
        """The counts of `mcvd.metrics.calibration.EventCounts`: int64 (len(thresholds), T, 2, K + 1)."""
        return self.counts
