"""`Cascade`: a model of small frames, and models that make its frames larger, used as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, Unpack

import torch
from torch import Tensor, nn

from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.super_resolution import reduced
from mcvd.diffusion.tasks import TASKS, Task, task_of
from mcvd.models.card import About, model_card
from mcvd.models.enlarging import seeds_of
from mcvd.models.facts import ModelFacts, num_parameters
from mcvd.models.files import CARD, CASCADE, CONFIG, read_cascade
from mcvd.models.video_model import VideoModel
from mcvd.runtime.arrays import Video, as_tensor
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.named_classes import Trust
from mcvd.runtime.rng import keyed_seed

_REFUSED = ("known_pixels", "guide", "low")  # options that a cascade does not take


class Cascade(VideoModel):
    """Models one after the other (Ho et al. 2022, arXiv 2106.15282): the base makes small frames, each stage makes the
    frames of the one before it larger.

    It is asked as any model of the size of its last stage: the base gets what is given at its own size, a stage also
    gets the given frames before, at its size, so what they show in detail goes on. Sampler, steps, guidance, signals
    and other options are for the base; stages have their own samplers. Same seed, same video.

    The small frames of a whole video are held in memory; large ones come block by block.

    Args:
        base: a model of pixels, or of values with a scale.
        *stages: models with ``super_resolution``, the first for the base's size.
        low_noise: for each stage how much noise is put on the frames that it makes larger, within what it was trained
            with; more of it trusts them less. None is none.

    Raises:
        ValueError: they do not fit; says which.
    """

    def __init__(self, base: VideoModel, *stages: VideoModel, low_noise: Sequence[float] | None = None):
        nn.Module.__init__(self)
        self.base, self.stages = base, nn.ModuleList(stages)
        self.low_noise = tuple(0.0 for _ in stages) if low_noise is None else tuple(low_noise)
        _check(base, stages, self.low_noise)
        last = stages[-1]
        self.block, self.masking, self.context_noise = base.block, base.masking, base.context_noise
        self.frame_noise, self.signals, self.samplers = base.frame_noise, base.signals, base.samplers
        self.frame_rate_hz, self.times = base.frame_rate_hz, base.times
        self.size, self.channels, self.codec = last.size, last.channels, last.codec
        self.super_resolution, self.adversarial = None, 0.0
        self.eval().requires_grad_(False)

    @property
    def per_frame(self) -> bool:
        """That of the base."""
        return self.base.per_frame

    @property
    def takes_single_frames(self) -> bool:
        """Whether all of its models do."""
        return all(model.takes_single_frames for model in (self.base, *self._stages()))

    @property
    def low_size(self) -> tuple[int, int] | None:
        """The base's: `enlarge` takes videos of it."""
        return self.base.size

    def stream(
        self, past: Video | None, num_frames: int, *, future: Video | None = None, **options: Any
    ) -> Iterator[tuple[int, Tensor]]:
        """See `VideoModel.stream`."""
        sides = [None if side is None else self._checked(as_tensor(side)).cpu() for side in (past, future)]
        sampling = self._options(SamplingOptions.of(**options))
        small = [None if side is None else reduced(side, self.base.size) for side in sides]
        known = sampling.known
        if known is not None:
            known = {place: reduced(as_tensor(frame), self.base.size) for place, frame in known.items()}
        of_base = replace(sampling, known=known, rounded=True, block_store=_within(sampling, "base"))
        of_base = replace(of_base, on_progress=self._told(sampling, 0))
        stream = self.base.stream(small[0], num_frames, future=small[1], **vars(of_base))
        return self._grown(stream, sides[0], sides[1], num_frames, sampling)

    def stream_enlarged(self, video: Tensor, options: SamplingOptions) -> Iterator[tuple[int, Tensor]]:
        """`enlarged_stream` through all stages."""
        options = self._options(options)
        num_videos, num_samples = len(video), options.num_samples
        if tuple(video.shape[2:]) != (self.channels, *self.base.size) or video.dtype != self.codec.dtype:
            wanted = (self.channels, *self.base.size)
            raise ValueError(f"this cascade makes frames of C, h, w = {wanted} larger, got {tuple(video.shape)}")
        small = video.repeat_interleave(num_samples, 0)
        return self._through(small, None, None, (num_videos, num_samples), options)

    def _grown(
        self,
        stream: Iterator[tuple[int, Tensor]],
        past: Tensor | None,
        future: Tensor | None,
        num_frames: int,
        options: SamplingOptions,
    ) -> Iterator[tuple[int, Tensor]]:
        """What the stages make of the base's blocks."""
        small, num_samples = torch.empty(0), options.num_samples
        for start, block in stream:
            frames = block if num_samples > 1 else block[:, None]
            if not small.numel():
                small = frames.new_empty(*frames.shape[:2], num_frames, *frames.shape[3:])
            small[:, :, start : start + frames.shape[2]] = frames
        yield from self._through(small.flatten(0, 1), past, future, small.shape[:2], options)

    def _through(
        self,
        small: Tensor,
        past: Tensor | None,
        future: Tensor | None,
        shape: Sequence[int],
        options: SamplingOptions,
    ) -> Iterator[tuple[int, Tensor]]:
        """Small frames (B * K, T, C, h, w) through all stages; ``shape`` is B, K."""
        num_videos, num_samples = shape
        samples = range(options.first_sample, options.first_sample + num_samples)
        seeds = [keyed_seed(seed, sample) for seed in seeds_of(options, num_videos) for sample in samples]
        for number, stage in enumerate(self._stages(), start=1):
            is_last = number == len(self.stages)
            own = SamplingOptions(
                precision=options.precision,
                compile=options.compile,
                batch_size=options.batch_size,
                progress=options.progress,
                seed=[keyed_seed(seed, number) for seed in seeds],
                low_noise=self.low_noise[number - 1],
                rounded=options.rounded or not is_last,
                block_store=_within(options, f"stage-{number}"),
                on_progress=self._told(options, number),
            )
            blocks = _stage_stream(stage, small, past, future, num_samples, own)
            if is_last:
                for start, block in blocks:
                    frames = self._with_known(block.unflatten(0, (num_videos, num_samples)), start, options)
                    yield start, frames if num_samples > 1 else frames[:, 0]
                return
            larger = small.new_empty(*small.shape[:3], *stage.size)
            for start, frames in blocks:
                larger[:, start : start + frames.shape[1]] = frames
            small = larger

    def _with_known(self, frames: Tensor, start: int, options: SamplingOptions) -> Tensor:
        """Frames (B, K, n, C, H, W) from place ``start`` on, those that are known put in."""
        for place, known in (options.known or {}).items():
            if start <= place < start + frames.shape[2]:
                frame = as_tensor(known)
                if not options.rounded:
                    frame = self.codec.decode(self.codec.encode(frame), rounded=False)
                frames[:, :, place - start] = frame.to(frames)[:, None] if frame.ndim == 4 else frame.to(frames)
        return frames

    def _options(self, options: SamplingOptions) -> SamplingOptions:
        refused = [name for name in _REFUSED if getattr(options, name) is not None]
        if refused or options.low_noise:
            raise ValueError(
                f"a cascade does not take {', '.join(refused or ['low_noise'])}: its base does (cascade.base), and "
                "noise on small frames is chosen when it is made (Cascade(..., low_noise=))"
            )
        return options

    def _stages(self) -> list[VideoModel]:
        return [*self.stages]  # type: ignore[list-item]

    def _told(self, options: SamplingOptions, number: int) -> Callable[[float], None] | None:
        """Tells the share of the whole work, given that of one of its models; of pixels all cost the same."""
        told = options.on_progress
        if told is None:
            return None
        work = [float(model.size[0] * model.size[1]) for model in (self.base, *self._stages())]
        return lambda done: told((sum(work[:number]) + done * work[number]) / sum(work))

    # Keeping

    def _described(self) -> dict[str, Any]:
        stages = [stage.config for stage in self._stages()]
        return {CASCADE: {"base": self.base.config, "stages": stages, "low_noise": list(self.low_noise)}}

    def facts(self) -> ModelFacts:
        """Those of the base, at the size of the last stage."""
        facts = self.base.facts()
        sizes = " to ".join(f"{model.size[0]}x{model.size[1]}" for model in (self.base, *self._stages()))
        tasks = {name: reason or self._refusal(TASKS[name]) for name, reason in facts.tasks.items()}
        net, parameters = f"{facts.net} in a cascade, {sizes}", num_parameters(self)
        return replace(facts, size=self.size, parameters=parameters, net=net, tasks=tasks, codec=repr(self.codec))

    def _refusal(self, task: Task) -> str | None:
        """Why a stage cannot do its part of a task."""
        for number, stage in enumerate(self._stages(), start=1):
            shown = task.context_length(stage.block)
            reason = task_of(*shown).refusal(stage.block, stage.masking, *shown)
            if reason is not None:
                return f"stage {number}: {reason}"
        return None

    def save_pretrained(self, folder: str | Path, **about: Unpack[About]) -> None:
        """Export to a folder that `from_pretrained` opens: config.json and a card, and a folder for each model."""
        self._write(folder, Path(folder).name, about)

    def _write(self, folder: str | Path, name: str, about: About) -> None:
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FileExistsError(f"{folder} is not empty: choose another folder, nothing was written")
        names = ["base", *(f"stage-{number}" for number in range(1, len(self.stages) + 1))]
        config = {CASCADE: {"base": names[0], "stages": names[1:], "low_noise": list(self.low_noise)}}
        with atomic_write(folder) as part:
            part.mkdir()
            (part / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
            (part / CARD).write_text(model_card(self.facts(), name, about), encoding="utf-8")
            for each, model in zip(names, (self.base, *self._stages()), strict=True):
                model.save_pretrained(part / each)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        trust: Trust = False,
        size: int | Sequence[int] | None = None,
    ) -> Self:
        """Open a cascade that was saved; see `mcvd.load`.

        Raises:
            ValueError: what is there is no cascade, its models do not fit, or cannot have frames of this size.
        """
        stored = read_cascade(source, revision)
        models: list[VideoModel] = []
        for folder in reversed(stored.folders):  # the last stage has the size, what is before it the one that it needs
            models.insert(0, VideoModel.from_pretrained(folder, trust=trust, size=size))
            size = None if size is None else models[0].low_size
        try:
            return cls(*models, low_noise=stored.low_noise)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error


