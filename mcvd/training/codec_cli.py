"""``mcvd fit-codec``: `mcvd.training.fit` for the autoencoder of latent models."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from mcvd.frames import model_from_pixels, pixels_from_model
from mcvd.models.codecs.autoencoders import write_autoencoder
from mcvd.models.codecs.latents import Latents
from mcvd.models.facts import num_parameters
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.paths import unused_path
from mcvd.training.checkpoints import Checkpoints
from mcvd.training.codec import CodecFit
from mcvd.training.ema import EMA
from mcvd.training.fit import FitCLI, Log, run_cli
from mcvd.training.fit_help import JSON_HELP
from mcvd.training.summary import Summary
from mcvd.training.words import ConfigError, check_names_videos
from mcvd.video.contact_sheet import contact_sheet

_LOGGER = logging.getLogger(__name__)
_NUM_SHOWN = 6
_NUM_MEASURED = 128  # clips


class CodecCLI(FitCLI):
    """Parses the options of ``mcvd fit-codec``: those of ``mcvd fit``, with an autoencoder in place of a model."""

    model_kind = CodecFit
    prog, about = "mcvd fit-codec", f"Train the codec of latent models.\n\n{JSON_HELP}"
    trainer_changes: ClassVar[dict[str, Any]] = {"max_steps": 20_000}
    sections: ClassVar[dict[str, type[Callback]]] = {"ema": EMA, "checkpoints": Checkpoints}

    def link_model(self, parser: LightningArgumentParser) -> None:
        """The clips are what the codec works on."""
        for name in ("num_frames", "size", "channels", "seed"):
            parser.link_arguments(f"model.{name}", f"data.{name}")

    def before_instantiate_classes(self) -> None:
        """A codec is trained from a source by its own option."""
        if self.config.init_from:
            raise ConfigError("--init_from starts from a model: a codec starts from --model.source")
        if self.config.data.batch_size == "auto":
            raise ConfigError("--data.batch_size auto: the memory of a codec is not estimated, name a number")
        if self.config.data.latents is not None:
            raise ConfigError(
                "--data.latents are for models that diffuse them: a codec learns from frames, leave them out"
            )
        super().before_instantiate_classes()

    def default_root(self) -> str:
        """``runs/codec``."""
        return "runs/codec"

    def checks(self) -> list[Callback]:
        """None."""
        return []

    def reports(self) -> list[Callback]:
        """What is trained, and pictures of what the codec gives back."""
        return [Summary(self.log, _described), _Pictures()]

    def finish(self, path: Path) -> tuple[Path, str]:
        """Write the codec, with its latents measured, and say where it is."""
        clips, model = self.datamodule.train_clips, self.model
        few = range(0, len(clips), max(1, len(clips) // _NUM_MEASURED))
        codec = model.codec(clips[number]["video"].to(model.device) for number in few)
        folder = _written_before(path.parent, codec)
        if folder is None:
            folder = unused_path(path.parent, "codec", "")
            measured = {"mean": codec.mean, "std": codec.std, "limit": codec.limit, "num_clips": len(few)}
            write_autoencoder(folder, codec.kind, codec.arguments, model.net.state_dict(), measured)
        how = f"the codec is {folder}; train with it: mcvd fit ... --model.codec mcvd.models.codecs.Latents " + (
            f"--model.codec.init_args.source {folder}"
        )
        return folder, how


def _written_before(run: Path, codec: Latents) -> Path | None:
    """The folder of this very codec, if a command that was ended after that wrote it."""
    for folder in sorted(run.glob("codec*")):
        with suppress(OSError, ValueError):
            if Latents(source=str(folder)).with_network()[0].digest == codec.digest:
                return folder
    return None


def _described(codec: CodecFit) -> str:
    (height, width), (low, wide) = codec.size, codec.latent_size
    return (
        f"a codec ({codec.kind}) of {num_parameters(codec.net) / 1e6:.2f} M parameters, "
        f"frames of {height}x{width} as latents of {low}x{wide}"
    )


class _Pictures(Callback):
    """Held-out frames above what the codec makes of them, ``previews/step-000000.png``, after each validation."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero or trainer.log_dir is None:
            return
        assert isinstance(pl_module, CodecFit)
        clips = trainer.datamodule.val_clips  # type: ignore[attr-defined]
        few = range(0, len(clips), max(1, len(clips) // _NUM_SHOWN))
        frames = torch.stack([clips[number]["video"][0] for number in few][:_NUM_SHOWN]).to(pl_module.device)
        with torch.no_grad():
            decoded, _ = pl_module.reconstruct(model_from_pixels(frames))
        path = Path(trainer.log_dir) / "previews" / f"step-{trainer.global_step:06d}.png"
        try:
            with atomic_write(path) as part:
                rows = {"held out": frames, "codec": pixels_from_model(decoded)}
                contact_sheet(rows, min_height=64).save(part, format="png")
        except OSError as error:
            warnings.warn(f"no picture {path}: {error}", stacklevel=2)  # a full disk is no reason to stop training


def run_fit_codec(argv: list[str], log: Log = _LOGGER.info) -> dict[str, Any] | None:
    """Train a codec as ``mcvd fit-codec`` does.

    Args:
        argv: options, such as ``["--config", "data.yaml", "--model.kind", "VQModel"]``.
        log: called with each line that the user should see.

    Returns, Raises:
        As `mcvd.training.fit.run_fit`.
    """
    check_names_videos(argv)
    return run_cli(CodecCLI, ["--model.num_frames=1", *argv], log)
