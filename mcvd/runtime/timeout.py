"""A call that is given up when it takes too long."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

# File systems on disks of this machine: one that stops answering there has stopped the machine.
_LOCAL = frozenset(["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "overlay", "tmpfs", "ramfs", "squashfs"])


def may_block(path: str | Path) -> bool:
    """Whether reading what lies at ``path`` may never end: it is no regular file, or not on a disk of this machine.

    What is not known to be such a disk (a network file system, one in user space, anything but Linux) may stall.
    """
    try:
        facts = os.stat(path)
    except OSError:
        return True
    return not stat.S_ISREG(facts.st_mode) or facts.st_dev not in _local_devices()


@lru_cache(maxsize=1)
def _local_devices() -> frozenset[int]:
    """Numbers of the devices that hold local file systems; read once, a later mount may stall."""
    devices: dict[int, bool] = {}
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        place, _, kind = line.partition(" - ")
        major, minor = place.split()[2].split(":")
        device = os.makedev(int(major), int(minor))
        devices[device] = devices.get(device, True) and kind.split()[0] in _LOCAL
    return frozenset(device for device, is_local in devices.items() if is_local)


class TimeLimit:
    """Runs calls in a thread of its own and waits for each only so long.

    A thread that is stuck (a disk that does not answer, a pipe among the pictures) cannot be ended; it is left behind
    and does not keep the process from ending. One caller at a time; after a fork the child begins a thread of its own.

    Examples:
        >>> TimeLimit().call(sum, [1, 2], seconds=5.0)
        3
    """

    def __init__(self) -> None:
        self._helper: _Helper | None = None

    def call(self, work: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        """What ``work(*arguments)`` returns or raises.

        Raises:
            TimeoutError: if it takes longer than ``seconds``.
        """
        if self._helper is None or self._helper.process != os.getpid():
            self._helper = _Helper()
        helper = self._helper
        helper.tasks.put((work, arguments))
        try:
            result, error = helper.results.get(timeout=seconds)
        except BaseException as fault:  # also of Ctrl-C: a late result must not answer the next call
            helper.tasks.put(None)
            self._helper = None
            if isinstance(fault, Empty):
                raise TimeoutError(f"took longer than {seconds:g} s") from None
            raise
        if error is not None:
            raise error
        return result

    def __del__(self) -> None:
        if self._helper is not None:
            self._helper.tasks.put(None)

    def __reduce__(self) -> tuple[type[TimeLimit], tuple[()]]:
        return TimeLimit, ()


class _Helper:
    """A thread that does one task after the other until it is given None."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue = SimpleQueue()
        self.results: SimpleQueue = SimpleQueue()
        self.process = os.getpid()
        threading.Thread(target=_work, args=(self.tasks, self.results), daemon=True).start()


def _work(tasks: SimpleQueue, results: SimpleQueue) -> None:
    while (task := tasks.get()) is not None:
        work, arguments = task
        try:
            results.put((work(*arguments), None))
        except BaseException as error:
            results.put((None, error))
        del task, work, arguments
