"""Whether a disk has the space that is needed, before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path


def check_free_space(folder: str | Path, num_bytes: int) -> None:
    """Check that the disk of ``folder``, which need not exist yet, has ``num_bytes`` free.

    Raises:
        OSError: if it has not; says how much is needed and how much is free.
    """
    parent = Path(folder).absolute()
    while not parent.exists():
        parent = parent.parent
    free = shutil.disk_usage(parent).free
    if free < num_bytes:
        raise OSError(
            f"{folder}: {_amount(num_bytes)} are needed, the disk has {_amount(free)} free; "
            "make room or choose another --out"
        )


def _amount(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
