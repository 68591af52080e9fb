"""A call that is given up when it takes too long."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any


class Patience:
    """Runs calls in a thread of its own and waits for each only so long.

    A thread that is stuck (a disk that does not answer, a pipe among the pictures) cannot be ended; it is left behind
    and does not keep the process from ending. One caller at a time; after a fork the child begins a thread of its own.

    Example:
        >>> Patience().call(sum, [1, 2], seconds=5.0)
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

    def __reduce__(self) -> tuple[type[Patience], tuple[()]]:
        return Patience, ()


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
