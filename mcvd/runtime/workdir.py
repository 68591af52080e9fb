"""Long work that is not lost: a folder beside what it will become, found again by the same command."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mcvd.runtime.atomic import atomic_write, remove_stale_parts, write_json
from mcvd.runtime.lock import file_lock

SETTINGS, LOCK = "settings.json", "lock"


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
    try:
        with file_lock(folder / LOCK, wait=False) as is_mine:
            if not is_mine:
                raise ValueError(f"another process is writing {out}: wait for it, or choose another name")
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
            _empty(folder)
    finally:
        with suppress(OSError):  # there is work in it, or another process has begun
            folder.rmdir()


def mark_complete(out: str | Path, settings: dict[str, Any], part: Path) -> None:
    """Note, before the folder ``part`` becomes ``out``, what made it: killed after that, the same command knows it."""
    write_json(_mark_of(out), _mark(settings, part))


def is_marked(out: str | Path) -> bool:
    """Whether a command was killed between `mark_complete` and `unmark`."""
    return _mark_of(out).exists()


def is_complete(out: str | Path, settings: dict[str, Any]) -> bool:
    """Whether ``out`` is what a killed command of the same settings made."""
    try:
        return json.loads(_mark_of(out).read_text(encoding="utf-8")) == _mark(settings, Path(out))
    except (OSError, ValueError):
        return False


def unmark(out: str | Path) -> None:
    """Forget `mark_complete`, as the last thing."""
    _mark_of(out).unlink(missing_ok=True)


def _mark_of(out: str | Path) -> Path:
    return Path(out).with_name(f".{Path(out).name}.done")


def _mark(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Settings, and the size of each file, as JSON gives them back."""
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    return json.loads(json.dumps({"settings": settings, "files": sizes}))


def _take_up(folder: Path, out: str | Path, settings: str, log: Callable[[str], None]) -> None:
    """Keep the work of the same settings, delete that of others."""
    try:
        found = (folder / SETTINGS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # a process was killed while it began, or while it removed the folder
        found = None
    remove_stale_parts(folder)
    if found != settings:
        if found and _num_blocks(folder):
            log(f"{out} was begun with other settings: starting over")
        _empty(folder)
        with atomic_write(folder / SETTINGS) as part:
            part.write_text(settings, encoding="utf-8")
    elif number := _num_blocks(folder):
        log(f"resuming {out}: {_blocks(number)} done")


def _leave(folder: Path) -> str:
    """After an error: what the user has of it; of nothing, nothing is left."""
    if number := _num_blocks(folder):
        return f"{_blocks(number)} kept, the same command resumes from there"
    _empty(folder)
    return ""


def _empty(folder: Path) -> None:
    """Delete all but the lock, the settings last: a process that is killed here leaves them to the next."""
    paths = [path for path in folder.iterdir() if path.name != LOCK]
    for path in sorted(paths, key=lambda path: path.name == SETTINGS):
        path.unlink()


def _num_blocks(folder: Path) -> int:
    return sum(1 for _ in folder.glob("block-*.npy"))


def _blocks(number: int) -> str:
    return "1 block is" if number == 1 else f"{number} blocks are"
