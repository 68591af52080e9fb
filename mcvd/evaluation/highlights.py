"""The few clips of an evaluation that are shown beside the ground truth: the best and the worst."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from mcvd.evaluation.batch import SampledBatch
from mcvd.metrics.frame_metrics import PSNR, FrameMetric
from mcvd.models.look import PIXEL_LOOK, Look
from mcvd.runtime.distributed import all_gather

NUM_BEST, NUM_WORST = 2, 2


@dataclass(frozen=True)
class Highlight:
    """A clip to show: its number, what one sample scores on average, if anything, and the first sample.

    Target and sample are pictures, uint8 (T, 1 or 3, H, W), with their context.
    """

    number: int
    score: float | None
    target: Tensor
    sample: Tensor


class Highlights:
    """An accumulator that keeps the best and the worst clips by a metric.

    Where frames have no ground truth, it keeps the first clips.

    Args:
        look: how videos are shown.
        metric: by which they are the best.
    """

    def __init__(self, look: Look = PIXEL_LOOK, metric: FrameMetric = PSNR) -> None:
        self._look, self._metric = look, metric
        self._kept: list[Highlight] = []

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch of this process."""
        name = self._metric.name
        scores = batch.scores[name].tolist() if name in batch.scores else [None] * len(batch)
        pictures = (self._look.pictures(video) for video in (batch.real(), batch.fake()[:, 0]))
        videos = zip(scores, *pictures, strict=True)
        kept = self._extremes(
            [*self._kept, *(Highlight(number, *each) for number, each in enumerate(videos, batch.first))]
        )
        # Copies: a view would keep the whole batch.
        self._kept = [replace(each, target=each.target.clone(), sample=each.sample.clone()) for each in kept]

    def compute(self) -> list[Highlight]:
        """The clips to show, the best first; the same in all processes."""
        return self._extremes([highlight for share in all_gather(self._kept) for highlight in share])

    def _extremes(self, clips: list[Highlight]) -> list[Highlight]:
        """The best and the worst, the best first; the first ones where there are no scores."""
        sign = -1 if self._metric.higher_is_better else 1
        order = sorted(clips, key=lambda clip: (0.0 if clip.score is None else sign * clip.score, clip.number))
        shown = NUM_BEST + NUM_WORST
        if len(order) <= shown or order[0].score is None:
            return order[:shown]
        return [*order[:NUM_BEST], *order[-NUM_WORST:]]
