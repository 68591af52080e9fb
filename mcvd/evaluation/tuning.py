"""Which sampler does each task of a model in the fewest network calls and loses nothing: measured on held-out clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mcvd.data.video_clips import VideoClips
from mcvd.diffusion.tasks import TASKS, Task
from mcvd.evaluation.batch import Accumulator, SampledBatch
from mcvd.evaluation.evaluate import evaluate
from mcvd.evaluation.statistics import NUM_RESAMPLES
from mcvd.metrics.ensemble import crps, sharpness
from mcvd.metrics.frame_metrics import PSNR, SSIM
from mcvd.metrics.frames import squared_distance_of_samples
from mcvd.models.video_model import VideoModel
from mcvd.samplers import AbstractSampler, SASolver, UniPC
from mcvd.samplers.select import short_name

CANDIDATES: tuple[AbstractSampler, ...] = (
    *(SASolver(num_steps) for num_steps in (20, 14, 10, 7, 5)),
    *(UniPC(num_steps) for num_steps in (10, 7, 5, 4)),
)
MAX_LOSS = 0.02  # of CRPS and of SSIM, also where the interval would allow more
MIN_KEPT = 0.95  # of diversity and sharpness
LEAST_SIDE = 11  # of frames that have an SSIM

MEASURES = {
    "crps": "CRPS",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "psnr_mean": "PSNR of the mean",
    "diversity": "diversity",
    "sharpness": "sharpness",
}


@dataclass(frozen=True)
class Trial:
    """What a sampler achieves on some clips.

    Args:
        sampler: it.
        per_clip: for each measure a value for each clip: ``crps`` in grey levels (less is better; for "generate"
            against true videos at random), ``psnr`` in dB and ``ssim`` of one sample (not for "generate"),
            ``psnr_mean`` of the mean of all, ``diversity``, the mean squared difference of two samples, and
            ``sharpness``, the mean absolute difference of neighbouring pixels in grey levels.
    """

    sampler: AbstractSampler
    per_clip: Mapping[str, tuple[float, ...]]

    def mean(self, measure: str) -> float:
        """Over the clips; of diversity the root mean square, in grey levels."""
        return float(_finish(measure, np.array(self.per_clip[measure]).mean()))

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        means = {measure: self.mean(measure) for measure in self.per_clip}
        per_clip = {measure: list(values) for measure, values in self.per_clip.items()}
        return {"sampler": repr(self.sampler), "num_calls": self.sampler.num_calls, **means, "per_clip": per_clip}


class Change(NamedTuple):
    """How a mean differs from that of another sampler on the same clips, as a share of it, with its 95% interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:+.1f} ± {50 * (self.high - self.low):.1f}%"


@dataclass(frozen=True)
class TaskTuning:
    """What was found for a task.

    Args:
        task: its name.
        num_frames: generated in each clip.
        best: of least CRPS on the clips to choose on, which the others are compared with.
        chosen: the one of fewest calls that loses nothing.
        choosing: all that were tried, on the clips to choose on.
        reporting: chosen, best and the one before, on other clips.
    """

    task: str
    num_frames: int
    best: AbstractSampler
    chosen: AbstractSampler
    choosing: tuple[Trial, ...]
    reporting: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "num_frames": self.num_frames,
            "best": repr(self.best),
            "chosen": repr(self.chosen),
            "choosing": [trial.to_json() for trial in self.choosing],
            "reporting": [trial.to_json() for trial in self.reporting],
        }

    def table(self) -> list[str]:
        """The clips to report on, as a table of Markdown: the best in numbers, the others against it."""
        (best,) = (trial for trial in self.reporting if trial.sampler == self.best)
        measures = [*best.per_clip]
        lines = [
            f"| {TASKS[self.task].title} | calls | {' | '.join(MEASURES[each] for each in measures)} |",
            "|---" * (2 + len(measures)) + "|",
        ]
        for trial in self.reporting:
            cells = [
                f"{trial.mean(each):.4g}" if trial is best else str(change(trial, best, each)) for each in measures
            ]
            name = f"`{described(trial.sampler)}`{' (chosen)' if trial.sampler == self.chosen else ''}"
            lines.append(f"| {name} | {trial.sampler.num_calls} | {' | '.join(cells)} |")
        return lines


