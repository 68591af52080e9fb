"""The scores of one row of a table: of a baseline, or of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcvd.metrics.frame_metrics import MetricInfo


@dataclass(frozen=True)
class Score:
    """A metric's values for one row.

    Args:
        mean: over clips.
        interval: its 95% bootstrap interval over clips, (low, high); None for a single clip.
        per_clip: one value for each clip.
        per_frame: the mean over clips for each generated frame.
    """

    mean: float
    interval: tuple[float, float] | None
    per_clip: tuple[float, ...]
    per_frame: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """The scores of a baseline, or of the model: its title for people, and a score for each metric by its name.

    ``ranked`` is False for what was chosen with the ground truth in hand: it cannot win.
    """

    title: str
    scores: Mapping[str, Score]
    ranked: bool = True

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: for each metric four keys, such as ``psnr``, ``psnr_interval``, ``psnr_per_clip``."""
        found: dict[str, Any] = {"title": self.title, "ranked": self.ranked}
        for name, score in self.scores.items():
            found |= {name: score.mean, f"{name}_interval": score.interval}
            found |= {f"{name}_per_clip": score.per_clip, f"{name}_per_frame": score.per_frame}
        return found

    @staticmethod
    def from_json(row: Mapping[str, Any], metrics: Mapping[str, MetricInfo]) -> Row:
        """Of `to_json`."""
        scores = {}
        for name in metrics:
            ends, per_clip, per_frame = (row[f"{name}_{part}"] for part in ("interval", "per_clip", "per_frame"))
            low_high = None if ends is None else (float(ends[0]), float(ends[1]))
            scores[name] = Score(float(row[name]), low_high, tuple(per_clip), tuple(per_frame))
        return Row(row["title"], scores, row["ranked"])


def best_mean(rows: Mapping[str, Row], name: str, metric: MetricInfo) -> float | None:
    """The best mean of a metric among the rows that can win; None where neither more nor less is better."""
    if metric.higher_is_better is None:
        return None
    best = max if metric.higher_is_better else min
    return best(row.scores[name].mean for row in rows.values() if row.ranked)
