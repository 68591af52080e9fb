"""How a command sets up the process for arithmetic on a CPU, before PyTorch is loaded."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, MutableMapping

# About as long as the pauses between the operations of a network: hardly ever more than half a millisecond.
_SPINS = "20000"
_TRIM_BYTES, _MMAP_BYTES = 512 << 20, (64 << 20, 32 << 20)  # older glibc refuses more than 32 MiB
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def choose_waiting(environment: MutableMapping[str, str], load: float, num_cpus: int) -> None:
    """Say to OpenMP how its threads wait for the next operation, unless the user has said so.

    Spinning, they begin at once; on a busy machine they keep others, and one another, from working. So they spin for a
    bounded time where there is a processor for each, and give way at once where there is not.

    Args:
        environment: of the process; OpenMP reads it when PyTorch loads it.
        load: processes that are running or want to.
        num_cpus: that this process may use.
    """
    if "OMP_WAIT_POLICY" in environment or "GOMP_SPINCOUNT" in environment:
        return
    threads = environment.get("OMP_NUM_THREADS", "")
    num_threads = int(threads) if threads.isdecimal() else num_cpus
    if load + num_threads <= num_cpus + 0.5:
        environment["GOMP_SPINCOUNT"] = _SPINS
    else:
        environment["OMP_WAIT_POLICY"], environment["GOMP_SPINCOUNT"] = "PASSIVE", "0"


def prepare_process() -> None:
    """Choose how threads wait by today's load, and let freed memory be used again."""
    num_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows has none
        load = float(num_cpus)
    choose_waiting(os.environ, load, num_cpus)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    keep_freed_memory(mallopt)


def keep_freed_memory(mallopt: Callable[[int, int], int]) -> None:
    """Let the C library keep up to 512 MiB that was freed, for the next tensor: the system clears what it hands out,
    which takes a tenth of a network's call.

    Args:
        mallopt: of glibc; answers 0 where it refuses.
    """
    # Alone, the second would make it worse: every tensor above 128 KiB would be cleared, in every call.
    if any(mallopt(_M_MMAP_THRESHOLD, each) for each in _MMAP_BYTES):
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
