"""A lock between processes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)  # the file system has none


@contextmanager
def file_lock(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold a lock file, which is there as long as it is needed; the system releases it with the process.

    Args:
        path: the lock file, not the file that it protects; its folder exists.
        wait: until the lock is free; False gives up at once.

    Yields:
        Whether the lock was acquired.
    """
    lock = _acquired(path, wait)
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        if os.name != "nt":  # there the release deletes it; elsewhere whoever waits for it sees that it is gone
            path.unlink(missing_ok=True)
        lock.release()


def _acquired(path: Path, wait: bool) -> BaseFileLock | None:
    for kind in (FileLock, SoftFileLock):
        lock = kind(path, timeout=-1 if wait else 0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            return None
        except OSError as error:
            if kind is SoftFileLock or error.errno not in _NO_LOCKS:
                raise
            with suppress(FileNotFoundError):
                if not path.stat().st_size:  # just made, without an owner: the next kind would wait for one
                    path.unlink()
        else:
            return lock
    return None
