"""Scores of frames: what `mcvd.evaluation.evaluate.evaluate` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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

    @property
    def sentence(self) -> str:
        """Under which conditions the scores hold, in one line."""
        sides = {"before": self.num_past, "after": self.num_future}
        context = " and ".join(f"{number} {side}" for side, number in sides.items() if number) or "nothing"
        height, width = self.size
        return (
            f"{self.num_frames} frames generated from {context}, {self.num_clips} clips of {width}x{height} pixels, "
            f"{self.sampler.split('(')[0]} with {self.num_calls} network calls, guidance {self.guidance:g}, "
            f"seed {self.seed}"
        )

    def best(self, metric: str) -> float:
        """The best mean of a metric among the rows that can win."""
        best = max if self.metrics[metric].higher_is_better else min
        return best(row.scores[metric].mean for row in self.rows.values() if row.ranked)

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: the fields by their names, and the ``sentence``."""
        found = vars(self) | {
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
            "rows": {name: row.to_json() for name, row in self.rows.items()},
            "sentence": self.sentence,
        }
        diversity = found.pop("diversity")
        return found | ({"diversity": asdict(diversity)} if diversity else {})

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
        }
        return Scores(**found)
