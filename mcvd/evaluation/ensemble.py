"""Collects what K samples score together, batch by batch, beside the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.ensemble_scores import SAMPLES, TRUTH, Calibration, EnsembleScores, Event, EventScore
from mcvd.evaluation.row import Row
from mcvd.evaluation.statistics import summarize
from mcvd.metrics.calibration import (
    EventCounts,
    event_counts,
    rank_counts,
    rank_shares,
    spread_and_error,
    spread_skill_sums,
)
from mcvd.metrics.ensemble import CRPS, ENERGY_SCORE, MOTION, SHARPNESS, motion, sharpness
from mcvd.metrics.frames import mean_of_samples
from mcvd.runtime.distributed import sum_over_processes

_METRICS = (CRPS, ENERGY_SCORE)
_LOOKS = {"motion": MOTION, "sharpness": SHARPNESS}


class EnsembleEvaluation:
    """Collects what `EnsembleScores` says, batch by batch: sums and counts, and four numbers for a frame and a row.

    Args:
        num_samples: K.
        num_frames: T, generated ones.
        thresholds: of events, in the unit of the data.
        has_target: whether the samples have a ground truth.
    """

    def __init__(self, num_samples: int, num_frames: int, thresholds: Sequence[float], has_target: bool) -> None:
        self._num_samples, self._num_frames = num_samples, num_frames
        self._thresholds = tuple(thresholds) if has_target else ()
        self._metrics = _METRICS if has_target else ()
        self._calibrated = has_target and num_samples > 1
        # A process without clips of its own has counted none.
        self._ranks = torch.zeros(num_samples + 1, num_samples + 1, dtype=torch.int64)
        self._spread = torch.zeros(3, num_frames, dtype=torch.float64)
        self._counts: dict[str, Tensor] = {}

    def update(self, batch: SampledBatch, baselines: Mapping[str, Tensor]) -> dict[tuple[str, str], Tensor]:
        """Take in a batch and its baselines (B, T, C, H, W).

        Returns:
            By the names of row and metric the values of its clips and frames, float64 (B, 1, T).
        """
        videos = {name: video[:, None] for name, video in baselines.items()} | {SAMPLES: batch.samples}
        found: dict[tuple[str, str], Tensor] = {}
        for name, video in ({TRUTH: batch.target[:, None]} | videos).items():
            found |= {(name, metric.name): metric.per_frame(video, batch.target) for metric in self._metrics}
            found[name, "motion"] = _motion(video, batch).mean(1)
            found[name, "sharpness"] = sharpness(video).mean(1)
        if self._calibrated:
            self._ranks += rank_counts(batch.samples, batch.target).cpu()
            self._spread += spread_skill_sums(batch.samples, batch.target).cpu()
            videos["mean_of_K"] = mean_of_samples(batch.samples)[:, None]
        for name, video in videos.items() if self._thresholds else ():
            counts = event_counts(video, batch.target, self._thresholds).cpu()
            self._counts[name] = self._counts.get(name, 0) + counts
        return {key: values[:, None] for key, values in found.items()}

    def compute(
        self, per_frame: Mapping[tuple[str, str], Tensor], titles: Mapping[str, str], unit: str
    ) -> EnsembleScores:
        """The scores; all processes call this.

        Args:
            per_frame: what `update` returned in all processes, of all clips in order, (N, 1, T).
            titles: of the rows.
            unit: of the data.
        """
        infos = {metric.name: metric.info for metric in self._metrics} | _LOOKS
        rows = {
            name: Row(titles[name], scores, ranked=name != TRUTH)
            for name, scores in summarize(per_frame, dict.fromkeys(infos, Tensor.double)).items()
        }
        calibration = None
        if self._calibrated:
            spread, error = spread_and_error(sum_over_processes(self._spread)).tolist()
            shares = rank_shares(sum_over_processes(self._ranks)).tolist()
            calibration = Calibration(tuple(shares), tuple(spread), tuple(error))
        return EnsembleScores(unit, infos, rows, calibration, self._events(rows))

    def _events(self, rows: Mapping[str, Row]) -> tuple[Event, ...]:
        if not self._thresholds:
            return ()
        names = [name for name in rows if name != TRUTH] + (["mean_of_K"] if self._calibrated else [])
        counts = {}
        for name in names:
            places = 1 + (self._num_samples if name == SAMPLES else 1)
            none = torch.zeros(len(self._thresholds), self._num_frames, 2, places, dtype=torch.int64)
            counts[name] = list(map(EventCounts, sum_over_processes(self._counts.get(name, none))))
        events = []
        for number, threshold in enumerate(self._thresholds):
            said, came = counts[SAMPLES][number].reliability()
            scores = {name: EventScore.of(each[number]) for name, each in counts.items()}
            base_rate = counts[SAMPLES][number].base_rate()
            events.append(Event(threshold, base_rate, tuple(said), tuple(came), scores))
        return tuple(events)


def _motion(videos: Tensor, batch: SampledBatch) -> Tensor:
    """Of videos (B, K, T, C, H, W) from the given frame nearest to them: from the one after, where none is before."""
    num_samples = videos.shape[1]
    if batch.past.shape[1] or not batch.future.shape[1]:
        return motion(videos, batch.past[:, None, -1:].expand(-1, num_samples, -1, -1, -1, -1))
    after = batch.future[:, None, :1].expand(-1, num_samples, -1, -1, -1, -1)
    return motion(videos.flip(2), after).flip(-1)
