"""How far a training is, in lines of a log: nobody watches a bar there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

_PAUSE_SECONDS = 60.0
_MOST_LINES = 100


class StepLines(ProgressBar):
    """A line with the loss, the pace and the time left: soon after the start, then now and then.

    Lines come at steps that are logged (``trainer.log_every_n_steps``), at least a minute and a hundredth of the
    training apart, so that a log of weeks stays short. Stands where Lightning would put its own bar.

    Args:
        report: called with each line.
        clock: seconds that pass.
    """

    def __init__(self, report: Callable[[str], object], clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._report, self._clock = report, clock
        self._first_step = self._told_step = 0
        self._started = self._told = 0.0
        self._is_silent = True

    def disable(self) -> None:
        """Lightning's switch for all processes but the first, which alone tells anything here."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from where a resumed training stands."""
        self._first_step = self._told_step = trainer.global_step
        self._started = self._told = self._clock()
        self._is_silent = True

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Tell, where it is time; the loss is fetched from the device only then."""
        step, last = trainer.global_step, trainer.max_steps
        if not trainer.is_global_zero or step % trainer.log_every_n_steps or step in (self._told_step, last):  # type: ignore[attr-defined]
            return
        now = self._clock()
        is_soon = now - self._told < _PAUSE_SECONDS or step - self._told_step < last / _MOST_LINES
        if is_soon and not self._is_silent:
            return
        a_second = (step - self._first_step) / max(now - self._started, 1e-9)
        names = {"train/loss": "loss", "val/loss": "validation"}
        metrics = trainer.callback_metrics
        parts = [f"{word} {metrics[name]:.4f}" for name, word in names.items() if name in metrics]
        parts.append(f"{a_second:.1f} steps/s" if a_second >= 1 else f"{1 / a_second:.1f} s a step")
        if last > 0:
            parts.append(f"{tqdm.format_interval((last - step) / a_second)} left")
        self._report(f"step {step}{f' of {last}' if last > 0 else ''}: {', '.join(parts)}")
        self._told, self._told_step, self._is_silent = now, step, False
