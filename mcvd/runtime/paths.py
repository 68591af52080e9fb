"""Names of new files and folders."""

from __future__ import annotations

from pathlib import Path


def unused_path(folder: Path, stem: str, suffix: str) -> Path:
    """``stem.suffix``, or with the first number from 2 that is free: ``stem-2.suffix``."""
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path
