"""Which clips come next: an order that can be stopped anywhere, resumed exactly, and shared by several processes.

Clips are asked for by the number of the draw: 0, 1, 2, ... over the whole training, epochs included. What a draw
shows is the data set's affair (`mcvd.data.clips.dataset`); here numbers are only dealt out. The state is therefore one
number, and nothing is lost or repeated when a run stops in the middle of an epoch or continues on more processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Dataset, Sampler

from mcvd.data.loader import ForkSafeLoader


class ResumableBatchSampler(Sampler[list[int]]):
    """Deals the draws ``samples_seen, samples_seen + 1, ...`` out in batches, to one of several processes.

    Batch ``b`` of process ``rank`` holds the draws from ``(b * world_size + rank) * batch_size``, counted from
    ``samples_seen``: all processes together see the same draws whatever their number, at the same global batch.

    Args:
        num_clips: clips of the data set; draw ``g`` belongs to epoch ``g // num_clips``.
        batch_size: draws in a batch of one process.
        rank: which process this is, ``0 <= rank < world_size``.
        world_size: number of processes that share the draws.

    One pass gives ``len(self)`` batches, about one epoch and at least one batch, from wherever ``samples_seen``
    stands. A pass does not move ``samples_seen``: batches that workers fetched ahead are not yet trained on, so
    whoever trains says how far it came.

    Example:
        >>> order = ResumableBatchSampler(num_clips=6, batch_size=2, rank=1, world_size=2)
        >>> order.samples_seen = 8
        >>> list(order), order.epoch
        ([[10, 11]], 1)
    """

    def __init__(self, num_clips: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        if num_clips < 1 or batch_size < 1:
            raise ValueError(f"num_clips and batch_size must be 1 or more, got {num_clips} and {batch_size}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be 0 <= rank < world_size, got rank {rank} of {world_size}")
        self.num_clips = num_clips
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.samples_seen = 0

    @property
    def global_batch_size(self) -> int:
        """Draws that all processes together make in one step."""
        return self.batch_size * self.world_size

    @property
    def epoch(self) -> int:
        """The epoch of the next draw, counted from 0."""
        return self.samples_seen // self.num_clips

    def __len__(self) -> int:
        return max(1, self.num_clips // self.global_batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        # Read now, not when the first batch is asked for: the pass starts where training stood when it was begun.
        first = self.samples_seen + self.rank * self.batch_size
        starts = range(first, first + len(self) * self.global_batch_size, self.global_batch_size)
        return (list(range(start, start + self.batch_size)) for start in starts)

    def state_dict(self) -> dict[str, int]:
        """Where the order stands: ``{"draws_done": int}``, the same for every process."""
        return {"draws_done": self.samples_seen}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after the draws that were done when ``state`` was taken."""
        self.samples_seen = state["draws_done"]


class ResumableLoader(ForkSafeLoader):
    """A loader whose every pass begins where training stands.

    Args:
        dataset: answers draw numbers.
        order: deals them out.
        samples_seen: tells, when a pass begins, how many draws all processes together have trained on.
        options: the other arguments of `mcvd.data.loader.ForkSafeLoader`.
    """

    def __init__(
        self, dataset: Dataset, order: ResumableBatchSampler, samples_seen: Callable[[], int], **options: Any
    ) -> None:
        super().__init__(dataset, batch_sampler=order, **options)
        self.order = order
        self._count_draws = samples_seen

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.order.samples_seen = self._count_draws()
        return super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Where training stands. Lightning takes a loader with these two methods for one that can resume."""
        return {"draws_done": self._count_draws()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Nothing to do: the next pass asks ``samples_seen``, which is restored before."""
