"""The few clips of an evaluation that are shown beside the ground truth: the best and the worst."""

from __future__ import annotations

from dataclasses import dataclass

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
        numbered = list(enumerate(scores, batch.first))
        chosen = dict(_extremes(numbered + [(kept.number, kept.score) for kept in self._kept]))
        self._kept = [kept for kept in self._kept if kept.number in chosen]
        real, fake = batch.real(), batch.fake()
        for place, (number, score) in enumerate(numbered):
            if number in chosen:  # copies: a view would keep the whole batch
                self._kept.append(Highlight(number, score, real[place].clone(), fake[place, 0].clone()))

    def compute(self) -> list[Highlight]:
        """The clips to show, the best first; the same in all processes."""
        kept = {highlight.number: highlight for share in all_gather(self._kept) for highlight in share}
        return [kept[number] for number, _ in _extremes([(each.number, each.score) for each in kept.values()])]


def _extremes(clips: list[tuple[int, float | None]]) -> list[tuple[int, float | None]]:
    """The best and the worst of numbered scores, the best first; the first ones where there are no scores."""
    order = sorted(clips, key=lambda clip: (0.0 if clip[1] is None else -clip[1], clip[0]))
    if any(score is None for _, score in clips):
        return order[: NUM_BEST + NUM_WORST]
    return list(dict.fromkeys([*order[:NUM_BEST], *order[-NUM_WORST:]]))
