"""Checkpoints on disk: written atomically, found again, asked for what a resumed run needs of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from mcvd.models.files import LAST
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.error_text import first_line


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, then renames: a crash or a full disk leaves the previous one whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write it by `mcvd.runtime.atomic.atomic_write`.

        Raises:
            OSError: it cannot be written; what was there is as it was.
        """
        try:
            with atomic_write(path) as part:
                torch.save(checkpoint, part)
        except (OSError, RuntimeError) as error:  # torch hides a full disk in a RuntimeError
            raise OSError(_cannot_write(Path(path), error)) from error


def last_checkpoint(root: str | Path) -> Path:
    """``last.ckpt`` of the run with the highest number below a folder, or of the run that the folder itself is.

    Raises:
        ValueError: there is none, or the folders' names do not tell which is the last.
    """
    root = Path(root)
    if (root / LAST).is_file():
        return root / LAST
    found = sorted(root.glob(f"*/{LAST}"))
    numbered = {int(number): path for path in found if (number := path.parent.name.removeprefix("run-")).isdecimal()}
    if numbered:
        return numbered[max(numbered)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.parent.name for path in found)
        raise ValueError(f"--ckpt_path last: which of the runs in {root}: {names}? Name its {LAST} instead of 'last'")
    raise ValueError(
        f"--ckpt_path last: no checkpoint below {root}, nothing to resume; "
        "name the folder of the run with --trainer.default_root_dir, or leave --ckpt_path out to start a new run"
    )


def resumed_checkpoint(named: str | None, root: Path) -> Path | None:
    """The checkpoint that ``--ckpt_path`` names: the newest below a folder, a file, or that of a run.

    Args:
        named: ``last``, the path of a checkpoint or of a run's folder, or None.
        root: where ``last`` is looked for.

    Raises:
        FileNotFoundError: what is named is not there.
        ValueError: there is no last one.
    """
    if named is None:
        return None
    if named == "last":
        return last_checkpoint(root)
    path = Path(named)
    if path.is_dir():  # a run, as --model takes it
        path = path / LAST
    if not path.is_file():
        raise FileNotFoundError(f"--ckpt_path {named}: no such checkpoint; 'last' finds the newest below {root}")
    return path


def batch_size_of(checkpoint: Path) -> int:
    """With which batches a run was trained: ``auto`` resumes with the same, whatever is free today."""
    return torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)["VideoData"]["batch_size"]


def _cannot_write(path: Path, error: Exception) -> str:
    left, again = "no checkpoint is there yet", "start again"
    last = path.with_name(LAST)
    if last.exists():
        left, again = f"the previous checkpoint, {last}, is intact", "resume with --ckpt_path last"
    reason = (isinstance(error, OSError) and error.strerror) or first_line(error)
    if "PytorchStreamWriter" in reason or "unexpected pos" in reason:  # what torch says where writing stopped
        reason = "the disk takes no more"
    free = f"{shutil.disk_usage(path.parent).free / 1e6:.1f} MB are free there" if path.parent.exists() else "no folder"
    return (
        f"cannot write the checkpoint {path}: {reason} ({free}); {left}. Make room, or allow larger files, and {again}"
    )
