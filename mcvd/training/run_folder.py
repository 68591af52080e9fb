"""Folders of training runs: numbered, never deleted, never overwritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from mcvd.runtime.atomic import remove_stale_parts
from mcvd.training.csv_logger import ResumableCSVLogger


class RunFolder(Callback):
    """Gives the run its folder, ``run-1``, ``run-2``, ... below a root, and puts its logs and its config there.

    The folder is ``trainer.log_dir``. The config of a new run is ``config.yaml``; each resumption adds its own,
    ``config-2.yaml`` and so on.

    Args:
        root: where the runs of an experiment lie.
        resumed: the folder of the run that is resumed; None makes a new one.
        save_config: writes the config to the path it is given.
    """

    def __init__(self, root: str | Path, resumed: Path | None, save_config: Callable[[Path], Any]):
        self.root = Path(root)
        self.resumed = resumed
        self.save_config = save_config

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """The first process chooses the folder and broadcasts it."""
        chosen = self.resumed
        if chosen is None and trainer.is_global_zero:
            chosen = new_folder(self.root)
        folder: Path = trainer.strategy.broadcast(chosen)  # type: ignore[assignment]  # the first process knows it
        if trainer.is_global_zero:
            remove_stale_parts(folder)
        trainer.loggers = [ResumableCSVLogger(folder), *_tensorboard(folder), *trainer.loggers]
        if trainer.is_global_zero:
            self.save_config(unused_path(folder, "config", ".yaml"))


def new_folder(root: Path) -> Path:
    """Make ``root/run-N`` with the next free number, safe against another run that starts at the same time."""
    root.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(name) for path in root.glob("run-*") if (name := path.name[4:]).isdigit()), default=0)
    while True:
        try:
            (root / f"run-{number}").mkdir()
            return root / f"run-{number}"
        except FileExistsError:
            number += 1


def unused_path(folder: Path, stem: str, suffix: str) -> Path:
    """``stem.suffix``, or with the first number from 2 that is free: ``stem-2.suffix``."""
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def _tensorboard(folder: Path) -> list[Logger]:
    """TensorBoard's logger if it is installed."""
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        return [TensorBoardLogger(folder, name="", version="tensorboard")]
    except ModuleNotFoundError:
        return []
