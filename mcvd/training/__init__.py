"""Training: what ``mcvd fit`` adds to Lightning."""

from typing import TYPE_CHECKING

from mcvd.runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from mcvd.training.checkpoint_io import AtomicCheckpointIO, last_checkpoint
    from mcvd.training.checkpoints import Checkpoints
    from mcvd.training.codec import CodecFit
    from mcvd.training.codec_cli import run_fit_codec
    from mcvd.training.cost import TrainingEstimate, training_estimate
    from mcvd.training.distill import Student
    from mcvd.training.distill_cli import run_distill
    from mcvd.training.ema import EMA
    from mcvd.training.fit import FitCLI, run_fit
    from mcvd.training.memory import MemoryEstimate
    from mcvd.training.muon import Muon
    from mcvd.training.preview import Preview
    from mcvd.training.signals import GracefulStop, TrainingInterrupted
    from mcvd.training.words import ConfigError

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "EMA": "mcvd.training.ema",
        "AtomicCheckpointIO": "mcvd.training.checkpoint_io",
        "Checkpoints": "mcvd.training.checkpoints",
        "CodecFit": "mcvd.training.codec",
        "ConfigError": "mcvd.training.words",
        "FitCLI": "mcvd.training.fit",
        "GracefulStop": "mcvd.training.signals",
        "MemoryEstimate": "mcvd.training.memory",
        "Muon": "mcvd.training.muon",
        "Preview": "mcvd.training.preview",
        "Student": "mcvd.training.distill",
        "TrainingEstimate": "mcvd.training.cost",
        "TrainingInterrupted": "mcvd.training.signals",
        "last_checkpoint": "mcvd.training.checkpoint_io",
        "run_distill": "mcvd.training.distill_cli",
        "run_fit_codec": "mcvd.training.codec_cli",
        "run_fit": "mcvd.training.fit",
        "training_estimate": "mcvd.training.cost",
    },
)
