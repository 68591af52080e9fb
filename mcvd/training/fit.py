"""``mcvd fit``: training from a config, on LightningCLI with the defaults that lose work set right."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

import torch
from jsonargparse import ArgumentError
from lightning import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from mcvd.data.datamodule import VideoData
from mcvd.data.loader import shared_with_workers
from mcvd.diffusion.told_times import ToldTimes
from mcvd.models.codecs import Pixels
from mcvd.models.facts import num_parameters
from mcvd.models.files import LAST
from mcvd.models.mcvd import MCVD
from mcvd.nets.compiled import Compile
from mcvd.runtime.device import NO_BF16, has_fast_bf16
from mcvd.runtime.error_text import one_line
from mcvd.runtime.fsdp import FSDP2Strategy
from mcvd.runtime.parser_text import refusal
from mcvd.runtime.paths import check_writable
from mcvd.training.checkpoint_io import AtomicCheckpointIO, batch_size_of, resumed_checkpoint
from mcvd.training.checkpoints import Checkpoints
from mcvd.training.compile import CompileCallback
from mcvd.training.config_files import check_config_files, sections_of
from mcvd.training.configs import explain, with_configs
from mcvd.training.ema import EMA, averaged_weights
from mcvd.training.fit_help import ABOUT, HELP
from mcvd.training.memory_check import MemoryCheck
from mcvd.training.named_configs import DEFAULT_CONFIG
from mcvd.training.preview import Preview
from mcvd.training.progress_bar import StepProgressBar
from mcvd.training.resumed_options import ResumedOptions
from mcvd.training.run_folder import RunFolder
from mcvd.training.signals import GracefulStop, TrainingInterrupted
from mcvd.training.start_from import start_from
from mcvd.training.step_lines import StepLines
from mcvd.training.summary import Summary
from mcvd.training.words import ROOT, ConfigError, check_folder, check_one_start

Log = Callable[[str], object]
"""Takes a line that the user should see."""

_LOGGER = logging.getLogger(__name__)

_WRONG_WEIGHTS = "loading state_dict"  # as PyTorch says it

CALLBACKS: dict[str, type[Callback]] = {"ema": EMA, "checkpoints": Checkpoints, "preview": Preview}

TRAINER_DEFAULTS: dict[str, Any] = {
    "accelerator": "auto",
    "max_steps": 100_000,
    "gradient_clip_val": 1.0,
    "use_distributed_sampler": False,  # VideoData deals the clips out itself
    "check_val_every_n_epoch": None,  # so that val_check_interval counts steps
    "val_check_interval": 1000,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 50,
    "enable_model_summary": False,
}

# Lightning's remarks that do not apply: the loaders resume, the learning rate is stepped as published.
_REMARKS = (
    r".*does not have many workers.*",
    r".*module\(s\) in eval mode.*",  # the codec of a latent model
    r".*lr_scheduler\.step\(\).*optimizer\.step\(\).*",
    r".*is smaller than the logging interval.*",
    r".*have overridden `transfer_batch_to_device`.*",
    r".*isinstance\(treespec, LeafSpec\).*",
)


PRECISIONS = ("32-true", "32", 32, "bf16-mixed", "bf16", "16-mixed", "16", 16, None)  # Lightning has more


class FitCLI(LightningCLI):
    """Parses the options and config files of ``mcvd fit`` and makes model, data and trainer of them.

    Args:
        argv: the words after ``mcvd fit``.
        log: called with what the user should know.
    """

    model_kind: type[LightningModule] = MCVD
    prog, about = "mcvd fit", ABOUT
    trainer_changes: ClassVar[dict[str, Any]] = {}  # of the defaults
    sections: ClassVar[dict[str, type[Callback]]] = CALLBACKS  # of the config, beside model, data and trainer

    def __init__(self, argv: list[str], log: Log = _LOGGER.info):
        self.log = log
        super().__init__(
            self.model_kind,
            VideoData,
            args=argv,
            run=False,
            save_config_callback=None,
            trainer_defaults=TRAINER_DEFAULTS | self.trainer_changes,
            seed_everything_default=False,  # one seed, the model's, see before_instantiate_classes
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_kwargs={"prog": self.prog, "exit_on_error": False, "description": self.about} | HELP,
        )

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """None of Lightning's."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """What the sections have in common is written once and linked."""
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            help="resume a run: 'last' for the newest below trainer.default_root_dir, or the path of a run or .ckpt",
        )
        parser.add_argument(
            "--init_from",
            type=str | None,
            help="fine-tune: start a new run with the weights of an exported folder, a .ckpt file or a Hub model",
        )
        parser.add_argument(
            "--compile",
            type=Compile,
            default="auto",
            help="compile the network (torch.compile): auto (for long trainings on a GPU), always or never",
        )
        for section, callback in self.sections.items():
            parser.add_lightning_class_args(callback, section)
        self.link_model(parser)

    def link_model(self, parser: LightningArgumentParser) -> None:
        """The clips are what the model works on."""
        parser.link_arguments("model.block", "data.num_frames", lambda block: block.past + block.current + block.future)
        for name in ("size", "channels", "seed"):
            parser.link_arguments(f"model.{name}", f"data.{name}")
        parser.link_arguments("model.signals", "data.signals", _names_of)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse; a mistake is one line."""
        (words, told), callbacks = with_configs([*args]), {"model": self.model_kind, **self.sections}
        try:
            check_config_files(words, callbacks, parser._option_string_actions)
            self.config = parser.parse_args(words)
        except ArgumentError as error:
            known = parser._option_string_actions
            raise ConfigError(explain(error, known, words, sections_of(callbacks))) from error
        if told:
            self.log(told)
        check_one_start(bool(self.config.ckpt_path), bool(self.config.init_from))
        if self.config.trainer.overfit_batches:
            raise ConfigError(
                "--trainer.overfit_batches: every step draws new clips and new noise, so there is no batch to repeat; "
                "to see whether a model can learn a few clips, train it on a folder of one or two short videos"
            )
        if self.config.trainer.precision not in PRECISIONS:
            raise ConfigError(
                f"--trainer.precision {self.config.trainer.precision}: weights, their averages and the noise are "
                "float32; take bf16-mixed or 16-mixed, which compute the network in 16 bits, or 32-true"
            )
        strategy = str(self.config.trainer.strategy)
        if strategy != "fsdp" and any(
            name in strategy.lower() for name in ("fsdp", "deepspeed", "model_parallel", "modelparallel")
        ):
            raise ConfigError(
                f"--trainer.strategy {strategy} shares out the weights in a way that their averages (ema) cannot "
                "follow: take fsdp, which shares out weights, averages and moments of the optimiser, or ddp"
            )

    def _set_seed(self) -> None:
        """Nothing: `before_instantiate_classes` does it."""

    def before_instantiate_classes(self) -> None:
        """First weights depend on the model's seed alone; later draws do not use the global generators."""
        config = self.config
        seed_everything(config.model.seed, workers=True, verbose=False)
        on_cpu = config.trainer.accelerator == "cpu" or not torch.accelerator.is_available()
        if config.trainer.precision == "bf16-mixed" and on_cpu and not has_fast_bf16(torch.device("cpu")):
            config.trainer.precision = "32-true"
            self.log(f"{NO_BF16}: training in float32")
        for option in ("root", "val_root"):
            folder = config.data.get(option)
            if folder is not None:
                check_folder(option, folder)
        self.root = Path(config.trainer.default_root_dir or self.default_root())
        check_writable(self.root, f"{ROOT} {self.root}")
        self.checkpoint = resumed_checkpoint(config.ckpt_path, self.root)
        if self.checkpoint and config.data.batch_size == "auto":
            self._save_batch_size(batch_size_of(self.checkpoint))

    def default_root(self) -> str:
        """``runs/NAME``, where NAME is that of the first config file."""
        configs = self.config.get("config") or []
        return f"runs/{Path(str(configs[0])).stem if configs else 'mcvd'}"

    def instantiate_trainer(self, **_: Any) -> Trainer:
        """The trainer, with what every run has."""
        resumed = self.checkpoint.parent if self.checkpoint and self.checkpoint.name == LAST else None
        options = self.config_init.trainer
        if options.strategy == "fsdp":
            options.strategy = FSDP2Strategy()
        callbacks = [
            GracefulStop(),
            *self.checks(),
            RunFolder(self.root, resumed, self._save_config),
            *self.reports(),
            ResumedOptions(self.log),
        ]
        if options.enable_progress_bar is not False:
            callbacks.append(StepProgressBar() if sys.stderr.isatty() else StepLines(self.log))
        self.trainer_defaults = {"callbacks": callbacks}
        return super().instantiate_trainer(
            default_root_dir=str(self.root),
            logger=[] if options.logger in (None, True, False) else options.logger,  # RunFolder adds ours
            plugins=[*(options.plugins or []), AtomicCheckpointIO()],
        )

    def checks(self) -> list[Callback]:
        """What is asked before the run gets its folder."""
        memory = MemoryCheck(self.config.data.batch_size == "auto", self._save_batch_size, self.log)
        return [memory, CompileCallback(self.config.compile)]

    def reports(self) -> list[Callback]:
        """What tells the user about the training."""
        return [_LearnsData(), Summary(self.log, _described)]

    def finish(self, path: Path) -> tuple[Path, str]:
        """After the training, whose last checkpoint is ``path``: what is used from now on, and how, in words."""
        return path, f"use the model: {_how_to_use(self.model, path)}"

    def _save_batch_size(self, batch_size: int) -> None:
        self.config.data.batch_size = batch_size

    def _save_config(self, path: Path) -> None:
        self.parser.save(self.config, path, skip_none=False, multifile=False)

    def model_config(self) -> dict[str, Any]:
        """The model's section as `mcvd.build` takes it."""
        config = json.loads(self.parser.dump(self.config, format="json", skip_none=False))["model"]
        del config["optimizer"]
        return config


