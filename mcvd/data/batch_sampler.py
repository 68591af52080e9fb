"""Which samples come next: an order that can be stopped anywhere, resumed exactly, and divided among processes.

Samples are numbered 0, 1, 2, ... over the whole training, epochs included. Which clip a sample is, the data set decides
(`mcvd.data.clips.dataset`); here only numbers are batched. The state is therefore one number, and no clip is lost or
repeated when a run stops in the middle of an epoch or resumes on another number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Dataset, Sampler

from mcvd.data.loader import ForkSafeLoader

SAMPLES_SEEN = "draws_done"  # key of the number in checkpoints: its name of before, so that old runs resume


class ResumableBatchSampler(Sampler[list[int]]):
    """Batches of the sample numbers ``samples_seen, samples_seen + 1, ...`` for one of several processes.

    Batch ``b`` of process ``rank`` begins at sample ``samples_seen + (b * world_size + rank) * batch_size``: all
    processes together see the same samples whatever their number, at the same global batch size.

    Args:
        num_clips: clips of the data set; sample ``n`` belongs to epoch ``n // num_clips``.
        batch_size: samples in a batch of one process.
        rank: which process this is, ``0 <= rank < world_size``.
        world_size: number of processes that train together.

    One pass gives ``len(self)`` batches, about one epoch and at least one batch, from ``samples_seen`` on. A pass does
    not change ``samples_seen``: batches that workers fetched ahead are not trained on yet, so the training sets it.

    Examples:
        >>> order = ResumableBatchSampler(num_clips=6, batch_size=2, rank=1, world_size=2)
        >>> order.samples_seen = 8
        >>> list(order)
        [[10, 11]]
    """

    def __init__(self, num_clips: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        if num_clips < 1 or batch_size < 1:
            raise ValueError(f"num_clips and batch_size must be 1 or more, got {num_clips} and {batch_size}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be 0 <= rank < world_size, got rank {rank} of {world_size}")
        self.num_clips = num_clips
        self.batch_size = batch_size
        self.rank = rank
        self.global_batch_size = batch_size * world_size
        self.samples_seen = 0

    def __len__(self) -> int:
        return max(1, self.num_clips // self.global_batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        # Read now, not with the first batch: a pass starts where the training stood when the pass was begun.
        first = self.samples_seen + self.rank * self.batch_size
        starts = range(first, first + len(self) * self.global_batch_size, self.global_batch_size)
        return (list(range(start, start + self.batch_size)) for start in starts)


class ResumableLoader(ForkSafeLoader):
    """A loader whose every pass begins where training stands.

    Args:
        dataset: indexed by sample number.
        order: the batches of sample numbers.
        count_samples: called when a pass begins: how many samples all processes together have trained on.
        options: the other arguments of `mcvd.data.loader.ForkSafeLoader`.
    """

    def __init__(
        self, dataset: Dataset, order: ResumableBatchSampler, count_samples: Callable[[], int], **options: Any
    ) -> None:
        super().__init__(dataset, batch_sampler=order, **options)
        self.order = order
        self._count_samples = count_samples

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.order.samples_seen = self._count_samples()
        return super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Where training stands. Lightning takes a loader with these two methods for one that can resume."""
        return {SAMPLES_SEEN: self._count_samples()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Nothing to do: the next pass calls ``count_samples``, whose state is restored before."""
