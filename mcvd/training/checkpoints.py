"""When a training writes a checkpoint: at every so many steps, at its end, on interruption; never of a ruined model."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch.nn.utils import get_total_norm

from mcvd.models.files import LAST
from mcvd.runtime.atomic import atomic_link
from mcvd.runtime.fsdp import full_tensor
from mcvd.training.csv_logger import write_training_row
from mcvd.training.nonfinite import NonFiniteSkipper, NotFiniteError
from mcvd.training.signals import TrainingInterrupted

MAX_SKIPPED_IN_A_ROW = 20


class Checkpoints(Checkpoint):
    """Writes ``last.ckpt`` in the run's folder: every so many steps, at the end, and when training is interrupted.

    Nothing is written while a step is half done. A step whose gradients are NaN or infinite is skipped and
    counted (`NonFiniteSkipper`); after `MAX_SKIPPED_IN_A_ROW` of them in a row, or with a weight that is not
    finite, training stops and the last good checkpoint stays.

    Args:
        every_n_steps: steps between two checkpoints; what a crash can cost.
        keep_every_n_steps: also keep ``step-000000.ckpt`` for each of so many steps, a multiple of ``every_n_steps``;
            null keeps the last one alone.
    """

    def __init__(self, every_n_steps: int = 1000, keep_every_n_steps: int | None = None):
        if every_n_steps < 1:
            raise ValueError(f"every_n_steps must be 1 or more, got {every_n_steps}")
        if keep_every_n_steps is not None and (keep_every_n_steps < 1 or keep_every_n_steps % every_n_steps):
            raise ValueError(
                f"keep_every_n_steps must be a multiple of every_n_steps = {every_n_steps}, got {keep_every_n_steps}"
            )
        self.every_n_steps = every_n_steps
        self.keep_every_n_steps = keep_every_n_steps
        self.folder = Path()
        self._step = self._saved_step = 0
        self._waits_for_validation = False
        self._between_steps = False  # no step is half done, no gradient half accumulated
        self._skipped = NonFiniteSkipper(torch.device("cpu"))
        self._skipped_state: dict[str, int] = {}
        self._reported = 0  # of the skipped steps

    @property
    def path(self) -> Path:
        """Where the last checkpoint is written."""
        return self.folder / LAST

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Learn the run's folder."""
        self.folder = Path(trainer.log_dir or self.folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at the step that a resumed training has reached."""
        self._step = self._saved_step = trainer.global_step
        self._between_steps = True
        self._skipped = NonFiniteSkipper(pl_module.device)
        if self._skipped_state:
            self._skipped.load_state_dict(self._skipped_state)
            self._reported = self._skipped.total

    def state_dict(self) -> dict[str, int]:
        """How many steps were skipped."""
        return self._skipped.state_dict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """The counts continue from there when training starts."""
        self._skipped_state = dict(state_dict)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Skip the step if it must be; from here to the end of the batch the state is half old, half new."""
        self._between_steps = False
        self._skipped.skip_if_not_finite(optimizer, pl_module.parameters())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when it is time."""
        step = trainer.global_step
        self._between_steps, self._step = step != self._step, step
        is_time = self._between_steps and (step % self.every_n_steps == 0 or step == trainer.max_steps)
        if is_time or (batch_idx + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._check_finite(trainer, pl_module)
        if is_time:
            if step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
                write_training_row(trainer)  # Lightning writes it after this: a kill between them would lose it
            fit_loop = trainer.fit_loop
            if fit_loop.epoch_loop._should_check_val_fx(fit_loop._data_fetcher):  # type: ignore[arg-type]
                self._waits_for_validation = True  # a kill in it would lose its row of the table
            else:
                self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save when the validation is written down that came first."""
        if self._waits_for_validation:
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """There is always a checkpoint of the end."""
        if self._saved_step != trainer.global_step or not self.path.exists():
            self._check_finite(trainer, pl_module)
            self._save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what was trained so far, if no step is half done and all processes stop together."""
        if self._saved_step == trainer.global_step:
            return
        if isinstance(exception, TrainingInterrupted):  # raised by all processes, after a whole step
            self._check_finite(trainer, pl_module)
            self._save(trainer)
        elif self._between_steps and trainer.world_size == 1:
            with suppress(Exception):  # the first error is the one to report, and the device may be lost
                self._check_finite(trainer, pl_module)
                self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        step = trainer.global_step
        if self.keep_every_n_steps and step % self.keep_every_n_steps == 0:
            # First the one that is kept: killed between the two, the run resumes from before and keeps it anew.
            kept = self.folder / f"step-{step:06d}.ckpt"
            trainer.save_checkpoint(kept)
            if trainer.is_global_zero:
                atomic_link(kept, self.path)
        else:
            trainer.save_checkpoint(self.path)
        self._saved_step = step
        self._waits_for_validation = False

    def _check_finite(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total, longest = self._skipped.total, self._skipped.longest
        if total > self._reported and trainer.is_global_zero:
            warnings.warn(
                f"{total} training steps skipped up to step {self._step}: their gradients were not finite numbers",
                stacklevel=2,
            )
        self._reported = total
        norm = full_tensor(get_total_norm([weight.detach() for weight in pl_module.parameters()]))
        stuck = longest >= MAX_SKIPPED_IN_A_ROW
        if trainer.strategy.reduce_boolean_decision(stuck or not bool(torch.isfinite(norm)), all=False):
            what = f"the gradients of {longest} steps in a row" if stuck else "weights"
            good = f"{self.path} of step {self._saved_step} is untouched" if self._saved_step else "none was saved yet"
            raise NotFiniteError(
                f"training stopped after step {self._step}: {what} were not finite numbers; the last good checkpoint: "
                f"{good}. Try a lower learning rate, a longer warm-up or gradient clipping"
            )
