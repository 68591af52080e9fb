"""``mcvd distill``: `mcvd.training.fit` for the student of a trained model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch.cli import LightningArgumentParser

from mcvd.frames import FrameBlock
from mcvd.training.distill import Student
from mcvd.training.fit import FitCLI, Log, run_cli
from mcvd.training.fit_help import JSON_HELP
from mcvd.training.student_words import student_words
from mcvd.training.told import Told, told
from mcvd.training.words import ConfigError

_LOGGER = logging.getLogger(__name__)


class DistillCLI(FitCLI):
    """Parses the options of ``mcvd distill``: those of ``mcvd fit``, with a teacher in place of a model's parts."""

    model_kind = Student
    prog = "mcvd distill TEACHER"
    about = f"Train a student that needs fewer network calls than its teacher.\n\n{JSON_HELP}"
    trainer_changes: ClassVar[dict[str, Any]] = {"max_steps": 500}

    def link_model(self, parser: LightningArgumentParser) -> None:
        """The clips are those of the teacher's block."""
        parser.link_arguments(
            "model.teacher", "data.num_frames", lambda teacher: FrameBlock(**told(teacher, "block")).num_frames
        )
        for name in ("size", "channels"):
            parser.link_arguments("model.teacher", f"data.{name}", Told(name))
        parser.link_arguments("model.seed", "data.seed")

    def before_instantiate_classes(self) -> None:
        """Clips have the teacher's frame rate, unless another is asked for."""
        if self.config.data.frame_rate_hz is None:
            self.config.data.frame_rate_hz = told(self.config.model.teacher, "frame_rate_hz")
        if str(self.config.trainer.strategy).startswith("fsdp"):
            raise ConfigError("--trainer.strategy fsdp: a student and its teacher are not shared out; take ddp")
        super().before_instantiate_classes()

    def model_config(self) -> dict[str, Any]:
        """The student has its teacher's."""
        config: dict[str, Any] = self.model.config
        return config

    def default_root(self) -> str:
        """``runs/TEACHER-4-calls``."""
        return f"runs/{Path(self.config.model.teacher).resolve().stem}-{self.config.model.calls}-calls"


def run_distill(argv: list[str], log: Log = _LOGGER.info) -> dict[str, Any] | None:
    """Distil as ``mcvd distill`` does.

    Args:
        argv: the teacher, then options, such as ``["drive", "--calls", "4", "--config", "data.yaml"]``.
        log: called with each line that the user should see.

    Returns, Raises:
        As `mcvd.training.fit.run_fit`.
    """
    return run_cli(DistillCLI, student_words(argv), log)
