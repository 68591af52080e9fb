"""Scores of frames: what `mcvd.evaluation.evaluate.evaluate` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mcvd.evaluation.ensemble_scores import EnsembleScores
from mcvd.evaluation.row import Row, best_mean
from mcvd.metrics.frame_metrics import MetricInfo


@dataclass(frozen=True)
class Diversity:
    """Root mean square differences in grey levels, between two samples of a clip and from a sample to the ground truth.

    They are equal for a model whose samples are spread as the truth is.
    """

    between_samples: float
    to_truth: float


@dataclass(frozen=True)
class Scores:
    """Scores of frames, and the conditions that they hold under.

    Args:
        task: "predict", "backward", "interpolate" or "generate".
        num_clips: clips scored.
        num_past, num_frames, num_future: frames given before, generated, and given after.
        size: (height, width) in pixels.
        num_samples: K samples of each clip.
        sampler: with its settings, in words.
        num_calls: of the network, for each block.
        guidance: see `Denoiser.bind`.
        sampling: further options of sampling, such as ``overlap``.
        seed: of the samples.
        metrics: what a reader has to know of each metric, by its name.
        rows: by name, the baselines of the task (``copy_last``, ``copy_first``, ``extrapolate``, ``blend``), then

            - ``one_sample``: what a single sample scores on average,
            - ``mean_of_K``: the score of the average of the K samples,
            - ``best_of_K``: of the best of the K, chosen for each clip and metric with the ground truth in hand, so it
              rises with K. Published results are usually this one.

            Empty for "generate", where no frame has a ground truth.
        diversity: None for a single sample. For "generate" its ground truth is some true video.
        ensemble: scores of the K samples together; None in files of before there were any.
    """

    task: str
    num_clips: int
    num_past: int
    num_frames: int
    num_future: int
    size: tuple[int, int]
    num_samples: int
    sampler: str
    num_calls: int
    guidance: float
    sampling: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, MetricInfo]
    rows: Mapping[str, Row]
    diversity: Diversity | None = None
    ensemble: EnsembleScores | None = None

    @property
    def sentence(self) -> str:
        """Under which conditions the scores hold, in one line."""
        sides = {"before": self.num_past, "after": self.num_future}
        context = " and ".join(f"{number} {side}" for side, number in sides.items() if number) or "nothing"
        height, width = self.size
        return (
            f"{self.num_frames} frames generated from {context}, {self.num_clips} clips of {height}x{width} pixels, "
            f"{self.sampler.split('(')[0]} with {self.num_calls} network calls, guidance {self.guidance:g}, "
            f"seed {self.seed}"
        )

    def best(self, metric: str) -> float | None:
        """See `best_mean`."""
        return best_mean(self.rows, metric, self.metrics[metric])

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: the fields by their names, and the ``sentence``."""
        found = vars(self) | {
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "rows": {name: row.to_json() for name, row in self.rows.items()},
            "sentence": self.sentence,
        }
        diversity, ensemble = found.pop("diversity"), found.pop("ensemble")
        found |= {"diversity": asdict(diversity)} if diversity else {}
        return found | ({"ensemble": ensemble.to_json()} if ensemble else {})

    @staticmethod
    def from_json(scores: Mapping[str, Any]) -> Scores:
        """Of `to_json`."""
        found = {name: value for name, value in scores.items() if name != "sentence"}
        metrics = {name: MetricInfo(**metric) for name, metric in found["metrics"].items()}
        height, width = found["size"]
        found |= {
            "size": (height, width),
            "metrics": metrics,
            "rows": {name: Row.from_json(row, metrics) for name, row in found["rows"].items()},
            "diversity": Diversity(**found["diversity"]) if "diversity" in found else None,
            "ensemble": EnsembleScores.from_json(found["ensemble"]) if "ensemble" in found else None,
        }
        return Scores(**found)
