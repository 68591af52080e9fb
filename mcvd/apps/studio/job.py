"""Sampling what a visitor asked for, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.apps.studio.clip import Clip, Limits
from mcvd.apps.studio.selection import Selection
from mcvd.diffusion.guides import NoisyClassifier
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.tasks import Task
from mcvd.models.video_model import VideoModel
from mcvd.samplers import AbstractSampler


@dataclass(frozen=True)
class GenerationRequest:
    """What a visitor chose on the left of the page; see `mcvd.diffusion.options.SamplingOptions`."""

    task: Task
    sampler: AbstractSampler
    num_samples: int = 1
    guidance: float = 1.0
    seed: int = 0
    loop: bool = False
    signals: Mapping[str, float | str] | None = None
    guide: NoisyClassifier | None = None
    guide_weight: float = 1.0


@dataclass(frozen=True)
class PartialResult:
    """Videos that are being sampled.

    Args:
        frames: (K, T, C, H, W) as the model makes them; 0 where there is nothing yet.
        is_done: bool (T,), which frames are there.
    """

    frames: Tensor
    is_done: Tensor

    @property
    def num_done(self) -> int:
        """How many of the T frames are there."""
        return int(self.is_done.sum())


def sample(
    model: VideoModel,
    clip: Clip,
    selection: Selection,
    request: GenerationRequest,
    limits: Limits,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[PartialResult]:
    """Sample videos: the same ones that `MCVD.predict`, `interpolate` and `generate` would.

    Args:
        model: on its device.
        clip: where the given frames are.
        selection: which frames are given and generated.
        request: how.
        limits: what is refused.
        on_progress: called before each call of the network with the share of the work that is done, 0 to 1; what it
            raises stops the work.

    Yields:
        After each block what there is by then.

    Raises:
        ValueError: the request is beyond the limits, or the model cannot do it.
    """
    length = len(selection.generated)
    wanted = {"frames": length, "samples": request.num_samples, "steps": request.sampler.num_calls}
    for name, number in wanted.items():
        if not 1 <= number <= getattr(limits, name):
            raise ValueError(f"{number} {name} were asked for, the studio makes 1 to {getattr(limits, name)}")
    options = SamplingOptions(
        num_samples=request.num_samples if selection.context else 1,
        sampler=request.sampler,
        guidance=request.guidance,
        seed=request.seed,
        progress=False,
        on_progress=on_progress,
        loop=request.loop,
        signals=request.signals,
        guide=request.guide,
        guide_weight=request.guide_weight,
        known={number - selection.generated.start: clip.frames[number] for number in selection.keyframes} or None,
    )
    past, future = (clip.frames[side.start : side.stop][None] for side in (selection.past, selection.future))
    if not selection.context:  # as VideoModel.generate does: videos of their own, not samples of one
        past, future = (side.expand(request.num_samples, -1, -1, -1, -1) for side in (past, future))
    frames = torch.zeros((request.num_samples, length, *clip.frames.shape[1:]), dtype=model.codec.dtype)
    is_done = torch.zeros(length, dtype=torch.bool)
    for start, block in model.stream(past, length, future=future, **vars(options)):
        new = block.reshape(request.num_samples, -1, *frames.shape[2:])
        frames[:, start : start + new.shape[1]] = new
        is_done[start : start + new.shape[1]] = True
        yield PartialResult(frames.clone(), is_done.clone())
