"""What a training tells while it runs: a bar on the terminal, a table in the run's folder."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm

from mcvd.whole import whole


class TrainingBar(ProgressBar):
    """One bar over all steps, with the time left, the loss and the latest validation; silent without a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None
        self._is_enabled = True

    def disable(self) -> None:
        """Lightning's switch for all processes but the first."""
        self._is_enabled = False

    def enable(self) -> None:
        """Lightning's switch."""
        self._is_enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin where a resumed training stands."""
        total = trainer.max_steps if trainer.max_steps > 0 else None
        disable = None if self._is_enabled else True  # None: where the output is no terminal
        self._bar = tqdm(total=total, initial=trainer.global_step, unit="step", disable=disable, dynamic_ncols=True)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Advance; the loss is fetched from the device only when it is logged."""
        assert self._bar is not None  # on_train_start makes it
        self._bar.update(trainer.global_step - self._bar.n)
        if not self._bar.disable and trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            names = {"train/loss": "loss", "val/loss": "val"}
            metrics = trainer.callback_metrics
            self._bar.set_postfix({short: f"{metrics[name]:.4f}" for name, short in names.items() if name in metrics})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the full bar standing."""
        if self._bar is not None:
            self._bar.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the bar where it was."""
        if self._bar is not None:
            self._bar.close()


class MetricsTable(Logger):
    """``metrics.csv`` in the run's folder: a row per logged step, written at once, so that a crash loses none.

    A resumed run continues the table: rows after the step that it resumes from are made again. A row that comes twice
    in a row is written once.

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
        """Lightning asks for one."""
        return ""

    @property
    def version(self) -> str:
        """Lightning asks for one."""
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
            return list(csv.DictReader(file))

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        with whole(self.path) as part, part.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns or [], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
