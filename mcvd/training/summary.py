"""The line that says what is trained where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning import Callback, LightningModule, Trainer


class Summary(Callback):
    """Tells the user in one line what is trained where.

    Args:
        report: called with the line.
        what: of the module in training, its part of the line.
    """

    def __init__(self, report: Callable[[str], object], what: Callable[[Any], str]):
        self.report, self.what = report, what

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell it."""
        folder = trainer.log_dir  # asked by all processes: Lightning broadcasts it
        if trainer.is_global_zero:
            begin = f"from step {trainer.global_step}" if trainer.global_step else "from the start"
            num_videos = len(trainer.datamodule.train_clips.videos)  # type: ignore[attr-defined]
            self.report(
                f"training {self.what(pl_module)}, {num_videos} videos, {trainer.world_size} x "
                f"{pl_module.device.type}, {trainer.precision}, {begin}, in {folder}"
            )
