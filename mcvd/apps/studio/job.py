"""Sampling what a visitor asked for, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mcvd.apps.studio.clip import Clip, Limits
from mcvd.apps.studio.selection import Selection
from mcvd.apps.studio.tasks import ENLARGE, UpsamplingTask
from mcvd.diffusion.denoiser import Dropped
from mcvd.diffusion.guides import NoisyClassifier
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.tasks import Task
from mcvd.models.upsampling import Upsampling, upsampled
from mcvd.models.video_model import VideoModel
from mcvd.samplers import AbstractSampler

_GAPS_AT_ONCE = 8  # of an upsampling: frames appear while the model works


@dataclass(frozen=True)
class GenerationRequest:
    """What a visitor chose on the left of the page; see `mcvd.diffusion.options.SamplingOptions`.

    ``factor`` is of upsampling: how many times the frame rate.
    """

    task: Task | UpsamplingTask
    sampler: AbstractSampler
    num_samples: int = 1
    guidance: float = 1.0
    seed: int = 0
    loop: bool = False
    signals: Mapping[str, float | str] | None = None
    guide: NoisyClassifier | None = None
    guide_weight: float = 1.0
    guidance_drops: Dropped = "both"
    factor: int = 2
    low_noise: float = 0.0

    def options(self, on_progress: Callable[[float], None] | None) -> SamplingOptions:
        """Those of all tasks."""
        return SamplingOptions(
            num_samples=self.num_samples,
            sampler=self.sampler,
            guidance=self.guidance,
            guidance_drops=self.guidance_drops,
            seed=self.seed,
            progress=False,
            on_progress=on_progress,
        )


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

    Returns:
        After each block what there is by then.

    Raises:
        ValueError: the request is beyond the limits, or the model cannot do it.
    """
    length = len(selection.generated)
    _check_limits(request, length, limits)
    options = replace(
        request.options(on_progress),
        num_samples=request.num_samples if selection.context else 1,
        loop=request.loop,
        signals=request.signals,
        guide=request.guide,
        guide_weight=request.guide_weight,
        known={number - selection.generated.start: clip.frames[number] for number in selection.keyframes} or None,
    )
    past, future = (clip.frames[side.start : side.stop][None] for side in (selection.past, selection.future))
    if not selection.context:  # as VideoModel.generate does: videos of their own, not samples of one
        past, future = (side.expand(request.num_samples, -1, -1, -1, -1) for side in (past, future))
    stream = model.stream(past, length, future=future, **vars(options))
    return _as_they_come(stream, model, request.num_samples, length)


def upsample(
    model: VideoModel,
    given: Tensor,
    rate_hz: float | None,
    request: GenerationRequest,
    limits: Limits,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[PartialResult]:
    """Upsample a video: the same ones that `MCVD.upsample` and `enlarge` would make.

    Args:
        model: on its device.
        given: (T, C, h, w), of the size that the task takes.
        rate_hz: of the given frames, where it is known.
        request: how; its task is one of `mcvd.apps.studio.tasks.UPSAMPLING`.
        limits, on_progress: as of `sample`.

    Returns, raises:
        As `sample`.
    """
    options = request.options(on_progress)
    if request.task is ENLARGE:
        _check_limits(request, len(given), limits)
        stream = model.stream_enlarged(given[None], replace(options, low_noise=request.low_noise))
        return _as_they_come(stream, model, request.num_samples, len(given))
    if model.times is not None and model.times.frame_rates_hz:
        options = replace(options, frame_rate_hz=rate_hz)
    # The result does not depend on how many gaps are filled at once.
    upsampling = Upsampling(model, request.factor, replace(options, batch_size=_GAPS_AT_ONCE * request.num_samples))
    length = upsampling.num_frames(len(given))
    _check_limits(request, length, limits)
    stream = upsampled(upsampling, len(given), lambda frames: given[frames.start : frames.stop])
    return _as_they_come(stream, model, request.num_samples, length)


def _check_limits(request: GenerationRequest, length: int, limits: Limits) -> None:
    """Refuse what one visitor may not ask of the machine.

    Raises:
        ValueError: it is too much.
    """
    wanted = {"frames": length, "samples": request.num_samples, "steps": request.sampler.num_calls}
    for name, number in wanted.items():
        if not 1 <= number <= getattr(limits, name):
            raise ValueError(f"{number} {name} were asked for, the studio makes 1 to {getattr(limits, name)}")


def _as_they_come(
    stream: Iterator[tuple[int, Tensor]], model: VideoModel, num_samples: int, length: int
) -> Iterator[PartialResult]:
    """After each block what there is by then."""
    frames = torch.zeros((num_samples, length, model.channels, *model.size), dtype=model.codec.dtype)
    is_done = torch.zeros(length, dtype=torch.bool)
    for start, block in stream:
        new = block.reshape(num_samples, -1, *frames.shape[2:])
        frames[:, start : start + new.shape[1]] = new
        is_done[start : start + new.shape[1]] = True
        yield PartialResult(frames.clone(), is_done.clone())