def tune(
    model: VideoModel,
    choosing: Tensor,
    reporting: Tensor,
    task: str,
    *,
    candidates: Sequence[AbstractSampler] = CANDIDATES,
    num_frames: int | None = None,
    num_samples: int = 4,
    seed: int = 0,
    batch_size: int = 32,
    on_trial: Callable[[Trial], object] = lambda trial: None,
    **sampling: Any,
) -> TaskTuning:
    """Try samplers on a task of a model, and choose one; see `choose`.

    Args:
        model: that can do the task.
        choosing: clips to choose on, uint8 (N, T, C, H, W): past, frames to be generated, future.
        reporting: others to report on.
        task: its name.
        candidates: the samplers, at the spacing of the model's own one, if it has one: where its network is of use is
            known then. The one in use before, the model's own or the default, is tried too, and the best of all without
            clipping: if that is better, all others as well.
        num_frames: generated in each clip; None is two blocks, in interpolation one.
        num_samples: K samples of each clip, 2 or more.
        seed: of the samples.
        batch_size: samples generated at once at most.
        on_trial: called with what each sampler achieves on the clips to choose on.
        sampling: further options of sampling, such as ``precision``.

    Raises:
        ValueError: there are too few samples to tell their spread, or `evaluate` refuses.
    """
    if num_samples < 2:
        raise ValueError(f"how samples spread is seen in 2 or more of a clip, got num_samples {num_samples}")
    asked = TASKS[task]
    num_frames = num_frames or frames_for(asked, model.block.current)
    options = {"num_samples": num_samples, "seed": seed, "batch_size": batch_size, "num_frames": num_frames, **sampling}
    before = model.sampler_for(asked)
    tried: list[Trial] = []

    def attempt(sampler: AbstractSampler) -> Trial:
        tried.append(try_sampler(model, choosing, task, sampler, **options))
        on_trial(tried[-1])
        return tried[-1]

    for sampler in dict.fromkeys([before, *_at_spacing_of(model.samplers.own(asked), candidates)]):
        attempt(sampler)
    best, _ = choose(tried)
    unclipped = _unclipped(tried)
    if unclipped and attempt(unclipped[0]).mean("crps") < best.mean("crps"):
        for sampler in unclipped[1:]:
            attempt(sampler)
    best, chosen = choose(tried)
    shown = dict.fromkeys([best.sampler, before, chosen.sampler])
    reported = tuple(try_sampler(model, reporting, task, sampler, **options) for sampler in shown)
    return TaskTuning(task, num_frames, best.sampler, chosen.sampler, tuple(tried), reported)


def described(sampler: AbstractSampler) -> str:
    """Its short name, and whether it leaves clean estimates unclipped."""
    return short_name(sampler) + (", not clipped" if not sampler.clip else "")


def _unclipped(tried: Sequence[Trial]) -> list[AbstractSampler]:
    """Samplers that were tried and clip, the best of them first, as ones that do not."""
    best_first = sorted(tried, key=lambda trial: trial.mean("crps"))
    found = [replace(trial.sampler, clip=False) for trial in best_first if trial.sampler.clip]  # type: ignore[type-var]
    return [sampler for sampler in found if sampler not in [trial.sampler for trial in tried]]


def _at_spacing_of(own: AbstractSampler | None, samplers: Sequence[AbstractSampler]) -> list[AbstractSampler]:
    """Samplers with the spacing of another one, where both have such."""
    spacing = getattr(own, "spacing", None)
    if spacing is None:
        return list(samplers)
    return [replace(each, spacing=spacing) if hasattr(each, "spacing") else each for each in samplers]  # type: ignore[type-var]


def frames_for(task: Task, current: int) -> int:
    """How many frames are generated in each clip: two blocks, so that the second sees generated ones; a gap has one."""
    return current if task.gives_past and task.gives_future else 2 * current


def choose(trials: Sequence[Trial]) -> tuple[Trial, Trial]:
    """The best of some samplers, and the one of fewest calls that loses nothing against it.

    The best has the least CRPS, a proper score: too little spread costs as too much does. Nothing is lost if CRPS and
    SSIM are no worse than within the 95% interval of the difference on the same clips, and at most `MAX_LOSS` worse,
    and diversity and sharpness are at least `MIN_KEPT` of the best's. Of equally many calls the lesser CRPS decides.

    Returns:
        (best, chosen).
    """
    best = min(trials, key=lambda trial: trial.mean("crps"))

    def loses_nothing(trial: Trial) -> bool:
        if trial is best:
            return True
        worse = [change(trial, best, "crps")]
        if "ssim" in best.per_clip:
            loss = change(trial, best, "ssim")
            worse.append(Change(-loss.mean, -loss.high, -loss.low))
        kept = [trial.mean(each) >= MIN_KEPT * best.mean(each) for each in ("diversity", "sharpness")]
        return all(each.low <= 0 and each.mean <= MAX_LOSS for each in worse) and all(kept)

    fitting = [trial for trial in trials if loses_nothing(trial)]
    return best, min(fitting, key=lambda trial: (trial.sampler.num_calls, trial.mean("crps")))


