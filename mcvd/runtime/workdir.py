"""Long work that is not lost: a folder beside what it will become, found again by the same command."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcvd.runtime.atomic import atomic_write

SETTINGS = "settings.json"


def workdir_of(out: str | Path) -> Path:
    """The hidden folder for work that is to become ``out``."""
    return Path(out).with_name(f".{Path(out).name}.work")


@contextmanager
def resumable_workdir(
    out: str | Path, settings: dict[str, Any], log: Callable[[str], None] = logging.getLogger(__name__).info
) -> Iterator[Path]:
    """`workdir_of` for the time of the work; it is deleted when the ``with`` ends well.

    After an error, Ctrl-C or a kill it stays, and the next call finds it. The work of other settings is deleted.

    Args:
        out: what is to be written.
        settings: all that the work depends on, as JSON can hold it.
        log: called with a line that the user should see: what is resumed, and what is left after an error.

    Raises:
        ValueError: another process is at work on ``out``.
        OSError: something cannot be written.
    """
    folder = workdir_of(out)
    folder.mkdir(exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process is writing {out}: wait for it, or choose another name") from None
        try:
            _take_up(folder, out, json.dumps(settings, indent=2, sort_keys=True), log)
            yield folder
        except OSError as error:
            reason = error.strerror or str(error)
            left = _leave(folder)
            raise OSError(f"cannot write {out}: {reason}; {left or 'nothing is left of it'}") from error
        except BaseException:
            if left := _leave(folder):
                log(f"{out} is not finished: {left}")
            raise
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _take_up(folder: Path, out: str | Path, settings: str, log: Callable[[str], None]) -> None:
    """Keep the work of the same settings, delete that of others."""
    try:
        is_same = (folder / SETTINGS).read_text(encoding="utf-8") == settings
    except (OSError, UnicodeDecodeError):
        is_same = False
    if not is_same:
        if _num_blocks(folder):
            log(f"{out} was begun with other settings: starting over")
        for path in folder.iterdir():
            path.unlink()
        with atomic_write(folder / SETTINGS) as part:
            part.write_text(settings, encoding="utf-8")
    elif number := _num_blocks(folder):
        log(f"resuming {out}: {_blocks(number)} done")


def _leave(folder: Path) -> str:
    """After an error: what the user has of it; of nothing, nothing is left."""
    if number := _num_blocks(folder):
        return f"{_blocks(number)} kept, the same command resumes from there"
    shutil.rmtree(folder)
    return ""


def _num_blocks(folder: Path) -> int:
    return sum(1 for _ in folder.glob("block-*.npy"))


def _blocks(number: int) -> str:
    return "1 block is" if number == 1 else f"{number} blocks are"
