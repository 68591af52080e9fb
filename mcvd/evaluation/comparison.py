"""Scores of two result cards beside each other: by how much one model is better than the other on the same clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mcvd.evaluation.ensemble_scores import SAMPLES
from mcvd.evaluation.result_card import ResultCard
from mcvd.evaluation.row import Row, Score
from mcvd.evaluation.statistics import bootstrap_intervals
from mcvd.metrics.frame_metrics import MetricInfo

_OF_THE_MODEL: tuple[str, ...] = ("one_sample", "mean_of_K", "best_of_K")  # baselines are the same on both cards


@dataclass(frozen=True)
class Change:
    """A score of the first card, A, and of the second, B.

    Args:
        row: whose score, such as "model, mean of 10".
        metric: what a reader has to know of it.
        first, second: of A and of B, means over clips.
        interval: 95% bootstrap interval of the mean of B - A clip by clip, (low, high); None for a single clip.
    """

    row: str
    metric: MetricInfo
    first: float
    second: float
    interval: tuple[float, float] | None

    @property
    def verdict(self) -> str:
        """Which is better: "A", "B", or "neither is" where the interval holds 0; "" where nobody can say."""
        if self.interval is None or self.metric.higher_is_better is None:
            return ""
        low, high = self.interval
        if low <= 0 <= high:
            return "neither is"
        return "B" if (low > 0) == self.metric.higher_is_better else "A"

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: the fields by their names, and the ``verdict``."""
        return asdict(self) | {"verdict": self.verdict}


def changes_between(a: ResultCard, b: ResultCard) -> list[Change]:
    """The scores of both models, row by row, where both cards have them.

    Args:
        a, b: cards that can be compared: of the same clips in the same order.
    """
    pairs = [(a.scores.rows, b.scores.rows, a.scores.metrics, _OF_THE_MODEL)]
    if a.scores.ensemble is not None and b.scores.ensemble is not None:
        pairs.append((a.scores.ensemble.rows, b.scores.ensemble.rows, a.scores.ensemble.metrics, (SAMPLES,)))
    return [
        change
        for first, second, metrics, names in pairs
        for name in names
        if name in first and name in second
        for change in _of_row(first[name], second[name], metrics)
    ]


def _of_row(first: Row, second: Row, metrics: Mapping[str, MetricInfo]) -> Iterator[Change]:
    for name, metric in metrics.items():
        if name in first.scores and name in second.scores:
            one, other = first.scores[name], second.scores[name]
            yield Change(first.title, metric, one.mean, other.mean, _interval(one, other))


def _interval(first: Score, second: Score) -> tuple[float, float] | None:
    clips = (torch.tensor(score.per_clip, dtype=torch.float64) for score in (second, first))
    (interval,) = bootstrap_intervals(torch.sub(*clips)[:, None])
    return interval


def changes_as_text(changes: Sequence[Change]) -> list[str]:
    """Lines of a table of A, B, what B has more than A, and which is better."""
    names = [f"{change.row}: {change.metric.title}" for change in changes]
    width = max(map(len, names), default=0)
    lines = [f"{'':{width}}  {'A':>8}  {'B':>8}  {'B - A':>8}  {'95% interval':>18}  better"] if changes else []
    for name, change in zip(names, changes, strict=True):
        text, digits = change.metric.text, change.metric.digits + 1  # of a difference one more
        interval = " .. ".join(f"{end:+.{digits}f}" for end in change.interval or ())
        values = f"{text(change.first):>8}  {text(change.second):>8}  {change.second - change.first:>+8.{digits}f}"
        lines.append(f"{name:{width}}  {values}  {interval:>18}  {change.verdict}".rstrip())
    return lines
