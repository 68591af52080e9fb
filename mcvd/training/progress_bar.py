"""The progress bar of a training."""

from __future__ import annotations

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm


class StepProgressBar(ProgressBar):
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