def _names_of(signals: Any) -> list[str] | None:
    """The names in a model's signals, as the parser has them: the arguments of a class, perhaps named."""
    return None if signals is None else list(getattr(signals, "init_args", signals).names)


class _Options(FitCLI):
    """Knows the options, makes nothing of them."""

    def before_instantiate_classes(self) -> None:
        """Nothing."""

    def instantiate_classes(self) -> None:
        """Nothing."""


def option_names() -> list[str]:
    """All options of ``mcvd fit``, such as ``--trainer.max_steps``, for a shell to complete."""
    parser = _Options(["--config", DEFAULT_CONFIG]).parser
    return sorted(name for name in parser._option_string_actions if name.startswith("--"))


class _LearnsData(Callback):
    """Tells the model what it has to know of its clips: their rate, their times, their signals."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        data: VideoData = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, MCVD)
        pl_module.frame_rate_hz = data.frame_rate_hz
        if (data.codec is not None or data.times is not None) and pl_module.codec.coding is not None:
            reason = "codes frames together, from the first of a clip on: leave out data.latents and data.times"
            raise ValueError(f"{pl_module.codec!r} {reason}")
        if data.codec is not None and data.codec != pl_module.codec.digest:
            raise ValueError(
                f"{data.latents} holds latents of another codec than the model's, {pl_module.codec!r}: encode the "
                "videos again (mcvd data encode), or leave out data.latents"
            )
        if data.times is not None:
            pl_module.times = ToldTimes(data.times.rates, data.times.farthest_seconds)
            pl_module.times.check(pl_module.block, pl_module.per_frame)
        if pl_module.signals is not None and not pl_module.signals.mean:
            measured: dict[str, Any] = data.measure_signals()
            pl_module.signals = replace(pl_module.signals, **measured)


def _described(model: MCVD) -> str:
    block, (height, width) = model.block, model.size
    return (
        f"{num_parameters(model) / 1e6:.2f} M parameters on {block.past}|{block.current}|{block.future} frames of "
        f"{height}x{width}"
    )


def run_fit(argv: list[str], log: Log = _LOGGER.info) -> dict[str, Any] | None:
    """Train as ``mcvd fit`` does.

    Args:
        argv: options, such as ``["--config", "configs/small.yaml", "--data.root", "videos"]``.
        log: called with each line that the user should see: what is trained where, what the checkpoint is called.

    Returns:
        ``out``, what to use from now on (a checkpoint, or the folder of a codec or classifier), ``run``, the folder of
        the run, ``checkpoint``, the last one, ``steps``, how many were trained, and ``metrics``, the last value of each
        that was logged; None in all processes but the first.

    Raises:
        ConfigError: an option or a key does not exist or does not fit (a ValueError).
        ValueError: the data or the checkpoint cannot be used.
        FloatingPointError: training produced NaN.
        FileNotFoundError: a folder of videos or a model is not there.
        SystemExit: after Ctrl-C or SIGTERM, with 128 + the signal's number, when the checkpoint is written.
    """
    return run_cli(FitCLI, argv, log)


def run_cli(kind: type[FitCLI], argv: list[str], log: Log) -> dict[str, Any] | None:
    """Train what the words say to a kind of command; see `run_fit`."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for remark in _REMARKS:
            warnings.filterwarnings("ignore", remark)
        try:
            cli = kind(argv, log)
        except MisconfigurationException as error:  # such as a device that is not there
            raise ConfigError(one_line(error)) from error
        except ValueError as error:
            if (reason := refusal(one_line(error))) is None:
                raise
            raise ConfigError(reason) from error
        cli.model.config = cli.model_config()
        if isinstance(cli.model, MCVD):
            cli.model.config |= cli.model.codec_config()
        if cli.config.init_from:
            log(start_from(cli.model, cli.config.init_from))
        return _fit(cli)