def _check(base: VideoModel, stages: Sequence[VideoModel], low_noise: Sequence[float]) -> None:
    if not stages:
        raise ValueError("a cascade has a base and one stage or more")
    if len(low_noise) != len(stages):
        raise ValueError(f"low_noise is a number for each of the {len(stages)} stages, got {len(low_noise)}")
    if base.super_resolution is not None:
        raise ValueError("the base of a cascade makes frames, and this model makes given ones larger: it is a stage")
    before = base
    for number, (stage, noise) in enumerate(zip(stages, low_noise, strict=True), start=1):
        options = stage.super_resolution
        if options is None:
            raise ValueError(f"stage {number} makes no frames larger: it was trained without super_resolution")
        if stage.low_size != before.size or stage.channels != before.channels:
            raise ValueError(
                f"stage {number} makes {_form(stage.low_size, stage.channels)} larger, and what comes before it makes "
                f"{_form(before.size, before.channels)}"
            )
        if stage.codec.dtype != before.codec.dtype or stage.codec.unit != before.codec.unit:
            raise ValueError(f"stage {number} works on {stage.codec!r}, what comes before it on {before.codec!r}")
        if not 0 <= noise <= options.noise:
            raise ValueError(f"low_noise {noise:g}: stage {number} was trained with levels from 0 to {options.noise:g}")
        before = stage


def _form(size: tuple[int, int] | None, channels: int) -> str:
    assert size is not None
    return f"frames of {size[0]}x{size[1]}x{channels}"


def _within(options: SamplingOptions, name: str) -> BlockStore | None:
    """A store of its own for one of the models."""
    return None if options.block_store is None else options.block_store.within(name)


def _stage_stream(
    stage: VideoModel,
    small: Tensor,
    past: Tensor | None,
    future: Tensor | None,
    num_samples: int,
    options: SamplingOptions,
) -> Iterator[tuple[int, Tensor]]:
    """Blocks of a stage; given frames, at the size of the whole, are shown where it has slots for all of them."""

    def shown(side: Tensor | None, slots: int, is_past: bool) -> Tensor:
        if side is None or not slots or side.shape[1] < slots:
            return torch.empty(len(small), 0, stage.channels, *stage.size, dtype=small.dtype)
        near = side[:, -slots:] if is_past else side[:, :slots]
        return reduced(near, stage.size).repeat_interleave(num_samples, 0)

    before, after = shown(past, stage.block.past, True), shown(future, stage.block.future, False)
    return stage.stream(before, small.shape[1], future=after, **vars(replace(options, low=small)))
