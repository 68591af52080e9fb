"""What commands open before they work: the model on its device and its sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch

from mcvd.apps.cli.say import note
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.tasks import Task
from mcvd.models.load import BOX, load
from mcvd.models.video_model import VideoModel
from mcvd.runtime.device import resolve_device
from mcvd.runtime.distributed import process_group, spawn
from mcvd.samplers import AbstractSampler
from mcvd.samplers.select import FROM_DIFFUSERS, sampler_by_name, split_steps, with_steps

if TYPE_CHECKING:
    from mcvd.metrics import FrameMetric


def log(line: str) -> None:
    """Say something about the work on the standard error."""
    note(f"mcvd: {line}")


def load_for_command(
    model: str | Path | None,
    device: str | torch.device | None = None,
    trust: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
) -> VideoModel:
    """Open a model on its device.

    Args:
        model: as `mcvd.load` takes it; None is the bundled one, and the user is told so.
        device: None is the best there is.
        trust: modules from which the model's own classes are imported.
        size: of the frames; None is the model's own.
    """
    on = device if isinstance(device, torch.device) else resolve_device(device)
    if model is None:
        log("no model was named: using the small bundled one")
    return load(BOX if model is None else model, trust=trust or (), size=size).to(on)


def check_pixels(model: VideoModel) -> None:
    """Refuse a model whose videos are no pixels.

    Raises:
        ValueError: says how it is used.
    """
    if model.codec.dtype != torch.uint8:
        raise ValueError(
            f"the videos of this model are values ({model.codec.unit or 'without a unit'}), no pixels: use "
            "mcvd predict and mcvd evaluate, or Python, mcvd.load(...).predict(array, num_frames)"
        )


@dataclass(frozen=True)
class ModelChoice:
    """Which model, and how to sample from it: what `options.add_model` and `options.add_sampling` have read.

    Everything is checked that can be without the model, which `load` opens.

    Args:
        model: as `load_for_command` takes it.
        device: of the model.
        trust: modules of the model's own classes.
        size: of the frames; None is the model's own.
        options: of sampling; without a sampler where none was named.
    """

    model: str | None
    device: torch.device
    trust: Sequence[str]
    size: tuple[int, int] | None
    options: SamplingOptions

    @classmethod
    def of(
        cls,
        model: str | None = None,
        trust: Sequence[str] | None = None,
        device: str | None = None,
        size: tuple[int, int] | None = None,
        sampler: str | None = None,
        steps: int | None = None,
        **sampling: Any,
    ) -> ModelChoice:
        """Read the options.

        Raises:
            ValueError: there is no such sampler or device, a value is out of range, or an option needs another one.
        """
        if "guidance_drops" in sampling and "guidance" not in sampling:
            raise ValueError("--guidance-drops says what guidance strengthens: give it a weight too, as --guidance 2")
        method = None if sampler is None else choose_sampler(sampler, steps)
        chosen = SamplingOptions(sampler=method, steps=steps, **sampling)
        return cls(model, resolve_device(device), trust or (), size, chosen)

    def load(self, task: Task) -> tuple[VideoModel, SamplingOptions]:
        """Open the model on its device; the options with a sampler: the named one, or the model's for the task.

        Raises:
            ValueError: the model's own chooses its steps itself, and a number of them was asked for.
        """
        model, options = load_for_command(self.model, self.device, self.trust, self.size), self.options
        if options.rolling:  # has steps of its own, and no sampler
            return model, options
        sampler = options.sampler or model.sampler_for(task, options.steps)
        return model, replace(options, sampler=sampler, steps=None)


def share_out(work: Callable[..., None], processes: int = 1, **options: Any) -> None:
    """Do the work of a command in this process, in several new ones, or in those that torchrun started."""
    if processes > 1:
        return spawn(work, processes, **options)
    with process_group():
        work(**options)


def choose_sampler(name: str, num_steps: int | None) -> AbstractSampler:
    """The sampler that the command line asked for.

    Args:
        name: as `sampler_by_name` takes it, or the class path of the user's own; ``:6`` behind either are 6 steps.
        num_steps: network calls for each block; None is the sampler's own default.

    Raises:
        ValueError: there is no such sampler, it chooses its steps itself, or they are told twice.
    """
    name, num_steps = split_steps(name, num_steps)
    is_own = "." in name and not name.startswith(FROM_DIFFUSERS)
    return _own_sampler(name, num_steps) if is_own else sampler_by_name(name, num_steps)


def import_own(path: str, option: str) -> Any:
    """What an option of the command line names by its path in Python, such as ``my_metrics.FLICKER``.

    Whoever types it trusts its module, whose code runs.

    Raises:
        ValueError: there is none; the message names the option.
    """
    try:
        return resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{option} {path}: {error}; expected MODULE.NAME, of a module on the Python path (PYTHONPATH)"
        ) from error


def choose_metric(path: str) -> FrameMetric:
    """A metric of the user's own, or one of `mcvd.metrics` that is not reported unasked, by its path."""
    from mcvd.metrics import FrameMetric

    if "." not in path:
        raise ValueError(
            f"--metric {path}: names a metric of your own, as MODULE.NAME; PSNR and SSIM are on every card, LPIPS with "
            "--lpips-weights, FVD with --weights"
        )
    metric = import_own(path, "--metric")
    if not isinstance(metric, FrameMetric):
        raise ValueError(f"--metric {path} is a {type(metric).__name__}, expected an mcvd.metrics.FrameMetric")
    return metric


def _own_sampler(path: str, num_steps: int | None) -> AbstractSampler:
    kind = import_own(path, "--sampler")
    if not (isinstance(kind, type) and issubclass(kind, AbstractSampler)):
        raise ValueError(f"--sampler {path}: not a subclass of mcvd.samplers.AbstractSampler")
    method: Any = kind()
    return method if num_steps is None else with_steps(method, num_steps)
