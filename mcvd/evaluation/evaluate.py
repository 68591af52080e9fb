"""Samples of a model for held-out clips, scored against the ground truth beside what they must beat."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from mcvd.diffusion.tasks import task_by_name, task_of
from mcvd.evaluation.baselines import BASELINES, Baseline, generate_baselines
from mcvd.evaluation.batch import Accumulator, SampledBatch
from mcvd.evaluation.clips import ClipBatches
from mcvd.evaluation.ensemble import EnsembleEvaluation
from mcvd.evaluation.ensemble_scores import SAMPLES, TRUTH
from mcvd.evaluation.row import Row
from mcvd.evaluation.scores import Diversity, Scores
from mcvd.evaluation.statistics import best_of_samples, per_clip, summarize
from mcvd.frames import pixels_from_unit
from mcvd.metrics.frame_metrics import PSNR, SSIM, FrameMetric
from mcvd.metrics.frames import mean_of_samples, mean_squared_error, squared_distance_of_samples
from mcvd.metrics.values import MAE, RMSE
from mcvd.models.video_model import VideoModel
from mcvd.runtime.distributed import all_gather, rank, world_size
from mcvd.runtime.numbers import check_finite
from mcvd.runtime.progress import progress_bar
from mcvd.runtime.rng import check_seed
from mcvd.samplers import AbstractSampler


def evaluate(
    model: VideoModel,
    clips: Tensor | Iterable[Tensor | tuple[Tensor, Tensor]],
    task: str = "predict",
    *,
    num_frames: int | None = None,
    num_samples: int = 10,
    sampler: AbstractSampler | None = None,
    guidance: float = 1.0,
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
    metrics: Sequence[FrameMetric] | None = None,
    accumulators: Sequence[Accumulator] = (),
    thresholds: Sequence[float] | None = None,
    baselines: Mapping[str, Baseline] = MappingProxyType({}),
    **sampling: Any,
) -> Scores:
    """Let a model sample the frames that it is not given, and score them and simple baselines against the ground truth.

    Args:
        model: gives ``block``, ``codec``, ``sampler_for``, ``predict`` and ``interpolate``.
        clips: (N, T, C, H, W) as the model takes them, uint8 or float with NaN where missing, or batches of them, read
            one after the other, such as `ClipBatches`. Each begins with ``block.past`` frames of context (none for
            "backward"), then come those to be generated, then ``block.future`` frames of context (none for
            "predict"); what follows is not used. For a model that is told signals, batches may be pairs of clips and
            signals, float (N, T, A) of the same frames.
        task: "predict" (from the past), "backward" (from the future), "interpolate" (from both) or "generate" (from
            nothing: no frame has a ground truth then, ``metrics`` and ``rows`` are empty).
        num_frames: how many frames to generate; None is as many as the clips hold.
        num_samples: K samples of each clip.
        sampler: of `mcvd.samplers`; None is the model's for the task, `MCVD.sampler_for`.
        guidance: see `Denoiser.bind`.
        seed: the same seed gives the same scores, whatever the batches.
        batch_size: samples generated at once at most, to bound memory.
        progress: show a progress bar on a terminal or in a notebook.
        metrics: of `mcvd.metrics.frame_metrics`, `mcvd.metrics.lpips` and `mcvd.metrics.published`; for a model with a
            scale of `mcvd.metrics.values`. None: PSNR and SSIM, or MAE and RMSE.
        accumulators: get each batch of this process, such as `SampleDistance`. Nothing else keeps videos: the memory
            needed does not depend on the number of clips.
        thresholds: that a value reaches one of these is an event, whose forecasts are scored; in the unit of the data.
            None: those of the model's codec, of pixels 64, 128 and 192.
        baselines: more of them by name, beside those of the task, such as `mcvd.evaluation.advection.Advection`.
        sampling: further options of the model's verbs, such as ``overlap``; see `SamplingOptions`.

    Where `torch.distributed` runs, each process scores its share of the batches, and all return the same result.

    Raises:
        ValueError: the clips are too short or not videos, or the model cannot do the task.
        NumbersError: the model generated, or a metric gave, what is not finite.

    Example::

        data = VideoClips(root="videos", num_frames=22, size=64)     # 2 frames of context, 20 to be generated
        scores = evaluate(mcvd.load("runs/drive"), collect_clips(data, 64))
        scores.rows["copy_last"].scores["psnr"].mean, scores.rows["one_sample"].scores["psnr"].mean
    """
    if min(num_samples, batch_size) < 1:
        raise ValueError(f"num_samples and batch_size must be 1 or more, got {num_samples} and {batch_size}")
    asked = task_by_name(task)
    sampler = sampler or model.sampler_for(asked)
    num_past, num_future = asked.context_length(model.block)
    if task_of(num_past, num_future) != asked:
        raise ValueError(f"this model cannot {task}: {model.block} has no frames on a side that is given")
    codec, is_values = model.codec, model.codec.dtype.is_floating_point
    if metrics is None:
        metrics = (MAE, RMSE) if is_values else (PSNR, SSIM)
    metrics = metrics if asked.has_context else ()
    options = {"num_samples": num_samples, "sampler": sampler, "guidance": guidance, "batch_size": batch_size}
    options |= sampling
    if not is_values and not all(metric.rounded for metric in metrics):
        options["rounded"] = False
    check_seed(seed)
    thresholds = sorted({float(level) for level in (codec.thresholds if thresholds is None else thresholds)})
    if not all(map(isfinite, thresholds)):
        raise ValueError(f"thresholds must be finite numbers, got {thresholds}")
    seeds = random.Random(seed)
    ensemble: EnsembleEvaluation | None = None
    found: list[tuple[int, _BatchScores]] = []
    shape: tuple[int, ...] | None = None
    num_clips = 0
    for number, (batch, told) in enumerate(_batches(clips, codec.dtype, max(1, batch_size // num_samples), progress)):
        past, target, future = _split(batch, num_past, num_frames, num_future)
        if shape is not None and target.shape[1:] != shape:
            raise ValueError(f"all clips must have the same shape, got {tuple(target.shape[1:])} after {tuple(shape)}")
        shape, first = target.shape[1:], num_clips
        ensemble = ensemble or EnsembleEvaluation(num_samples, shape[0], thresholds, asked.has_context)
        num_clips += len(batch)
        own_seeds = [seeds.getrandbits(48) for _ in batch]
        if number % world_size() != rank():
            continue
        generated = _generate(model, past, future, shape[0], told, seed=own_seeds, progress=False, **options)
        if is_values:
            past, target, future, samples = (codec.known_values(each) for each in (past, target, future, generated))
            generated = samples
        else:
            samples = pixels_from_unit(generated) if generated.is_floating_point() else generated
        copies = generate_baselines(asked.baselines, past, future, shape[0], baselines)
        scores = _score(metrics, copies, generated, samples, target)
        of_clips = {m.name: per_clip(m.finish, scores.per_frame["one_sample", m.name]) for m in metrics}
        sampled = SampledBatch(first, past, target, future, samples, of_clips)
        found.append((number, replace(scores, ensemble=ensemble.update(sampled, copies))))
        for accumulator in accumulators:
            accumulator.update(sampled)
    if shape is None or ensemble is None:
        raise ValueError("there are no clips to evaluate on")
    parts = [part for _, part in sorted((each for share in all_gather(found) for each in share), key=lambda p: p[0])]
    titles = _titles(num_samples) | {name: baseline.title for name, baseline in baselines.items()}
    return Scores(
        task=task,
        num_clips=num_clips,
        num_past=num_past,
        num_frames=shape[0],
        num_future=num_future,
        size=(shape[2], shape[3]),
        num_samples=num_samples,
        sampler=repr(sampler),
        num_calls=sampler.num_calls,
        guidance=guidance,
        sampling=sampling,
        seed=seed,
        metrics={metric.name: metric.info for metric in metrics},
        rows=_rows(parts, metrics, titles),
        diversity=_diversity(parts),
        ensemble=ensemble.compute(_joined(part.ensemble for part in parts), titles, codec.unit or "units of the data"),
    )


@dataclass(frozen=True)
class _BatchScores:
    """What stays of a batch.

    Args:
        per_frame: by the names of row and metric what `FrameMetric.per_frame` gives, (B, K, T); K is the row's own.
        to_truth: mean squared error of the samples, (B,); None of values.
        between_samples: mean squared difference of two samples of a clip, (B,); None for K = 1, and of values.
        ensemble: by the names of row and metric what `EnsembleEvaluation.update` gives, (B, 1, T).
    """

    per_frame: dict[tuple[str, str], Tensor]
    to_truth: Tensor | None
    between_samples: Tensor | None
    ensemble: dict[tuple[str, str], Tensor] = field(default_factory=dict)


def _score(
    metrics: Sequence[FrameMetric], baselines: dict[str, Tensor], generated: Tensor, samples: Tensor, target: Tensor
) -> _BatchScores:
    """Scores of the baselines (B, T, C, H, W) and of the samples (B, K, T, C, H, W), as they came and rounded."""
    several = samples.shape[1] > 1
    videos = {}
    for is_rounded in {metric.rounded for metric in metrics}:
        form = samples if is_rounded else generated
        videos[is_rounded] = {name: video[:, None] for name, video in baselines.items()} | {"one_sample": form}
        if several:
            videos[is_rounded]["mean_of_K"] = mean_of_samples(form)[:, None]
    per_frame = {
        (row, metric.name): metric.per_frame(video, target[:, None])
        for metric in metrics
        for row, video in videos[metric.rounded].items()
    }
    if samples.is_floating_point():  # where nothing of a frame is known its score is NaN
        return _BatchScores(per_frame, None, None)
    check_finite({f"{metric} of {row}": value for (row, metric), value in per_frame.items()}, "scores")
    to_truth = mean_squared_error(samples, target[:, None]).mean((1, 2))
    return _BatchScores(per_frame, to_truth, squared_distance_of_samples(samples) if several else None)


def _rows(parts: list[_BatchScores], metrics: Sequence[FrameMetric], titles: Mapping[str, str]) -> dict[str, Row]:
    per_frame = _joined(part.per_frame for part in parts)
    if any(row == "mean_of_K" for row, _ in per_frame):
        per_frame |= {
            ("best_of_K", metric.name): best_of_samples(metric, per_frame["one_sample", metric.name])
            for metric in metrics
        }
    return {
        name: Row(titles[name], scores, ranked=name != "best_of_K")
        for name, scores in summarize(per_frame, {metric.name: metric.finish for metric in metrics}).items()
    }


def _titles(num_samples: int) -> dict[str, str]:
    """Of all rows, for people."""
    return {name: baseline.title for name, baseline in BASELINES.items()} | {
        "one_sample": "model, one sample",
        "mean_of_K": f"model, mean of {num_samples}",
        "best_of_K": f"model, best of {num_samples}",
        SAMPLES: "model, one sample" if num_samples == 1 else f"model, {num_samples} samples",
        TRUTH: "ground truth",
    }


def _joined(parts: Iterable[dict[tuple[str, str], Tensor]]) -> dict[tuple[str, str], Tensor]:
    """The values of all batches, by the names of row and metric."""
    found = list(parts)
    return {key: torch.cat([part[key] for part in found]) for key in found[0]}


def _diversity(parts: list[_BatchScores]) -> Diversity | None:
    between = [part.between_samples for part in parts if part.between_samples is not None]
    to_truth = [part.to_truth for part in parts if part.to_truth is not None]
    return Diversity(_grey_levels(between), _grey_levels(to_truth)) if between else None


def _grey_levels(mse: list[Tensor]) -> float:
    return 255 * torch.cat(mse).mean().sqrt().item()


def _batches(
    clips: Tensor | Iterable[Tensor | tuple[Tensor, Tensor]], dtype: torch.dtype, size: int, progress: bool
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The clips again, of a model's dtype, with their signals, no more than ``size`` at a time."""
    total = clips.num_clips if isinstance(clips, ClipBatches) else len(clips) if isinstance(clips, Tensor) else None
    with progress_bar(total, "clips", progress) as bar:
        for each in [clips] if isinstance(clips, Tensor) else clips:
            batch, signals = each if isinstance(each, tuple) else (each, None)
            if batch.ndim != 5 or (batch.dtype != dtype and not dtype.is_floating_point):
                kind = str(dtype).removeprefix("torch.")
                raise ValueError(f"clips must be {kind} (N, T, C, H, W), got {batch.dtype} {tuple(batch.shape)}")
            told = [None] * len(batch) if signals is None else signals.split(size)
            for part, beside in zip(batch.to(dtype).split(size), told, strict=False):
                if len(part):
                    yield part, beside
                    bar.update(len(part))


