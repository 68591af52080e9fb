"""Long work that is not lost: a folder beside what it will become, found again by the same command."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcvd.runtime.atomic import atomic_write

SETTINGS = "settings.json"


def workdir_of(out: str | Path) -> Path:
    """The hidden folder for work that is to become ``out``."""
    return Path(out).with_name(f".{Path(out).name}.work")


@contextmanager
def resumable_workdir(out: str | Path, settings: dict[str, Any]) -> Iterator[Path]:
    """`workdir_of` for the time of the work; it vanishes when the ``with`` ends well.

    After an error, Ctrl-C or a kill it stays, and the next call finds it. What was made with other settings is dropped.

    Args:
        out: what is to be made.
        settings: all that the work depends on, as JSON can hold it.

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
            raise ValueError(f"another process is making {out}: wait for it, or choose another name") from None
        _take_up(folder, out, json.dumps(settings, indent=2, sort_keys=True))
        try:
            yield folder
        except OSError as error:
            reason = error.strerror or str(error)
            left = _leave(folder)
            raise OSError(f"cannot write {out}: {reason}; {left or 'nothing is left of it'}") from error
        except BaseException:
            if left := _leave(folder):
                print(f"mcvd: {out} is not finished: {left}", file=sys.stderr)
            raise
        shutil.rmtree(folder)
    finally:
        os.close(lock)


def _take_up(folder: Path, out: str | Path, settings: str) -> None:
    """Keep what the same settings have made, drop what others have."""
    if not _same(folder / SETTINGS, settings):
        if _num_blocks(folder):
            print(f"mcvd: {out} was begun with other settings: starting anew", file=sys.stderr)
        for path in folder.iterdir():
            path.unlink()
        with atomic_write(folder / SETTINGS) as part:
            part.write_text(settings, encoding="utf-8")
    elif number := _num_blocks(folder):
        print(f"mcvd: going on with {out}, {_blocks(number)} done", file=sys.stderr)


def _leave(folder: Path) -> str:
    """After an error: what the user has of it; of nothing, nothing is left."""
    if number := _num_blocks(folder):
        return f"{_blocks(number)} kept, the same command goes on from there"
    shutil.rmtree(folder)
    return ""


def _same(path: Path, settings: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == settings
    except (OSError, UnicodeDecodeError):
        return False


def _num_blocks(folder: Path) -> int:
    return sum(1 for _ in folder.glob("block-*.npy"))


def _blocks(number: int) -> str:
    return "1 block is" if number == 1 else f"{number} blocks are"
