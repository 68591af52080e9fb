"""Scores of K samples together: a part of what `mcvd.evaluation.evaluate.evaluate` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mcvd.evaluation.row import Row
from mcvd.metrics.calibration import EventCounts
from mcvd.metrics.frame_metrics import MetricInfo

TRUTH, SAMPLES = "truth", "samples"  # names of rows


@dataclass(frozen=True)
class Calibration:
    """Whether the samples vary as the truth does; see `mcvd.metrics.calibration`.

    Args:
        rank_histogram: shares of the K + 1 places of the truth among the samples; equal ones are right.
        spread: root mean square distance of a sample from the mean of all, for each generated frame.
        error: root mean square error of the samples' mean, for each generated frame; equal to the spread is right.
    """

    rank_histogram: tuple[float, ...]
    spread: tuple[float, ...]
    error: tuple[float, ...]

    @property
    def spread_skill(self) -> float | None:
        """Spread by error, over all frames; 1 is right, less says that samples are too much alike."""
        error = sum(each**2 for each in self.error)
        return (sum(each**2 for each in self.spread) / error) ** 0.5 if error else None

    @property
    def outside(self) -> float:
        """How often the truth is below or above all samples; 2 / (K + 1) is right."""
        return self.rank_histogram[0] + self.rank_histogram[-1]


@dataclass(frozen=True)
class EventScore:
    """What a row scores at a threshold; None where a ratio has nothing to divide by.

    Args:
        brier: fair Brier score.
        csi, pod, far: critical success index, probability of detection, false alarm ratio.
        csi_per_frame: the first of these for each generated frame.
    """

    brier: float
    csi: float | None
    pod: float | None
    far: float | None
    csi_per_frame: tuple[float | None, ...]

    @staticmethod
    def of(counts: EventCounts) -> EventScore:
        """Of counts by frame, (T, 2, K + 1)."""
        by_frame = tuple(EventCounts(frame).csi() for frame in counts.counts)
        return EventScore(counts.brier(), counts.csi(), counts.pod(), counts.far(), by_frame)


@dataclass(frozen=True)
class Event:
    """That a value reaches a threshold.

    Args:
        threshold: in the unit of the data.
        base_rate: how often the true values do.
        said: for 0 to K samples that reach it, the share of all pixels.
        came: for 0 to K samples that reach it, how often the truth does; None: so many never did.
        rows: by name, as `EnsembleScores.rows` without the truth, and ``mean_of_K`` of K samples.
    """

    threshold: float
    base_rate: float
    said: tuple[float, ...]
    came: tuple[float | None, ...]
    rows: Mapping[str, EventScore]

    @staticmethod
    def from_json(event: Mapping[str, Any]) -> Event:
        """Of what `dataclasses.asdict` makes."""
        rows = {
            name: EventScore(**{**row, "csi_per_frame": tuple(row["csi_per_frame"])})
            for name, row in event["rows"].items()
        }
        return Event(event["threshold"], event["base_rate"], tuple(event["said"]), tuple(event["came"]), rows)


@dataclass(frozen=True)
class EnsembleScores:
    """Scores of the K samples of each clip together, in the unit of the data.

    Args:
        unit: of the data and so of all scores, such as "grey levels".
        metrics: what a reader has to know of each, by name: ``crps``, ``energy_score``, ``motion``, ``sharpness``.
            Without ground truth ("generate") the last two.
        rows: by name: ``truth``, the baselines, and ``samples``, the model's.
        calibration: None for a single sample, or without ground truth.
        events: values that reach thresholds; none without ground truth.
    """

    unit: str
    metrics: Mapping[str, MetricInfo]
    rows: Mapping[str, Row]
    calibration: Calibration | None
    events: tuple[Event, ...]

    def relative(self, metric: str, row: str = SAMPLES) -> float | None:
        """Motion or sharpness of a row by that of the truth; None where the truth has none."""
        true = self.rows[TRUTH].scores[metric].mean
        return self.rows[row].scores[metric].mean / true if true else None

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: the fields by their names."""
        return {
            "unit": self.unit,
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "rows": {name: row.to_json() for name, row in self.rows.items()},
            "calibration": asdict(self.calibration) if self.calibration else None,
            "events": [asdict(event) for event in self.events],
        }

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> EnsembleScores:
        """Of `to_json`."""
        metrics = {name: MetricInfo(**metric) for name, metric in found["metrics"].items()}
        calibration = found["calibration"]
        if calibration is not None:
            calibration = Calibration(**{name: tuple(values) for name, values in calibration.items()})
        return EnsembleScores(
            unit=found["unit"],
            metrics=metrics,
            rows={name: Row.from_json(row, metrics) for name, row in found["rows"].items()},
            calibration=calibration,
            events=tuple(Event.from_json(event) for event in found["events"]),
        )
