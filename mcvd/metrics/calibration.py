"""Whether an ensemble means what it says: spread against error, ranks of the truth, and events above thresholds.

Three metrics of torchmetrics whose states are counts and sums, so that memory does not depend on how many videos there
are, and several processes add up to one. Pixels in which the truth or a sample is missing (NaN) do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mcvd.metrics.ensemble import check_ensemble, is_missing


class SpreadSkill(Metric):
    """How far the samples differ, and how far their mean is from the truth, as root mean squares by frame.

    The spread is that of K samples divided by K - 1, widened by (K + 1) / K, because the mean of K is not the mean of
    all (Fortin et al. 2014, eq. 15): for a calibrated ensemble both are equal, whatever K.

    Args:
        num_frames: T of the videos.
        options: of `torchmetrics.Metric`.
    """

    full_state_update = False
    variance: Tensor
    squared_error: Tensor
    count: Tensor

    def __init__(self, num_frames: int, **options: Any) -> None:
        super().__init__(**options)
        for name in ("variance", "squared_error"):
            self.add_state(name, torch.zeros(num_frames, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(num_frames, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, samples: Tensor, target: Tensor) -> None:
        """Take in samples (B, K, T, C, H, W), K 2 or more, and their target (B, T, C, H, W), uint8 or float."""
        check_ensemble(samples, target)
        num_samples = samples.shape[1]
        if num_samples < 2:
            raise ValueError(f"a spread needs 2 samples or more, got {num_samples}")
        for t in range(samples.shape[2]):
            frames, truth = samples[:, :, t].double(), target[:, t].double()
            missing = is_missing(frames, truth)
            variance, error = frames.var(1), (frames.mean(1) - truth).square()
            self.variance[t] += variance.masked_fill(missing, 0).sum() * (num_samples + 1) / num_samples
            self.squared_error[t] += error.masked_fill(missing, 0).sum()
            self.count[t] += (~missing).sum()

    def compute(self) -> Tensor:
        """Spread and error, float64 (2, T), in the unit of the data."""
        return (torch.stack([self.variance, self.squared_error]) / self.count).sqrt()


class RankHistogram(Metric):
    """Where the truth lies among K sorted samples: K + 1 places, equally often for a calibrated ensemble.

    A rise at both ends says that samples differ too little, a hill that they differ too much, a slope that they are too
    bright or too dark (Hamill 2001). Where the truth equals some samples, it is in all of their places in equal parts.

    Args:
        num_samples: K.
        options: of `torchmetrics.Metric`.
    """

    full_state_update = False
    ties: Tensor

    def __init__(self, num_samples: int, **options: Any) -> None:
        super().__init__(**options)
        self._places = num_samples + 1
        # How often so many samples lay below the truth, and so many were equal to it.
        self.add_state("ties", torch.zeros(self._places, self._places, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, samples: Tensor, target: Tensor) -> None:
        """Take in samples (B, K, T, C, H, W) and their target (B, T, C, H, W), uint8 or float."""
        check_ensemble(samples, target)
        for frames, truth in zip(samples.unbind(2), target.unbind(1), strict=True):
            below, equal = (frames < truth[:, None]).sum(1), (frames == truth[:, None]).sum(1)
            pairs = (below * self._places + equal)[~is_missing(frames, truth)]
            self.ties += torch.bincount(pairs, minlength=self._places**2).view(self._places, self._places)

    def compute(self) -> Tensor:
        """The share of each place, float64 (K + 1,), in sum 1."""
        shares = torch.zeros(self._places, dtype=torch.float64)
        for below, equal in self.ties.nonzero().tolist():
            shares[below : below + equal + 1] += self.ties[below, equal].double() / (equal + 1)
        return shares / shares.sum()


@dataclass(frozen=True)
class EventCounts:
    """How often so many of K samples said that an event comes, and whether it came.

    Args:
        counts: int64 (..., 2, K + 1): [0] where it did not come, [1] where it did.

    Examples:
        >>> EventCounts(torch.tensor([[90, 5], [2, 3]])).contingency()  # 3 hits, 2 misses, 5 false alarms
        (3.0, 2.0, 5.0)
    """

    counts: Tensor

    @property
    def _shares(self) -> Tensor:
        num_samples = self.counts.shape[-1] - 1
        return torch.arange(num_samples + 1, dtype=torch.float64) / num_samples

    def base_rate(self) -> float:
        """How often the event comes."""
        return (self.counts[..., 1, :].sum() / self.counts.sum()).item()

    def brier(self) -> float:
        """Fair Brier score of the share of samples as probability (Ferro 2014, eq. 3); 0 is best.

        Of one video: how often it is wrong.
        """
        shares, num_samples = self._shares, self.counts.shape[-1] - 1
        lost = torch.stack([shares.square(), (shares - 1).square()])
        if num_samples > 1:
            lost = lost - shares * (1 - shares) / (num_samples - 1)
        return ((self.counts * lost).sum() / self.counts.sum()).item()

    def contingency(self) -> tuple[float, float, float]:
        """Hits, misses and false alarms of one sample, in the mean over samples."""
        said = self.counts.double() @ self._shares
        none, hits = said.reshape(-1, 2).sum(0).tolist()
        return hits, float(self.counts[..., 1, :].sum()) - hits, none

    def csi(self) -> float | None:
        """Critical success index (threat score): hits of all that was said or came; None where there was nothing."""
        hits, misses, alarms = self.contingency()
        return _share(hits, misses + alarms)

    def pod(self) -> float | None:
        """Probability of detection: hits of all that came."""
        hits, misses, _ = self.contingency()
        return _share(hits, misses)

    def far(self) -> float | None:
        """False alarm ratio: false alarms of all that was said."""
        hits, _, alarms = self.contingency()
        return _share(alarms, hits)

    def reliability(self) -> tuple[list[float], list[float | None]]:
        """For 0 to K samples that say so: the share of all pixels, and how often the event came (None: never said)."""
        none, came = self.counts.reshape(-1, 2, self.counts.shape[-1]).sum(0).double()
        said = none + came
        pairs = zip(came.tolist(), said.tolist(), strict=True)
        return (said / said.sum()).tolist(), [c / s if s else None for c, s in pairs]


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
        check_ensemble(samples, target)
        places = self.counts.shape[-1]
        known = ~is_missing(samples, target)
        for number, threshold in enumerate(self._thresholds):
            pairs = (target >= threshold) * places + (samples >= threshold).sum(1)
            for t in range(pairs.shape[1]):
                counts = torch.bincount(pairs[:, t][known[:, t]], minlength=2 * places)
                self.counts[number, t] += counts.view(2, places)

    def compute(self) -> Tensor:
        """The counts of `EventCounts`, by threshold and frame: int64 (len(thresholds), T, 2, K + 1)."""
        return self.counts


def _share(part: float, rest: float) -> float | None:
    return part / (part + rest) if part + rest else None
