"""What clipping the clean estimate of every call costs, and what a student could be at best.

    python tools/studies/clipped_estimates.py MODEL configs/strokes.yaml --clips 32
    python tools/studies/clipped_estimates.py box films/heldout --clips 2 --samplers UniPC:6 --calls 4

MODEL and the clips are as in `few_calls.py`. Each sampler runs twice, with clean estimates clipped to the range of
pixels and without; then a student of so many calls that answers every target of its training exactly, whose steps the
model walks in so many parts, so that nothing but the targets is to blame for what it lacks. The first row holds
numbers; every other is the change against it, paired over clips, with a 95% interval. The last column is the mean grey
level of the samples less that of the true frames.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from few_calls import clips_of_films, clips_of_recipe, opened
from torch import Tensor

from mcvd.data import ClipSpec
from mcvd.diffusion.distillation import Distillation
from mcvd.diffusion.tasks import task_by_name
from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.tuning import MEASURES, Trial, change, try_sampler
from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers import DDIM, LogSNR
from mcvd.samplers.base import AbstractSampler, Denoise, Draw, clipped
from mcvd.samplers.select import sampler_by_name


class Exact:
    """A student that answers its targets exactly: what `DDIM` asks, for one condition."""

    def __init__(self, distillation: Distillation, teacher: Denoise, schedule: AbstractNoiseSchedule):
        self.distillation, self.teacher, self.schedule = distillation, teacher, schedule
        sampler = distillation.sampler
        self.grid = sampler.spacing.divided(sampler.num_steps, distillation.parts, schedule)

    def __call__(self, noisy: Tensor, t: Tensor) -> Tensor:
        """The target at the time of a step of the student, the same for all."""
        step = (self.grid[:, 0] - t[0].double()).abs().argmin()
        times = self.grid[step].expand(len(noisy), -1)
        return self.distillation.target(noisy, times, self.teacher, self.teacher, self.schedule)

    def clip(self, clean: Tensor) -> Tensor:
        """As the teacher's."""
        return clipped(clean, self.teacher)


@dataclass(frozen=True)
class ExactStudent(AbstractSampler):
    """Samples from a teacher as its student would that answers every target exactly."""

    distillation: Distillation
    clip: bool = True
    order = 1

    @property
    def num_calls(self) -> int:
        """Of the student."""
        return self.distillation.sampler.num_steps

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`."""
        return self.distillation.sampler(Exact(self.distillation, denoise, schedule), noise, schedule, draw)


class Brightness:
    """An accumulator of `evaluate`: the mean of the samples less that of the true frames, in grey levels."""

    def __init__(self) -> None:
        self.differences: list[float] = []

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch."""
        samples, target = (each.cpu().float().flatten(1).mean(1) for each in (batch.samples, batch.target))
        self.differences += (samples - target).tolist()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("clips_from", type=Path, metavar="FILMS|YAML")
    parser.add_argument("--clips", type=int, default=32, help="of each kind of film, or of a validation set")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--task", default="predict")
    parser.add_argument("--samplers", nargs="*", metavar="NAME:CALLS")
    parser.add_argument("--calls", type=int, default=4, help="of the exact student")
    parser.add_argument("--parts", type=int, default=5)
    options = parser.parse_args()
    names = options.samplers
    if names is None:
        names = ["SASolver:20", "SASolver:7", "UniPC:20", "UniPC:10", "UniPC:4", "DDIM:16", "DDIM:60"]
    model, task = opened(options.model), task_by_name(options.task)
    length = model.block.past + options.frames + model.block.future
    if options.clips_from.is_file():
        clips = clips_of_recipe(options.clips_from, model, length, options.clips)
    else:
        clips = clips_of_films(options.clips_from, ClipSpec(length, model.size, 3), options.clips)
    clips = clips[:, 0 if task.gives_past else model.block.past :]
    spacing = getattr(model.sampler_for(task), "spacing", LogSNR())
    wanted: dict[str, AbstractSampler] = {}
    for clip in (True, False):
        words = "clipped" if clip else "not clipped"
        for name in names:
            wanted[f"`{name}`, {words}"] = replace(sampler_by_name(name), clip=clip, spacing=spacing)  # type: ignore[call-arg]
        for order in (1, 2):
            walk = Distillation(DDIM(options.calls, clip=clip, spacing=spacing), options.parts, order=order)
            wanted[f"exact student, order {order}, {words}"] = ExactStudent(walk, clip)
    first: Trial | None = None
    for title, sampler in wanted.items():
        brightness = Brightness()
        trial = try_sampler(
            model,
            clips,
            options.task,
            sampler,
            num_samples=options.samples,
            num_frames=options.frames,
            batch_size=64,
            accumulators=[brightness],
        )
        if first is None:
            first = trial
            measures = " | ".join(MEASURES[each] for each in trial.per_clip)
            print(f"| {options.task}, {len(clips)} clips | {measures} | brightness |")
            print("|---" * (2 + len(trial.per_clip)) + "|")
        cells = [
            f"{trial.mean(each):.4g}" if trial is first else str(change(trial, first, each)) for each in trial.per_clip
        ]
        print(f"| {title} | {' | '.join(cells)} | {torch.tensor(brightness.differences).mean():+.2f} |", flush=True)


if __name__ == "__main__":
    main()