def change(trial: Trial, other: Trial, measure: str) -> Change:
    """How a measure changes from another sampler's to this one's; paired over clips, the interval by bootstrap."""
    own, before = (np.array(each.per_clip[measure]) for each in (trial, other))
    drawn = np.random.default_rng(0).integers(len(own), size=(NUM_RESAMPLES, len(own)))

    def share(new: np.ndarray, old: np.ndarray) -> np.ndarray:
        new, old = (_finish(measure, mean) for mean in (new, old))
        return (new - old) / np.where(old == 0, 1, np.abs(old))

    low, high = np.percentile(share(own[drawn].mean(1), before[drawn].mean(1)), [2.5, 97.5])
    return Change(float(share(own.mean(), before.mean())), float(low), float(high))


def clips_in_two(data: VideoClips, num_clips: int) -> tuple[Tensor, Tensor]:
    """Held-out clips to choose on and others to report on: of different videos, or of two halves of a single one.

    Args:
        data: set up for validation or not; its ``max_val_clips`` bounds both together.
        num_clips: of each, at most.

    Returns:
        uint8 (N, T, C, H, W), (M, T, C, H, W).

    Raises:
        ValueError: there are fewer than two clips for each.
    """
    data.setup()
    clips = data.val_clips
    videos = [clips.clips(number).video for number in range(len(clips))]
    place = {video: number for number, video in enumerate(dict.fromkeys(videos))}
    if len(place) > 1:
        second = [place[video] % 2 == 1 for video in videos]
    else:
        second = [2 * number >= len(videos) for number in range(len(videos))]
    sides = [[number for number, is_second in enumerate(second) if is_second == side] for side in (False, True)]
    if min(map(len, sides)) < 2:
        raise ValueError(
            f"{len(videos)} held-out clips of {len(place)} videos are too few: two are needed to choose on and two "
            "others to report on"
        )
    choosing, reporting = (
        torch.stack([clips[number]["video"] for number in _evenly(side, num_clips)]) for side in sides
    )
    return choosing, reporting


def _evenly(numbers: list[int], count: int) -> list[int]:
    """So many of them at most, evenly spread."""
    count = min(count, len(numbers))
    return [numbers[place * len(numbers) // count] for place in range(count)]


def try_sampler(
    model: VideoModel,
    clips: Tensor,
    task: str,
    sampler: AbstractSampler,
    accumulators: Sequence[Accumulator] = (),
    **options: Any,
) -> Trial:
    """What a sampler achieves on clips; ``accumulators`` and the options are those of `evaluate`."""
    metrics = (PSNR, SSIM) if min(model.size) >= LEAST_SIDE else (PSNR,)
    samples = _Samples()
    seen = [samples, *accumulators]
    scores = evaluate(model, clips, task, sampler=sampler, metrics=metrics, accumulators=seen, **options)
    of_frames = (
        {name: score.per_clip for name, score in scores.rows["one_sample"].scores.items()} if scores.rows else {}
    )
    if "mean_of_K" in scores.rows:
        of_frames["psnr_mean"] = scores.rows["mean_of_K"].scores["psnr"].per_clip
    crps, *others = samples.per_clip.items()
    return Trial(sampler, dict([crps, *of_frames.items(), *others]))


class _Samples:
    """An `mcvd.evaluation.batch.Accumulator` of what is measured of the samples of each clip."""

    def __init__(self) -> None:
        self.per_clip: dict[str, tuple[float, ...]] = {"crps": (), "diversity": (), "sharpness": ()}

    def update(self, batch: SampledBatch) -> None:
        samples = batch.samples.cpu()
        found = {
            "crps": crps(samples, batch.target.cpu()).mean(-1),
            "diversity": squared_distance_of_samples(samples),
            "sharpness": sharpness(samples).mean((1, 2)),
        }
        for measure, values in found.items():
            self.per_clip[measure] += tuple(values.tolist())


def _finish(measure: str, means: Any) -> Any:
    """From means over clips to what is shown."""
    return 255 * np.sqrt(means) if measure == "diversity" else means
