"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A name beside ``path`` to write a file or a folder under; it becomes ``path`` when the ``with`` ends well.

    What was there is replaced in one step (a folder only if it is empty); after an error, a crash or on a full disk it
    is as it was. Missing parent folders are made.

    Examples:
        >>> with atomic_write("scores.json") as part:  # doctest: +SKIP
        ...     part.write_text("{}")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that renaming is one step; the process's number keeps two writers apart.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        if part.is_file():
            _flush(part)
        os.replace(part, path)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # such as a full disk: nobody said which file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
    _flush(path.parent)  # the renaming itself


def write_json(path: str | Path, value: Any, indent: int | None = 2) -> None:
    """Write what JSON can hold, by `atomic_write`; an ``indent`` of None puts all of it on one line."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(value, indent=indent) + "\n", encoding="utf-8")


def remove_stale_parts(path: str | Path) -> None:
    """Remove what killed processes left of their `atomic_write` of ``path``; a live writer's part stays."""
    path = Path(path)
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        process = part.name.split(".")[-2]
        if not process.isdigit() or _is_running(int(process)):
            continue
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
