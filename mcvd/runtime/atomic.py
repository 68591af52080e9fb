"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import filecmp
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcvd.runtime.lock import file_lock

_LONGEST_NAME = 200  # of the 255 bytes that file systems allow
_OURS = re.compile(r"(?s)\..*\.[0-9a-f]{16}\.(part|lock)")


@contextmanager
def atomic_write(path: str | Path, sweep: bool = True) -> Iterator[Path]:
    """A name beside ``path`` to write a file or a folder under; it becomes ``path`` when the ``with`` ends well.

    What was there is replaced in one step (a folder only if it is empty, or holds just the same); after an error, a
    crash or on a full disk it is as it was. All that was written is on the disk before it gets its name. Missing
    parent folders are made.

    Args:
        path: of the file or folder.
        sweep: first remove what killed processes left in its folder (`remove_stale_parts`). False where a folder of
            very many files was swept before.

    Examples:
        >>> with atomic_write("scores.json") as part:  # doctest: +SKIP
        ...     part.write_text("{}")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if sweep:
        remove_stale_parts(path.parent)
    # In the same folder, so that renaming is one step. The lock tells other processes, on other machines too, that the
    # part is being written; a process's number would not: in a container it is often 1.
    part = path.with_name(f".{_shortened(path.name)}.{secrets.token_hex(8)}.part")
    lock = part.with_suffix(".lock")
    try:
        with file_lock(lock):
            try:
                yield part
                _flush_all(part)
                _replace(part, path)
            finally:
                _remove(part)
    except OSError as error:
        # Such as a full disk, of which nobody said for which file, or for one that the user does not know.
        is_hidden = error.filename is None or str(error.filename).startswith(str(part.with_suffix("")))
        if error.errno is not None and is_hidden:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    flush(path.parent)  # the renaming itself


def atomic_link(source: str | Path, path: str | Path) -> None:
    """Give a file a second name, by `atomic_write`; a copy where the file system has no hard links."""
    with atomic_write(path) as part:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)


def write_json(path: str | Path, value: Any, indent: int | None = 2) -> None:
    """Write what JSON can hold, by `atomic_write`; an ``indent`` of None puts all of it on one line."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(value, indent=indent) + "\n", encoding="utf-8")


def remove_stale_parts(folder: str | Path) -> None:
    """Remove from a folder what killed processes left of their `atomic_write`: each part whose lock is free."""
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _OURS.fullmatch(entry.name)]
    parts = {name.rpartition(".")[0] for name in names}
    for name in sorted(parts):
        part, lock = (Path(folder) / f"{name}.{suffix}" for suffix in ("part", "lock"))
        try:
            with file_lock(lock, wait=False) as is_free:
                if is_free:
                    _remove(part)
        except OSError:  # somebody else's, or on a disk that cannot be written
            continue


def _shortened(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_LONGEST_NAME])


def _replace(part: Path, path: Path) -> None:
    if path.is_dir() and part.is_dir():
        if _is_same(part, path):  # written by the same command, which was killed just after
            return
        if os.name == "nt" and not any(path.iterdir()):  # not replaced there, even if it is empty
            path.rmdir()
    os.replace(part, path)


def _is_same(folder: Path, other: Path) -> bool:
    """Whether two folders hold the same files."""
    inside, there = ({path.relative_to(root) for path in root.rglob("*")} for root in (folder, other))
    files = [str(path) for path in inside if (folder / path).is_file()]
    return bool(files) and inside == there and filecmp.cmpfiles(folder, other, files, shallow=False)[1:] == ([], [])


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def _flush_all(part: Path) -> None:
    """Wait until a file, or all that is in a folder, is on the disk."""
    if not part.is_dir():
        flush(part)
        return
    for folder, _, names in os.walk(part):
        for name in names:
            flush(Path(folder) / name)
        flush(Path(folder))


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # a folder cannot be opened there
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
