"""Which clips come next: an order that can be stopped anywhere, resumed exactly, and shared by several processes.

Clips are asked for by the number of the draw: 0, 1, 2, ... over the whole training, epochs included. What a draw
shows is the data set's affair (`mcvd.data.clips.dataset`); here numbers are only dealt out. The state is therefore one
number, and nothing is lost or repeated when a run stops in the middle of an epoch or continues on more processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Dataset, Sampler

from mcvd.data.loader import WorkerLoader


class ResumableBatchSampler(Sampler[list[int]]):
    """Deals the draws ``draws_done, draws_done + 1, ...`` out in batches, to one of several processes.

    Batch ``b`` of process ``rank`` holds the draws from ``(b * world_size + rank) * batch_size``, counted from
    ``draws_done``: all processes together see the same draws whatever their number, at the same global batch.

    Args:
        num_clips: clips of the data set; draw ``g`` belongs to epoch ``g // num_clips``.
        batch_size: draws in a batch of one process.
        rank: which process this is, ``0 <= rank < world_size``.
        world_size: number of processes that share the draws.

    One pass gives ``len(self)`` batches, about one epoch and at least one batch, from wherever ``draws_done``
    stands. A pass does not move ``draws_done``: batches that workers fetched ahead are not yet trained on, so
    whoever trains says how far it came.

    Example:
        >>> order = ResumableBatchSampler(num_clips=6, batch_size=2, rank=1, world_size=2)
        >>> order.draws_done = 8
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
        self.draws_done = 0

    @property
    def global_batch_size(self) -> int:
        """Draws that all processes together make in one step."""
        return self.batch_size * self.world_size

    @property
    def epoch(self) -> int:
        """The epoch of the next draw, counted from 0."""
        return self.draws_done // self.num_clips

    def __len__(self) -> int:
        return max(1, self.num_clips // self.global_batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        # Read now, not when the first batch is asked for: the pass starts where training stood when it was begun.
        first = self.draws_done + self.rank * self.batch_size
        starts = range(first, first + len(self) * self.global_batch_size, self.global_batch_size)
        return (list(range(start, start + self.batch_size)) for start in starts)

    def state_dict(self) -> dict[str, int]:
        """Where the order stands: ``{"draws_done": int}``, the same for every process."""
        return {"draws_done": self.draws_done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after the draws that were done when ``state`` was taken."""
        self.draws_done = state["draws_done"]


class ResumableLoader(WorkerLoader):
    """A loader whose every pass begins where training stands.

    Args:
        dataset: answers draw numbers.
        order: deals them out.
        draws_done: tells, when a pass begins, how many draws all processes together have trained on.
        options: the other arguments of `mcvd.data.loader.WorkerLoader`.
    """

    def __init__(
        self, dataset: Dataset, order: ResumableBatchSampler, draws_done: Callable[[], int], **options: Any
    ) -> None:
        super().__init__(dataset, batch_sampler=order, **options)
        self.order = order
        self._count_draws = draws_done

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.order.draws_done = self._count_draws()
        return super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Where training stands. Lightning takes a loader with these two methods for one that can resume."""
        return {"draws_done": self._count_draws()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Nothing to do: the next pass asks ``draws_done``, which is restored before."""
