"""New files and folders: their names, and whether they can be written."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile


def unused_path(folder: Path, stem: str, suffix: str) -> Path:
    """``stem.suffix``, or with the first number from 2 that is free: ``stem-2.suffix``."""
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def check_writable(folder: Path, named: str) -> None:
    """Write a file without a name into a folder, or into the nearest one above it that is there.

    Args:
        folder: may be made later.
        named: how the message calls what is to be written, such as ``--out scores.json``.

    Raises:
        NotADirectoryError: a file stands in its place, or in that of one above it.
        PermissionError: nothing can be written there.
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"{named}: {place} is a file: choose another folder")
    try:
        with TemporaryFile(dir=place) as trial:
            trial.write(b"x")
    except OSError as error:
        raise PermissionError(f"{named}: nothing can be written to {place} ({error.strerror})") from error
