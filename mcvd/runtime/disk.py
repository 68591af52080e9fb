"""Whether a disk has the space that is needed, before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path

from mcvd.runtime.device import size_text


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
            f"{folder}: {size_text(num_bytes)} are needed, the disk has {size_text(free)} free; "
            "make room or choose another folder"
        )
