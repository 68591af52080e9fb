"""Folders of training runs: numbered, never deleted, never overwritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from mcvd.runtime.atomic import remove_stale_parts
from mcvd.runtime.lock import file_lock
from mcvd.runtime.paths import unused_path
from mcvd.training.csv_logger import ResumableCSVLogger

LOCK = ".training.lock"  # in a run's folder, while it is trained


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
        self._locks = ExitStack()

    @contextmanager
    def claimed(self, is_global_zero: bool) -> Iterator[None]:
        """While the run is trained, its folder is this training's alone.

        Raises:
            ValueError: the run that is to be resumed is being trained.
        """
        with self._locks:
            if self.resumed is not None and is_global_zero:
                self._claim(self.resumed)
            yield

    def _claim(self, folder: Path) -> None:
        if not self._locks.enter_context(file_lock(folder / LOCK, wait=False)):
            raise ValueError(
                f"another training is writing into {folder}: wait until it ends, or leave --ckpt_path out to start a "
                "new run"
            )

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """The first process chooses the folder and broadcasts it."""
        chosen = self.resumed
        if chosen is None and trainer.is_global_zero:
            _tidy(self.root)
            chosen = new_folder(self.root)
            self._claim(chosen)
        folder: Path = trainer.strategy.broadcast(chosen)  # type: ignore[assignment]  # the first process knows it
        if trainer.is_global_zero:
            _sweep(folder)
        trainer.loggers = [ResumableCSVLogger(folder), *_tensorboard(folder), *trainer.loggers]
        if trainer.is_global_zero:
            self.save_config(unused_path(folder, "config", ".yaml"))


def _tidy(root: Path) -> None:
    """Remove what killed trainings left half written in their folders."""
    for folder in root.glob("run-*/"):
        if (folder / LOCK).exists():
            with file_lock(folder / LOCK, wait=False) as is_free:
                if not is_free:
                    continue
        _sweep(folder)


def _sweep(run: Path) -> None:
    for folder in (run, run / "previews"):
        remove_stale_parts(folder)


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


def _tensorboard(folder: Path) -> list[Logger]:
    """TensorBoard's logger if it is installed."""
    try:
        from lightning.pytorch.loggers import TensorBoardLogger

        return [TensorBoardLogger(folder, name="", version="tensorboard")]
    except ModuleNotFoundError:
        return []
