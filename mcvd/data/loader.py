"""Worker processes of data loaders: they ignore the signals that stop a training, and share its memory after a fork."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from torch.utils.data import DataLoader, Dataset

GRACE_SECONDS = 30


def begin_worker(_: int) -> None:
    """What a worker process does first, as ``worker_init_fn`` of a loader."""
    _freeze_objects()
    _trim_heap()
    ignore_signals()


class ForkSafeLoader(DataLoader):
    """A loader whose workers start with `begin_worker` and inherit no garbage from the process that forks them.

    A worker that collected a decoder of its parent as garbage would wait for threads that only the parent has.

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
    """Share all objects that exist now with the workers that are forked inside the context.

    Examples:
        >>> with shared_with_workers():
        ...     gc.get_freeze_count() > 0
        True
    """
    if gc.get_freeze_count():  # nested
        yield
        return
    gc.collect()
    _freeze_objects()
    try:
        yield
    finally:
        gc.unfreeze()


def _freeze_objects() -> None:
    # A full garbage collection writes into every object that it visits, and so copies the pages that processes share
    # by fork: 118 MB a process once PyTorch and Lightning are imported. Frozen objects are not visited.
    gc.freeze()
    # The next full collection waits for a quarter as many new objects as the last one saw: let that be none, so that
    # reference cycles do not wait for 100,000 others.
    gc.collect()


def _trim_heap() -> None:
    # Memory that the parent has freed, such as the activations of the last step, and will write to again would stay
    # here as it was at the fork: the C library keeps it for later use, and this call returns it to the system.
    with suppress(OSError, AttributeError, TypeError):  # other C libraries than glibc do not have it
        ctypes.CDLL(None).malloc_trim(0)


def ignore_signals() -> None:
    """Let this process survive a signal that its whole process group gets.

    Ctrl-C and job schedulers signal all processes; a worker that died of it would end the training in the middle of a
    step. The training stops its workers itself; after SIGTERM a worker ends within 30 s, whatever happens.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit_soon)


def _exit_soon(number: int, frame: Any) -> None:
    if not hasattr(signal, "alarm"):  # Windows, which sends no such signal by itself
        os._exit(1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(GRACE_SECONDS)
