"""``mcvd fit-classifier``: `mcvd.training.fit` for a classifier of noisy clips that guides a trained model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

from lightning import Callback
from lightning.pytorch.cli import LightningArgumentParser

from mcvd.frames import FrameBlock
from mcvd.models.facts import num_parameters
from mcvd.runtime.paths import unused_path
from mcvd.training.checkpoints import Checkpoints
from mcvd.training.classifier import ClassifierFit, labels_of
from mcvd.training.ema import EMA
from mcvd.training.fit import FitCLI, Log, run_cli
from mcvd.training.fit_help import JSON_HELP
from mcvd.training.summary import Summary
from mcvd.training.told import Told, stored_config, told
from mcvd.training.words import GUIDED, ConfigError, named_first

_LOGGER = logging.getLogger(__name__)


class ClassifierCLI(FitCLI):
    """Parses the options of ``mcvd fit-classifier``: those of ``mcvd fit``, with a model to guide in place of parts."""

    model_kind = ClassifierFit
    prog, about = "mcvd fit-classifier MODEL", f"Train a classifier of noisy clips that guides a model.\n\n{JSON_HELP}"
    trainer_changes: ClassVar[dict[str, Any]] = {"max_steps": 10_000}
    sections: ClassVar[dict[str, type[Callback]]] = {"ema": EMA, "checkpoints": Checkpoints}

    def link_model(self, parser: LightningArgumentParser) -> None:
        """The clips are as those that the model makes, and their labels are told."""
        parser.link_arguments(
            "model.guides", "data.num_frames", lambda model: FrameBlock(**told(model, "block")).current
        )
        for name in ("size", "channels"):
            parser.link_arguments("model.guides", f"data.{name}", Told(name))
        parser.link_arguments("model.seed", "data.seed")

    def before_instantiate_classes(self) -> None:
        """Clips have the model's frame rate, unless another is asked for, and the labels that are to be told."""
        config = self.config
        if config.init_from:
            raise ConfigError("--init_from starts from a model, and a classifier starts from nothing")
        if config.data.batch_size == "auto":
            raise ConfigError("--data.batch_size auto: the memory of a classifier is not estimated, name a number")
        if config.data.frame_rate_hz is None:
            config.data.frame_rate_hz = told(config.model.guides, "frame_rate_hz")
        words = config.model.labels or labels_of(stored_config(config.model.guides))
        if not words:
            raise ConfigError(
                f"{config.model.guides} is told no labels: name those of the data, --model.labels '[archery, bowling]' "
                "(mcvd data check FOLDER lists them)"
            )
        config.model.labels = [*words]
        config.data.signals = [f"label={word}" for word in words]
        if config.data.flip and config.data.mirrored_signals is None:
            config.data.mirrored_signals = []
        if self.config.data.latents is not None:
            raise ConfigError(
                "--data.latents are for models that diffuse them: a classifier learns from frames, leave them out"
            )
        super().before_instantiate_classes()

    def default_root(self) -> str:
        """``runs/MODEL-classifier``."""
        return f"runs/{Path(self.config.model.guides).resolve().stem}-classifier"

    def checks(self) -> list[Callback]:
        """None."""
        return []

    def reports(self) -> list[Callback]:
        """What is trained."""
        return [Summary(self.log, _described)]

    def finish(self, path: Path) -> tuple[Path, str]:
        """Write the classifier, and say where it is."""
        classifier, model = self.model.classifier, self.config.model.guides
        folder = unused_path(path.parent, "classifier", "")
        classifier.save_pretrained(folder)
        what = "predict VIDEO" if told(model, "block")["past"] else "generate"
        how = (
            f"the classifier is {folder}; guide with it: mcvd {what} --model {model} --num-frames 20 "
            f"--classifier {folder} --label {classifier.labels[0]} --guide-weight 4 --out guided.mp4"
        )
        return folder, how


def _described(fit: ClassifierFit) -> str:
    own = fit.classifier
    return (
        f"a classifier of {num_parameters(own) / 1e6:.2f} M parameters for {len(own.labels)} labels of "
        f"{own.num_frames} frames of {own.size[0]}x{own.size[1]}"
    )


def run_fit_classifier(argv: list[str], log: Log = _LOGGER.info) -> dict[str, Any] | None:
    """Train a classifier as ``mcvd fit-classifier`` does.

    Args:
        argv: the model to guide, then options, such as ``["drive", "--config", "data.yaml"]``.
        log: called with each line that the user should see.

    Returns, Raises:
        As `mcvd.training.fit.run_fit`.
    """
    words = named_first(argv, GUIDED)
    return run_cli(ClassifierCLI, words, log)
