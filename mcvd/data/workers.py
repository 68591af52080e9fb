"""Data workers that let the training decide what a signal means."""

from __future__ import annotations

import signal
from typing import Any

LAST_SECONDS = 30


def outlive_signals(_: int) -> None:
    """Make a worker process survive a signal that its whole process group gets, as ``worker_init_fn`` of a loader.

    Ctrl-C and job schedulers signal all processes; a worker that died of it would end the training in the middle of a
    step. The training stops its workers itself; after SIGTERM one is gone in 30 s at the latest, whatever happens.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave_soon)


def _leave_soon(number: int, frame: Any) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LAST_SECONDS)
