"""Checkpoints written whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mcvd.runtime.atomic import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, then renames: a crash or a full disk leaves the previous one whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """See `mcvd.runtime.atomic`.

        Raises:
            OSError: it cannot be written; what was there is as it was.
        """
        try:
            with atomic_write(path) as part:
                torch.save(checkpoint, part)
        except (OSError, RuntimeError) as error:  # torch hides a full disk in a RuntimeError
            raise OSError(_cannot_write(Path(path), error)) from error


def _cannot_write(path: Path, error: Exception) -> str:
    left, again = "no checkpoint is there yet", "start anew"
    if path.exists():
        left, again = f"the previous checkpoint, {path}, is whole", "continue with --ckpt_path last"
    reason = (isinstance(error, OSError) and error.strerror) or str(error).strip().split("\n")[0]
    free = f"{shutil.disk_usage(path.parent).free / 1e6:.1f} MB are free there" if path.parent.exists() else "no folder"
    return (
        f"cannot write the checkpoint {path}: {reason} ({free}); {left}. Make room, or allow larger files, and {again}"
    )
