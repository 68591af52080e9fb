"""A lock between processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a lock file, which is there as long as it is needed; the system releases it with the process.

    Args:
        path: the lock file, not the file that it protects.
        wait: until the lock is free; False gives up at once.

    Yields:
        Whether the lock was acquired.
    """
    while True:
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            try:
                is_current = os.path.samestat(path.stat(), os.fstat(lock.fileno()))
            except FileNotFoundError:
                is_current = False
            if is_current:  # else its last owner deleted it between opening and locking
                try:
                    yield True
                finally:
                    path.unlink(missing_ok=True)
                return
