"""Whether an ensemble means what it says: spread against error, ranks of the truth, and events above thresholds.

Each is a sum or a count, so that memory does not depend on how many videos there are, and those of parts add up:
`mcvd.metrics.ensemble_metrics` has them as metrics of torchmetrics. Pixels in which the truth or a sample is missing
(NaN) do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.metrics.ensemble import check_ensemble, is_missing


def spread_skill_sums(samples: Tensor, target: Tensor) -> Tensor:
    """Sums of the samples' variance and of the squared error of their mean, and how many pixels these are, by frame.

    The spread is that of K samples divided by K - 1, widened by (K + 1) / K, because the mean of K is not the mean of
    all (Fortin et al. 2014, eq. 15): for a calibrated ensemble both are equal, whatever K.

    Args:
        samples: uint8 or float (B, K, T, C, H, W), K 2 or more.
        target: (B, T, C, H, W), of the same dtype.

    Returns:
        float64 (3, T): sum of variances, sum of squared errors, number of pixels.

    Raises:
        ValueError: one sample, or samples that are not of this target.
    """
    check_ensemble(samples, target)
    num_samples = samples.shape[1]
    if num_samples < 2:
        raise ValueError(f"a spread needs 2 samples or more, got {num_samples}")
    sums = torch.zeros(3, samples.shape[2], dtype=torch.float64, device=samples.device)
    for t in range(samples.shape[2]):
        frames, truth = samples[:, :, t].double(), target[:, t].double()
        missing = is_missing(frames, truth)
        variance, error = frames.var(1), (frames.mean(1) - truth).square()
        sums[0, t] = variance.masked_fill(missing, 0).sum() * (num_samples + 1) / num_samples
        sums[1, t] = error.masked_fill(missing, 0).sum()
        sums[2, t] = (~missing).sum()
    return sums


def spread_and_error(sums: Tensor) -> Tensor:
    """Root mean squares of spread and error from `spread_skill_sums`: float64 (2, T), in the unit of the data."""
    return (sums[:2] / sums[2]).sqrt()


def rank_counts(samples: Tensor, target: Tensor) -> Tensor:
    """How often so many samples lay below the truth, and so many were equal to it.

    Args:
        samples: uint8 or float (B, K, T, C, H, W).
        target: (B, T, C, H, W), of the same dtype.

    Returns:
        int64 (K + 1, K + 1): [below, equal].
    """
    check_ensemble(samples, target)
    places = samples.shape[1] + 1
    counts = torch.zeros(places, places, dtype=torch.int64, device=samples.device)
    for frames, truth in zip(samples.unbind(2), target.unbind(1), strict=True):
        below, equal = (frames < truth[:, None]).sum(1), (frames == truth[:, None]).sum(1)
        pairs = (below * places + equal)[~is_missing(frames, truth)]
        counts += torch.bincount(pairs, minlength=places**2).view(places, places)
    return counts


def rank_shares(counts: Tensor) -> Tensor:
    """Where the truth lies among the samples, from `rank_counts`: the share of each place, float64 (K + 1,), in sum 1.

    Where the truth equals some samples, it is in all of their places in equal parts.
    """
    shares = torch.zeros(len(counts), dtype=torch.float64)
    for below, equal in counts.nonzero().tolist():
        shares[below : below + equal + 1] += counts[below, equal].double() / (equal + 1)
    return shares / shares.sum()


def event_counts(samples: Tensor, target: Tensor, thresholds: Sequence[float]) -> Tensor:
    """How often values reach thresholds, in samples and in truth.

    Args:
        samples: uint8 or float (B, K, T, C, H, W).
        target: (B, T, C, H, W), of the same dtype.
        thresholds: in the unit of the data; an event is a value that is as large, or larger.

    Returns:
        int64 (len(thresholds), T, 2, K + 1): the counts of `EventCounts`, by threshold and frame.
    """
    check_ensemble(samples, target)
    places = samples.shape[1] + 1
    known = ~is_missing(samples, target)
    shape = (len(thresholds), samples.shape[2], 2, places)
    counts = torch.zeros(shape, dtype=torch.int64, device=samples.device)
    for number, threshold in enumerate(thresholds):
        pairs = (target >= threshold) * places + (samples >= threshold).sum(1)
        for t in range(pairs.shape[1]):
            found = torch.bincount(pairs[:, t][known[:, t]], minlength=2 * places)
            counts[number, t] = found.view(2, places)
    return counts


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


def _share(part: float, rest: float) -> float | None:
    return part / (part + rest) if part + rest else None
