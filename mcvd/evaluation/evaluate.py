"""Scores of a model on held-out clips, beside those of what it must beat."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, distributed

from mcvd.evaluation.baselines import blend, copy_first, copy_last, extrapolate
from mcvd.evaluation.statistics import _best, _grey_levels, _summaries
from mcvd.evaluation.wording import describe_conditions, row_title
from mcvd.frames import pixels_from_unit
from mcvd.metrics.frame_metrics import PSNR, SSIM, FrameMetric
from mcvd.metrics.frames import mean_of_samples, mean_squared_error, squared_distance_of_samples
from mcvd.models.mcvd import MCVD
from mcvd.runtime.distributed import all_gather, rank
from mcvd.runtime.progress import progress_bar
from mcvd.samplers import AbstractSampler
from mcvd.samplers.select import default_sampler

Task = Literal["predict", "backward", "interpolate", "generate"]


def evaluate(
    model: MCVD,
    clips: Tensor | Iterable[Tensor],
    task: Task = "predict",
    *,
    num_frames: int | None = None,
    num_samples: int = 10,
    sampler: AbstractSampler | None = None,
    guidance: float = 1.0,
    seed: int = 0,
    batch_size: int = 32,
    progress: bool = False,
    metrics: Sequence[FrameMetric] = (PSNR, SSIM),
    watch: Callable[[Tensor, Tensor, Tensor, Tensor, int], None] | None = None,
    **sampling: Any,
) -> dict[str, Any]:
    """Let a model make what is known, and score it and simple baselines against the truth.

    Args:
        model: gives ``block``, ``predict`` and ``interpolate``.
        clips: uint8 (N, T, C, H, W), or batches of them; `collect_clips` takes them from a `VideoData`. Each
            begins with ``block.past`` given frames (none for "backward"), then come those to be made, then
            ``block.future`` given frames (none for "predict"); what follows is not used.
        task: "predict" (from the past), "backward" (from the future), "interpolate" (from both) or "generate" (from
            nothing: no frame has a truth then, ``metrics`` and ``rows`` are empty).
        num_frames: how many frames to make; None is as many as the clips hold.
        num_samples: K videos made for each clip.
        sampler: of `mcvd.samplers`; None is `mcvd.samplers.select.default_sampler`'s.
        guidance: see `Denoiser.bind`.
        seed: the same seed gives the same scores, whatever the batches.
        batch_size: videos made at once at most, to bound memory.
        progress: show a progress bar on a terminal or in a notebook.
        metrics: of `mcvd.metrics.frame_metrics`, `mcvd.metrics.lpips` and `mcvd.metrics.published`.
        watch: called with each batch: given before, samples uint8 (B, K, T, C, H, W), truth, given after, and the
            number of its first clip.
        sampling: what else the model's verbs take, such as ``overlap``; see `SamplingOptions`.

    Where `torch.distributed` runs, each process scores its share of the batches, and all return the same result.

    Returns:
        What JSON can hold. The conditions: ``task``, ``num_clips``, ``num_past``, ``num_frames``, ``num_future``,
        ``size``, ``num_samples``, ``sampler``, ``num_calls`` (of the network, for each block), ``guidance``,
        ``sampling``, ``seed``.
        ``metrics``: what a reader has to know of each, `FrameMetric.describe`.
        ``rows``: for each of the baselines of the task (``copy_last``, ``copy_first``, ``extrapolate``, ``blend``) and
        of the model

        - ``one_sample``: what a single sample scores on average,
        - ``mean_of_K``: the score of the average of the K videos,
        - ``best_of_K``: of the best of the K, chosen for each clip and metric with the truth in hand, so it rises with
          K. Published results are usually this one.

        each metric by its name, such as ``psnr``, a mean over clips, with its 95% bootstrap interval over clips
        (``psnr_interval``; None for a single clip), its value for each (``psnr_per_clip``) and
        its course over the made frames (``psnr_per_frame``).
        For K > 1 ``diversity``: root mean square differences in grey levels ``between_samples`` and from sample
        ``to_truth`` (for "generate", some true video); they are equal for a model whose samples are spread as the
        truth is.

    Raises:
        ValueError: the clips are too short or not videos, or the model cannot do the task.

    Example::

        data = VideoData(root="videos", num_frames=22, size=64)     # 2 given, 20 to be made
        scores = evaluate(mcvd.load("runs/drive"), collect_clips(data, 64))
        scores["rows"]["copy_last"]["psnr"], scores["rows"]["one_sample"]["psnr"]
    """
    if min(num_samples, batch_size) < 1:
        raise ValueError(f"num_samples and batch_size must be 1 or more, got {num_samples} and {batch_size}")
    sampler = sampler or default_sampler(from_nothing=task == "generate")
    num_past, num_future = _num_given(model, task)
    has_truth = task != "generate"
    metrics = metrics if has_truth else ()
    options = {"num_samples": num_samples, "sampler": sampler, "guidance": guidance, "batch_size": batch_size}
    options |= sampling
    if not all(metric.rounded for metric in metrics):
        options["rounded"] = False
    seeds = random.Random(seed)
    found: list[tuple[int, dict[str, dict[str, Tensor]], dict[str, Tensor]]] = []
    num_processes = distributed.get_world_size() if distributed.is_initialized() else 1
    shape: tuple[int, ...] | None = None
    num_seen = 0
    for number, batch in enumerate(_batches(clips, max(1, batch_size // num_samples), progress)):
        past, truth, future = _cut(batch, num_past, num_frames, num_future)
        if shape is not None and truth.shape[1:] != shape:
            raise ValueError(f"all clips must have the same shape, got {tuple(truth.shape[1:])} after {tuple(shape)}")
        shape, num_seen = truth.shape[1:], num_seen + len(batch)
        own_seeds = [seeds.getrandbits(48) for _ in batch]
        if number % num_processes != rank():
            continue
        made = _make(model, past, future, shape[0], seed=own_seeds, progress=False, **options)
        samples = pixels_from_unit(made) if made.is_floating_point() else made
        if watch:
            watch(past, samples, truth, future, num_seen - len(batch))
        baselines = _baselines(past, future, shape[0]) if has_truth else {}
        forms = {is_rounded: samples if is_rounded else made for is_rounded in {metric.rounded for metric in metrics}}
        videos = {is_rounded: baselines | _of_model(form) for is_rounded, form in forms.items()}
        parts = {
            row: {metric.name: metric.per_frame(videos[metric.rounded][row], truth[:, None]) for metric in metrics}
            for row in next(iter(videos.values()), {})
        }
        spread = {"to_truth": mean_squared_error(samples, truth[:, None]).mean((1, 2))}
        if num_samples > 1:
            spread["between_samples"] = squared_distance_of_samples(samples)
        found.append((number, parts, spread))
    if shape is None:
        raise ValueError("there are no clips to evaluate on")
    found = sorted((batch for share in all_gather(found) for batch in share), key=lambda batch: batch[0])
    rows = {
        name: {metric.name: torch.cat([parts[name][metric.name] for _, parts, _ in found]) for metric in metrics}
        for name in found[0][1]
    }
    if has_truth and num_samples > 1:
        rows["best_of_K"] = {metric.name: _best(metric, rows["one_sample"][metric.name]) for metric in metrics}
    scores: dict[str, Any] = {
        "task": task,
        "num_clips": sum(len(spread["to_truth"]) for *_, spread in found),
        "num_past": num_past,
        "num_frames": shape[0],
        "num_future": num_future,
        "size": list(shape[2:]),
        "num_samples": num_samples,
        "sampler": repr(sampler),
        "num_calls": sampler.num_calls,
        "guidance": guidance,
        "sampling": sampling,
        "seed": seed,
        "metrics": {metric.name: metric.describe() for metric in metrics},
        "rows": _summaries(rows, metrics) if has_truth else {},
    }
    scores["sentence"] = describe_conditions(scores)
    for name, row in scores["rows"].items():
        row["title"] = row_title(name, scores)
    if num_samples > 1:
        names = ("between_samples", "to_truth")
        scores["diversity"] = {name: _grey_levels([spread[name] for *_, spread in found]) for name in names}
    return scores


def _of_model(samples: Tensor) -> dict[str, Tensor]:
    """What is scored of the model's videos (B, K, T, C, H, W)."""
    if samples.shape[1] == 1:
        return {"one_sample": samples}
    return {"one_sample": samples, "mean_of_K": mean_of_samples(samples)[:, None]}


