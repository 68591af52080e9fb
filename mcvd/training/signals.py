"""Ctrl-C and SIGTERM as an orderly end of training."""

from __future__ import annotations

import signal
import threading
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import distributed


class TrainingInterrupted(Exception):
    """Training was asked to stop by a signal, and did so between two steps.

    Args:
        signal_number: which signal.
    """

    def __init__(self, signal_number: int):
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number


class GracefulStop(Callback):
    """Ends training by raising `TrainingInterrupted` after the step, or validation batch, in which a signal comes.

    A second signal ends it at once, without waiting for the step. All processes of a training stop together, also if
    only one of them received the signal.
    """

    def __init__(self) -> None:
        self._received = 0
        self._previous: dict[int, Any] = {}
        self._hosts: Any = None  # a process group

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over, from Lightning too."""
        self._received = 0
        if trainer.world_size > 1:
            self._hosts = distributed.new_group(backend="gloo")  # asking the devices would wait for their arithmetic
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Stop here, if asked to and no gradient is half accumulated."""
        if not trainer.fit_loop.epoch_loop._should_accumulate():
            self._stop_if_asked(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Stop in the middle of a long validation."""
        if trainer.state.fn == "fit":
            self._stop_if_asked(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._give_back()

    def _receive(self, number: int, frame: Any) -> None:
        self._received = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _stop_if_asked(self, trainer: Trainer) -> None:
        received = self._received
        if trainer.world_size > 1:
            number = torch.tensor(received)
            distributed.all_reduce(number, distributed.ReduceOp.MAX, self._hosts)
            received = int(number)
        if received:
            raise TrainingInterrupted(received)

    def _give_back(self) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())
