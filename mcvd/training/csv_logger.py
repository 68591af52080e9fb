"""The table of a run's metrics, one row for each logged step; a resumed run continues it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from mcvd.runtime.atomic import atomic_write


class ResumableCSVLogger(Logger):
    """``metrics.csv`` in the run's folder: a row per logged step, written at once, so that a crash loses none.

    A resumed run continues the table: rows after the step that it resumes from are written anew. A row that is
    logged twice running is written once.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: str | Path):
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self._columns: list[str] | None = None
        self._last: dict[str, float | None] = {}

    @property
    def name(self) -> str:
        """None: the run's folder has the name."""
        return ""

    @property
    def version(self) -> str:
        """None: the run's folder has the name."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run's folder: what ``trainer.log_dir`` gives."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: they are in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one row."""
        row = {"step": step} | {name: float(value) for name, value in metrics.items()}
        if row == self._last:
            return
        self._last = row
        new = [name for name in row if name not in (self._columns or ())]
        if self._columns is None or new:
            rows = self._read()
            if self._columns is None:
                self._columns = list(rows[0]) if rows else []
                rows = [old for old in rows if (old["step"] or "").isdigit() and int(old["step"]) < (step or 0)]
            self._columns += [name for name in row if name not in self._columns]
            self._rewrite(rows)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns or []).writerow(row)

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            lines = file.readlines()
        return list(csv.DictReader(line for line in lines if line.endswith("\n")))  # a line cut short tells nothing

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        with atomic_write(self.path) as part, part.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns or [], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def write_training_row(trainer: Trainer) -> None:
    """Write the row of the step that has just ended, before Lightning does: it is written once."""
    for logger in trainer.loggers:
        if isinstance(logger, ResumableCSVLogger):
            row: dict[str, Any] = {
                name: value for name, value in trainer.logged_metrics.items() if name.startswith("train/")
            }
            row["epoch"] = trainer.current_epoch
            logger.log_metrics(row, trainer.global_step - 1)