def _num_given(model: MCVD, task: Task) -> tuple[int, int]:
    """How many frames before and after are given."""
    past, future = model.block.past, model.block.future
    tasks = {
        "predict": (past, None),
        "backward": (None, future),
        "interpolate": (past, future),
        "generate": (None, None),
    }
    if task not in tasks:
        raise ValueError(f"task must be one of {', '.join(tasks)}, got {task!r}")
    if 0 in tasks[task]:
        raise ValueError(f"this model cannot {task}: {model.block} has no frames on a side that is given")
    return tasks[task][0] or 0, tasks[task][1] or 0


def _batches(clips: Tensor | Iterable[Tensor], size: int, progress: bool) -> Iterator[Tensor]:
    """The clips again, no more than ``size`` at a time."""
    total = len(clips) if isinstance(clips, Tensor) else None
    with progress_bar(total, "clips", progress) as bar:
        for batch in [clips] if isinstance(clips, Tensor) else clips:
            if batch.ndim != 5 or batch.dtype != torch.uint8:
                raise ValueError(f"clips must be uint8 (N, T, C, H, W), got {batch.dtype} {tuple(batch.shape)}")
            for part in batch.split(size):
                if len(part):
                    yield part
                    bar.update(len(part))


def _cut(clips: Tensor, num_past: int, num_frames: int | None, num_future: int) -> tuple[Tensor, Tensor, Tensor]:
    """Clips as (given before, truth of what is made, given after)."""
    num_made = clips.shape[1] - num_past - num_future if num_frames is None else num_frames
    if num_made < 1 or num_past + num_made + num_future > clips.shape[1]:
        raise ValueError(
            f"clips of {clips.shape[1]} frames do not hold {num_past} given before, "
            f"{'1 or more' if num_frames is None else num_frames} to be made and {num_future} given after: "
            "use longer clips (num_frames of VideoData) or make fewer frames"
        )
    return clips[:, : num_past + num_made + num_future].split([num_past, num_made, num_future], 1)


def _make(model: MCVD, past: Tensor, future: Tensor, num_frames: int, **options: Any) -> Tensor:
    """The model's videos, (B, K, num_frames, C, H, W)."""
    if not future.shape[1]:
        samples = model.predict(past, num_frames, **options)
    elif not past.shape[1]:
        samples = model.predict(future, num_frames, backward=True, **options)
    else:
        samples = model.interpolate(past, future, num_frames, **options)
    return samples if options["num_samples"] > 1 else samples[:, None]


def _baselines(past: Tensor, future: Tensor, num_frames: int) -> dict[str, Tensor]:
    """What needs no model, (B, 1, num_frames, C, H, W) each."""
    made = {}
    if past.shape[1]:
        made["copy_last"] = copy_last(past, num_frames)
    else:
        made["copy_first"] = copy_first(future, num_frames)
    if past.shape[1] and future.shape[1]:
        made["blend"] = blend(past, future, num_frames)
    elif past.shape[1] > 1:
        made["extrapolate"] = extrapolate(past, num_frames)
    elif future.shape[1] > 1:
        made["extrapolate"] = extrapolate(future.flip(1), num_frames).flip(1)
    return {name: video[:, None] for name, video in made.items()}
