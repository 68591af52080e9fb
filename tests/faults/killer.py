"""A hook that counts the changes of the file system and kills its process before one of them; imports nothing slow."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {"os.rename": (0, 1), "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.link": (0, 1)}
_PATHS |= {"os.symlink": (0, 1), "os.truncate": (0,), "os.chmod": (0,)}


class Killer:
    """Counts the changes below a folder, by a hook that stays for the life of the process."""

    def __init__(self, folder: str, counter: str, kill_before: int | None) -> None:
        self.folder, self.kill_before = f"{folder}{os.sep}", kill_before
        self.changes = 0
        self._counter = os.open(counter, os.O_WRONLY | os.O_CREAT)
        self._process = os.getpid()
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_change(event, arguments) or os.getpid() != self._process:  # data workers have it too
            return
        self.changes += 1
        os.pwrite(self._counter, b"%9d" % self.changes, 0)
        if self.changes == self.kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_change(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            return isinstance(path, str | bytes | os.PathLike) and bool(flags & _WRITES) and self._is_inside(path)
        if event not in _PATHS:
            return False
        last = arguments[-1]  # of the folder that a name is relative to, as rmtree has them
        folder = os.readlink(f"/proc/self/fd/{last}") if event in ("os.remove", "os.rmdir") and last >= 0 else ""
        return any(self._is_inside(os.path.join(folder, os.fspath(arguments[place]))) for place in _PATHS[event])

    def _is_inside(self, path: Any) -> bool:
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder)