def _fit(cli: FitCLI) -> dict[str, Any] | None:
    trainer = cli.trainer
    checkpoints = next(each for each in trainer.callbacks if isinstance(each, Checkpoints))  # type: ignore[attr-defined]
    run_folder = next(each for each in trainer.callbacks if isinstance(each, RunFolder))  # type: ignore[attr-defined]
    try:
        with run_folder.claimed(trainer.is_global_zero), shared_with_workers():
            trainer.fit(cli.model, datamodule=cli.datamodule, ckpt_path=cli.checkpoint, weights_only=True)
    except TrainingInterrupted as stopped:
        if trainer.is_global_zero:
            cli.log(
                f"stopped by {stopped} after step {trainer.global_step}; saved {checkpoints.path}; resume with the "
                f"same command and --ckpt_path {checkpoints.path}"
            )
            raise SystemExit(128 + stopped.signal_number) from None
    except RuntimeError as error:
        if cli.checkpoint is None or _WRONG_WEIGHTS not in str(error):
            raise
        raise ConfigError(
            f"{cli.checkpoint} holds the weights of another network than that of these options: resume with those that "
            f"it was started with, in its config.yaml ({one_line(str(error).partition(':')[2], 200)})"
        ) from error
    else:
        failures = cli.datamodule.train_clips.failures  # counted over all workers
        if failures.any():
            damaged = int((failures > 0).sum())
            cli.log(f"{int(failures.sum())} clips of {damaged} damaged videos were replaced by others")
        logged = trainer.callback_metrics  # asked by all processes: some are means over them
        if trainer.is_global_zero:
            with averaged_weights(trainer, cli.model):  # no step was left to train: the raw ones are still there
                out, how = cli.finish(checkpoints.path)
            cli.log(f"trained {trainer.global_step} steps; {how}")
            metrics = {name: float(value) for name, value in logged.items()}
            result = {"out": out, "run": checkpoints.path.parent, "checkpoint": checkpoints.path}
            return {name: str(path) for name, path in result.items()} | {
                "steps": trainer.global_step,
                "metrics": {name: value for name, value in metrics.items() if isfinite(value)},
            }
    return None


def _how_to_use(model: MCVD, path: Path) -> str:
    if model.low_size is not None:
        return "mcvd upsample VIDEO --size {}x{} --model {} --out larger.mp4".format(*model.size, path)
    if model.codec.unit != Pixels().unit:
        return f"mcvd predict ARRAY --model {path} --num-frames 20 --out forecast.npy"
    if model.block.past:
        return f"mcvd predict VIDEO --model {path} --num-frames 20 --out future.mp4"
    return f"mcvd generate --model {path} --num-frames 20 --out generated.mp4"
