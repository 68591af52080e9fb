"""Sample videos during training: what the model generates for held-out clips, beside the ground truth."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from mcvd.diffusion.tasks import TASKS
from mcvd.models.look import Look
from mcvd.models.mcvd import MCVD
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.fsdp import unsharded
from mcvd.samplers import DDIM, AbstractSampler
from mcvd.training.ema import averaged_weights
from mcvd.video.contact_sheet import contact_sheet
from mcvd.video.legend import Legend, beside_legend
from mcvd.video.timing import playing_fps
from mcvd.video.write import write_video


class Preview(Callback):
    """Writes ``previews/step-000000-TASK.png`` and ``.mp4`` into the run's folder, for each task the model can do.

    Always the same held-out clips from the same noise, so that the pictures of a run can be compared. The averaged
    weights are used. In the png each clip is a row of true frames above a row with the model's, the context framed;
    in the mp4 the ground truth is left and the model right.

    Args:
        every_n_steps: steps between two previews; there is also one at the end. Null makes none.
        num_videos: how many clips.
        sampler: a fast one by default.
    """

    def __init__(
        self, every_n_steps: int | None = 5000, num_videos: int = 4, sampler: AbstractSampler = DDIM(num_steps=20)
    ):
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps must be 1 or more, or null for no previews, got {every_n_steps}")
        if num_videos < 1:
            raise ValueError(f"num_videos must be 1 or more, got {num_videos}")
        self.every_n_steps = every_n_steps
        self.num_videos = num_videos
        self.sampler = sampler
        self._step: int | None = None  # of the last preview
        self._folder = Path()

    def on_train_start(self, trainer: Trainer, pl_module: MCVD) -> None:  # type: ignore[override]
        """A resumed run has the preview of its first step already, unless it was killed before."""
        self._folder = Path(trainer.log_dir or self._folder) / "previews"
        step = trainer.global_step
        is_there = step == 0 or trainer.strategy.broadcast(all(path.exists() for path in self._paths(step, pl_module)))
        self._step = step if is_there else None

    def on_train_batch_start(self, trainer: Trainer, pl_module: MCVD, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        """Show the model as the last step left it; its checkpoint, if it was due, is written by now."""
        if self.every_n_steps and trainer.global_step % self.every_n_steps == 0:
            self._show(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: MCVD) -> None:  # type: ignore[override]
        """Show the finished model."""
        if self.every_n_steps:
            self._show(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: MCVD) -> None:  # type: ignore[override]
        """A training that was killed after its last step has no step left, but may lack its preview."""
        if self.every_n_steps and self._step is None:
            self.on_train_start(trainer, pl_module)
            self._show(trainer, pl_module)

    def _paths(self, step: int, model: MCVD) -> list[Path]:
        tasks = [task.name for task in TASKS.values() if task.refusal(model.block, model.masking) is None]
        return [self._folder / f"step-{step:06d}-{task}{suffix}" for task in tasks for suffix in (".png", ".mp4")]

    def _show(self, trainer: Trainer, pl_module: MCVD) -> None:
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        with averaged_weights(trainer, pl_module), unsharded(pl_module):
            # One process is enough; the others wait for it at their next exchange.
            if trainer.is_global_zero:
                self._make(trainer, pl_module)

    def _make(self, trainer: Trainer, pl_module: MCVD) -> None:
        clips = trainer.datamodule.val_clips  # type: ignore[attr-defined]
        count = min(self.num_videos, len(clips))
        spread = [i * len(clips) // count for i in range(count)]  # over all videos, not of the first alone
        chosen = [clips[number] for number in spread]
        video = torch.stack([clip["video"] for clip in chosen])
        signals = torch.stack([clip["signals"] for clip in chosen]) if "signals" in chosen[0] else None
        with trainer.precision_plugin.forward_context():
            shown = preview(pl_module, video, self.sampler, signals)
        look, fps = Look.of(pl_module), playing_fps(pl_module.frame_rate_hz)
        for task, (target, samples, context) in shown.items():
            path = self._folder / f"step-{self._step:06d}-{task}"
            try:
                _write(path, look.pictures(target), look.pictures(samples), context, fps, look.legend)
            except OSError as error:
                warnings.warn(f"no preview {path}: {error}", stacklevel=2)  # a full disk is no reason to stop training


def preview(
    model: MCVD, clips: Tensor, sampler: AbstractSampler, signals: Tensor | None = None
) -> dict[str, tuple[Tensor, Tensor, list[int]]]:
    """Let a model do the tasks it was trained for on the given clips.

    Args:
        model: of any block and masks.
        clips: (B, T, C, H, W) as the model takes them, T being all frames of the model's block.
        sampler: to use.
        signals: float (B, T, A) of the clips, for a model that is told some.

    Returns:
        task -> (target, samples, context): (B, T', C, H, W) both, and which of the T' frames were given to the
        model; these are the same in both. Nothing is given to ``generate``: its target is there to compare the looks.
    """
    past, current, future = model.block.split(clips)
    shown = {}
    for task in TASKS.values():
        if task.refusal(model.block, model.masking) is not None:
            continue
        before, after = past if task.gives_past else past[:, :0], future if task.gives_future else future[:, :0]
        # Between sides of which either may have no frames: each of the tasks.
        told = None if signals is None else signals[:, past.shape[1] - before.shape[1] :]
        if told is not None:
            told = told[:, : before.shape[1] + current.shape[1] + after.shape[1]]
        low = None if model.super_resolution is None else model.super_resolution.reduced(current)
        samples = model.interpolate(
            before, after, current.shape[1], sampler=sampler, progress=False, signals=told, low=low
        )
        target, samples = (torch.cat([before, middle, after], 1) for middle in (current, samples))
        context = [*range(before.shape[1]), *range(target.shape[1] - after.shape[1], target.shape[1])]
        shown[task.name] = (target, samples, context)
    return shown


def _write(path: Path, target: Tensor, samples: Tensor, context: list[int], fps: float, legend: Legend | None) -> None:
    rows: dict[str, Tensor] = {}
    for number, (true, model) in enumerate(zip(target, samples, strict=True), start=1):
        rows |= {f"truth {number}": true, f"model {number}": model}
    with atomic_write(path.with_name(f"{path.name}.png")) as part:
        contact_sheet(rows, context, 64, legend).save(part, format="png")
    pairs = torch.cat([target, samples], -1)  # (B, T, C, H, 2W)
    film = beside_legend(pairs.permute(1, 2, 0, 3, 4).flatten(2, 3), legend)
    write_video(path.with_name(f"{path.name}.mp4"), film, fps)
