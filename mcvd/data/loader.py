"""Data workers that let the training decide what a signal means, and share its memory as long as they live."""

from __future__ import annotations

import ctypes
import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from torch.utils.data import DataLoader, Dataset

LAST_SECONDS = 30


def begin_worker(_: int) -> None:
    """What a worker process does first, as ``worker_init_fn`` of a loader."""
    _keep_pages_shared()
    _give_unused_back()
    ignore_signals()


class ForkSafeLoader(DataLoader):
    """A loader whose workers begin as `begin_worker` says and inherit nothing that they would have to clear away.

    A worker whose collection of garbage met a decoder of its parent would wait for threads that only the parent has.

    Args:
        dataset, options: of `torch.utils.data.DataLoader`; ``worker_init_fn`` is taken.
    """

    def __init__(self, dataset: Dataset, **options: Any) -> None:
        super().__init__(dataset, worker_init_fn=begin_worker, **options)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        with shared_with_workers() if self.num_workers else nullcontext():
            return super().__iter__()


@contextmanager
def shared_with_workers() -> Iterator[None]:
    """Inside, what exists at the beginning stays shared with the workers that are forked from this process.

    Example:
        >>> with shared_with_workers():
        ...     gc.get_freeze_count() > 0
        True
    """
    if gc.get_freeze_count():  # inside another one
        yield
        return
    gc.collect()
    _keep_pages_shared()
    try:
        yield
    finally:
        gc.unfreeze()


def _keep_pages_shared() -> None:
    # A full collection of garbage writes into every object that it looks at, and so copies the pages that processes
    # share by fork: 118 MB a process once PyTorch and Lightning are imported. Frozen objects are not looked at.
    gc.freeze()
    # The next full one waits until a quarter as many new objects live as the last one saw: let that be none, so that
    # circles do not wait for 100,000 others.
    gc.collect()


def _give_unused_back() -> None:
    # What the parent has freed and will write to again, such as the activations of the last step, would stay here as it
    # was at the fork. The C library keeps such memory for later use; this is its way to let go of it.
    with suppress(OSError, AttributeError):  # other C libraries than glibc do not have it
        ctypes.CDLL(None).malloc_trim(0)


def ignore_signals() -> None:
    """Make this process survive a signal that its whole process group gets.

    Ctrl-C and job schedulers signal all processes; a worker that died of it would end the training in the middle of a
    step. The training stops its workers itself; after SIGTERM one is gone in 30 s at the latest, whatever happens.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave_soon)


def _leave_soon(number: int, frame: Any) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LAST_SECONDS)