def _split(clips: Tensor, num_past: int, num_frames: int | None, num_future: int) -> tuple[Tensor, Tensor, Tensor]:
    """Clips as (frames given before, ground truth of the samples, frames given after)."""
    length = clips.shape[1] - num_past - num_future if num_frames is None else num_frames
    if length < 1 or num_past + length + num_future > clips.shape[1]:
        raise ValueError(
            f"clips of {clips.shape[1]} frames do not hold {num_past} given before, "
            f"{'1 or more' if num_frames is None else num_frames} to be generated and {num_future} given after: "
            "use longer clips (num_frames of VideoData) or generate fewer frames"
        )
    return clips[:, : num_past + length + num_future].split([num_past, length, num_future], 1)


def _generate(
    model: VideoModel, past: Tensor, future: Tensor, num_frames: int, signals: Tensor | None, **options: Any
) -> Tensor:
    """The model's samples, (B, K, num_frames, C, H, W)."""
    if signals is not None:
        options["signals"] = signals[:, : past.shape[1] + num_frames + future.shape[1]]
    if not future.shape[1]:
        samples = model.predict(past, num_frames, **options)
    elif not past.shape[1]:
        samples = model.predict(future, num_frames, backward=True, **options)
    else:
        samples = model.interpolate(past, future, num_frames, **options)
    return samples if options["num_samples"] > 1 else samples[:, None]
