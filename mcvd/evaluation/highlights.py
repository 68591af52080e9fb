"""The few clips of an evaluation that are shown beside the ground truth: the best and the worst."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from mcvd.evaluation.batch import SampledBatch
from mcvd.runtime.distributed import all_gather

NUM_BEST, NUM_WORST = 2, 2


@dataclass(frozen=True)
class Highlight:
    """A clip to show: its number, what one sample scores on average, if anything, and the first sample.

    Target and sample are uint8 (T, C, H, W), with their context.
    """

    number: int
    score: float | None
    target: Tensor
    sample: Tensor


class Highlights:
    """An accumulator that keeps the best and the worst clips by a metric of which more is better.

    Where frames have no ground truth, it keeps the first clips.
    """

    def __init__(self, metric: str = "psnr") -> None:
        self._metric = metric
        self._kept: list[Highlight] = []

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch of this process."""
        scores = batch.scores[self._metric].tolist() if self._metric in batch.scores else [None] * len(batch)
        videos = zip(scores, batch.real(), batch.fake()[:, 0], strict=True)
        kept = _extremes([*self._kept, *(Highlight(number, *each) for number, each in enumerate(videos, batch.first))])
        # Copies: a view would keep the whole batch.
        self._kept = [replace(each, target=each.target.clone(), sample=each.sample.clone()) for each in kept]

    def compute(self) -> list[Highlight]:
        """The clips to show, the best first; the same in all processes."""
        return _extremes([highlight for share in all_gather(self._kept) for highlight in share])


def _extremes(clips: list[Highlight]) -> list[Highlight]:
    """The best and the worst, the best first; the first ones where there are no scores."""
    order = sorted(clips, key=lambda clip: (0.0 if clip.score is None else -clip.score, clip.number))
    shown = NUM_BEST + NUM_WORST
    if len(order) <= shown or order[0].score is None:
        return order[:shown]
    return [*order[:NUM_BEST], *order[-NUM_WORST:]]
