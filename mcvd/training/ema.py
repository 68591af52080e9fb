"""The moving average of the weights, which is what a trained model predicts with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mcvd.runtime.fsdp import full_state_dict, load_full_state_dict, reshard


class EMA(WeightAveraging):
    """Exponential moving average of the weights: ``average = decay * average + (1 - decay) * weights`` after each step.

    It starts as the weights after the first step. Validation and previews run with the averages, and after the
    training the model holds them. In a checkpoint ``state_dict`` holds the averages and ``current_model_state`` the
    raw weights, whenever it is written: while the two are exchanged for validation too.

    Args:
        decay: 0 to 1; the average looks back about ``1 / (1 - decay)`` steps.
        warmup: in step n the decay is at most ``(1 + n) / (10 + n)``, so that the average looks back over about a tenth
            of the training at most. Without it, as published, the first weights still have a share of 61% after 500
            steps at a decay of 0.999.
    """

    def __init__(self, decay: float = 0.999, warmup: bool = True):
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
        super().__init__(use_buffers=False)
        self.decay = decay
        self.warmup = warmup
        self._exchanged = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin the average when training begins; with sharded weights, the averages are sharded too."""
        self._exchange(pl_module, False)  # a second fit of the same model trains its raw weights on
        if stage != "fit":
            return
        # The model itself is brought to its device later than this.
        mesh, pl_module._device_mesh = pl_module.device_mesh, None  # which cannot be copied
        self._average_model = _Averages(pl_module, trainer.strategy.root_device, self.decay, self.warmup)
        averages: Any = self._average_model.module
        pl_module._device_mesh = averages._device_mesh = mesh
        averages.configure_model()

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the averages."""
        self._exchange(pl_module, True)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Train the raw weights."""
        self._exchange(pl_module, False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the averages in the model; the raw weights are kept, for checkpoints that are written after this."""
        self._exchange(pl_module, True)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """An error or Ctrl-C during validation leaves the model as it was trained."""
        self._exchange(pl_module, False)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put averages and raw weights where they belong, exchanged or not."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if pl_module.device_mesh is not None and self._average_model is not None:
            checkpoint["state_dict"] = full_state_dict(self._average_model.module)
        if self._exchanged:
            raw, averages = checkpoint["state_dict"], checkpoint["current_model_state"]
            checkpoint |= {"state_dict": averages, "current_model_state": raw}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take up averages and raw weights again."""
        if pl_module.device_mesh is None or self._average_model is None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
            return
        # The strategy has loaded the averages into the model, each process its part.
        self._average_model.module.load_state_dict(pl_module.state_dict())
        self._average_model.n_averaged.copy_(checkpoint["averaging_state"]["n_averaged"])
        load_full_state_dict(pl_module, checkpoint["current_model_state"])

    @contextmanager
    def averages(self, pl_module: LightningModule) -> Iterator[None]:
        """The model with the averages inside the ``with``, whatever happens there."""
        before = self._exchanged
        self._exchange(pl_module, True)
        try:
            yield
        finally:
            self._exchange(pl_module, before)

    @torch.no_grad()
    def restart(self, pl_module: LightningModule, name: str, rows: Tensor) -> None:
        """Begin the averages of these rows of a parameter again, at what they are now.

        Args:
            pl_module: in training, with its raw weights.
            name: of the parameter, (K, ...).
            rows: bool (K,).
        """
        if self._average_model is not None:
            average = self._average_model.module.get_parameter(name)
            average[rows] = pl_module.get_parameter(name)[rows].to(average.device)

    def _exchange(self, pl_module: LightningModule, averaged: bool) -> None:
        """Bring the averages into the model (True) or the raw weights (False); nothing to do if they are there."""
        if self._average_model is not None and averaged != self._exchanged:
            reshard(pl_module)
            self._swap_models(pl_module)
            self._exchanged = averaged


class _Averages(AveragedModel):
    """Averages on the weights' device, updated without waiting for it; torch's read their count from the device."""

    def __init__(self, model: nn.Module, device: torch.device, decay: float, warmup: bool) -> None:
        super().__init__(model, device)
        self.decay = decay
        self.warmup = warmup
        self.n_averaged = self.n_averaged.new_zeros((), device="cpu")

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        averages, weights = ([each.detach() for each in side.parameters()] for side in (self.module, model))
        step = self.n_averaged.item()  # on the CPU
        decay = min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
        torch._foreach_lerp_(averages, weights, 1 - decay if step else 1.0)
        self.n_averaged += 1
        for own, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            own.copy_(buffer)


@contextmanager
def averaged_weights(trainer: Trainer, pl_module: LightningModule) -> Iterator[None]:
    """The model with its averaged weights inside the ``with``, or as it is when the trainer averages nothing."""
    averaging = _averaging(trainer)
    if not averaging:
        yield
        return
    with averaging[0].averages(pl_module):
        yield


def restart_averages(trainer: Trainer, pl_module: LightningModule, name: str, rows: Tensor) -> None:
    """`EMA.restart`, if the trainer averages."""
    for each in _averaging(trainer):
        each.restart(pl_module, name, rows)


def _averaging(trainer: Trainer) -> list[EMA]:
    return [callback for callback in trainer.callbacks if isinstance(callback, EMA)]  # type: ignore[attr-defined]
