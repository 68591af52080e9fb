"""The one folder that holds all uploads and results of a studio: bounded in size and age, removed at the end."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcvd.runtime.device import size_text


class StorageFullError(ValueError):
    """There is no room for what a visitor brings or asks for."""


class Storage:
    """Files of all visitors.

    Args:
        quota_bytes: of all of them together.
        lifetime_seconds: older files are deleted.
    """

    def __init__(self, quota_bytes: int, lifetime_seconds: float):
        self.quota_bytes, self.lifetime_seconds = quota_bytes, lifetime_seconds
        self._home = tempfile.TemporaryDirectory(prefix="mcvd-studio-", ignore_cleanup_errors=True)
        self._reserved = 0  # bytes on their way
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._sweep_until_closed, daemon=True, name="mcvd-studio-sweep").start()

    @property
    def home(self) -> Path:
        """The folder, which may have vanished: see `make_home`."""
        return Path(self._home.name)

    def lend_to_gradio(self) -> None:
        """Tell Gradio to put uploads here; said before its import, it makes no other folder."""
        os.environ["GRADIO_TEMP_DIR"] = str(self.home)

    def make_home(self) -> None:
        """Make the folder anew if somebody cleaned up temporary files; nobody else may look into it.

        Raises:
            StorageFullError: the studio is closed.
        """
        if self._closed.is_set():
            raise StorageFullError("the studio is closed")
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)

    def new_folder(self) -> Path:
        """An empty folder for results."""
        self.make_home()
        return Path(tempfile.mkdtemp(dir=self.home, prefix="result-"))

    def used_bytes(self) -> int:
        """Size of all files."""
        return sum(size for _, _, size in self._files())

    def check_room(self, num_bytes: int = 1) -> None:
        """Check that so many more bytes would fit.

        Raises:
            StorageFullError: they would not; says when there will be room.
        """
        free = self.quota_bytes - self.used_bytes() - self._reserved
        if num_bytes > free:
            minutes = max(1, round(self.lifetime_seconds / 60))
            raise StorageFullError(
                f"the studio holds all the files that it may ({size_text(self.quota_bytes)}): those of others are "
                f"deleted when they leave or after {minutes} minutes, try again later"
            )

    @contextmanager
    def reserved(self, num_bytes: int) -> Iterator[None]:
        """Keep room for what is being written, so that several writers together stay below the quota.

        Raises:
            StorageFullError: there is none.
        """
        with self._lock:
            self.check_room(num_bytes)
            self._reserved += num_bytes
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= num_bytes

    def sweep(self) -> None:
        """Delete what is older than the lifetime."""
        oldest = time.time() - self.lifetime_seconds
        for path, changed, _ in self._files():
            if changed < oldest:
                path.unlink(missing_ok=True)
        for folder, _, _ in os.walk(self.home, topdown=False):
            with suppress(OSError):  # not empty, or gone
                if Path(folder) != self.home and os.stat(folder).st_mtime < oldest:
                    os.rmdir(folder)

    def close(self) -> None:
        """Delete everything; nothing can be written any more."""
        self._closed.set()
        self._home.cleanup()

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        """Path, time of the last change in seconds, and bytes of each file; others may delete them meanwhile."""
        for folder, _, names in os.walk(self.home):
            for name in names:
                with suppress(FileNotFoundError):
                    facts = os.lstat(os.path.join(folder, name))
                    yield Path(folder, name), facts.st_ctime, facts.st_size

    def _sweep_until_closed(self) -> None:
        while not self._closed.wait(min(60, self.lifetime_seconds / 4)):
            self.sweep()
