"""How much quality few network calls cost: a model at its own samplers, at fewer calls, and its students.

    python tools/studies/few_calls.py MODEL films/heldout --others unipc=FOLDER four=FOLDER --out scores.json
    python tools/studies/few_calls.py MODEL configs/strokes.yaml --clips 48 --samples 10 --seeds 0 1 2 --out scores.json

MODEL is anything that `mcvd.load` takes, or "box" for the bundled one; the clips are those of a folder of films, one
folder for each kind, or the validation set of a data.yaml or a training's config. MODEL is measured with its own
samplers, whose numbers the first row holds; every other row is the change against these, paired over clips, with a 95%
interval: each of the other models with its own samplers, and MODEL with UniPC at so many calls, at its own sampler's
spacing. Scores of a clip are means over the seeds of the noise.

The last column is `mcvd.metrics.random_i3d_distance`, of frames as they are and of a few samples of each clip: the mean
of the seeds, and how far they lie apart. A clip of fewer than 10 frames stands still at its end, true or generated.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import mcvd
from mcvd.data import ClipDataset, ClipSpec, MemmapVideos
from mcvd.data.clips.sampling import EvenClips
from mcvd.data.clips.spec import find_clips
from mcvd.data.recipe import data_from_recipe
from mcvd.diffusion.tasks import task_by_name
from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.tuning import MEASURES, Trial, change, try_sampler
from mcvd.metrics.fvd import FrechetVideoDistance
from mcvd.metrics.i3d import random_i3d
from mcvd.metrics.preprocessing import MIN_FRAMES
from mcvd.models.load import BOX
from mcvd.samplers import AbstractSampler, UniPC

JUDGED = 2  # samples of each clip whose features are compared
LEAST_SIDE = 32  # of the frames that the network of the distance sees: else it is that of the frames


def clips_of_films(films: Path, spec: ClipSpec, num_clips: int) -> torch.Tensor:
    """So many of each kind, evenly spread, uint8 (N, T, C, H, W)."""
    found = []
    for folder in sorted(path for path in films.iterdir() if path.is_dir()):
        videos = MemmapVideos(folder)
        dataset = ClipDataset(videos, spec, EvenClips(find_clips(videos, spec), num_clips))
        found += [dataset[i]["video"] for i in range(len(dataset))]
    return torch.stack(found)


def clips_of_recipe(recipe: Path, model: mcvd.models.VideoModel, num_frames: int, num_clips: int) -> torch.Tensor:
    """So many of the validation set, evenly spread, uint8 (N, T, C, H, W)."""
    of_model = {"size": model.size, "channels": model.channels, "frame_rate_hz": model.frame_rate_hz}
    data = data_from_recipe(recipe, **of_model, num_frames=num_frames, max_val_clips=num_clips)
    data.setup()
    return torch.stack([data.val_clips[i]["video"] for i in range(len(data.val_clips))])


def opened(name: str) -> mcvd.models.VideoModel:
    """A model, or "box"."""
    return mcvd.load(BOX if name == "box" else name)


class Judged:
    """An accumulator of `evaluate`: the distance of a few samples of each clip from the true ones.

    Args:
        side: of the frames that the network sees.
        of_same_clips: knows the true side already.
    """

    def __init__(self, side: int, of_same_clips: "Judged | None" = None) -> None:
        self.metric = FrechetVideoDistance(random_i3d(0), size=side, keep_features=False)
        self.knows_truth = of_same_clips is not None
        if of_same_clips is not None:
            self.metric.real_sums = of_same_clips.metric.real_sums

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch; short clips stand still at their end."""
        sides = [(batch.fake()[:, :JUDGED].flatten(0, 1), False)]
        if not self.knows_truth:
            sides.append((batch.real(), True))
        for videos, is_real in sides:
            missing = max(0, MIN_FRAMES - videos.shape[1])
            held = videos[:, -1:].expand(-1, missing, *videos.shape[2:])
            self.metric.update(torch.cat([videos, held], 1), real=is_real)


def measure(
    model: mcvd.models.VideoModel,
    clips: torch.Tensor,
    task: str,
    sampler: AbstractSampler,
    seeds: list[int],
    judged: Judged | None,
    **sampling: int,
) -> tuple[Trial, list[float], Judged | None]:
    """What a sampler achieves, mean over seeds, the distance of each seed, and what knows the true clips."""
    trials, distances = [], []
    for seed in seeds:
        judged = Judged(max(LEAST_SIDE, *model.size), judged)
        options = {"seed": seed, "batch_size": 64, "accumulators": [judged], **sampling}
        trials.append(try_sampler(model, clips, task, sampler, **options))
        distances.append(float(judged.metric.compute()))
    per_clip = {
        name: tuple(np.mean([trial.per_clip[name] for trial in trials], 0).tolist()) for name in trials[0].per_clip
    }
    return Trial(sampler, per_clip), distances, judged


def show(title: str, trials: dict[str, Trial], table: dict[str, dict]) -> None:
    """Print the table of a task."""
    first, *_ = trials.values()
    measures = list(first.per_clip)
    print(f"| {title} | calls | {' | '.join(MEASURES[each] for each in measures)} | distance |")
    print("|---" * (3 + len(measures)) + "|")
    for name, trial in trials.items():
        cells = [f"{trial.mean(each):.4g}" if trial is first else str(change(trial, first, each)) for each in measures]
        of_seeds = table[name].get("distances")
        if of_seeds:
            cells.append(f"{np.mean(of_seeds):.3g} ({min(of_seeds):.3g} to {max(of_seeds):.3g})")
        print(f"| {name} | {table[name]['num_calls']} | {' | '.join(cells)} |")
    print(flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("clips_from", type=Path, metavar="FILMS|YAML")
    parser.add_argument("--others", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--calls", nargs="*", type=int, default=[4, 2])
    parser.add_argument("--clips", type=int, default=3, help="of each kind of film, or of a validation set")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the noise")
    parser.add_argument("--tasks", nargs="+", default=["predict", "backward", "interpolate"])
    parser.add_argument("--out", type=Path, required=True, help="JSON of all numbers, which a later call adds rows to")
    options = parser.parse_args()
    model = opened(options.model)
    others = {name: opened(folder) for name, _, folder in (each.partition("=") for each in options.others)}
    block = model.block
    length = block.past + options.frames + block.future
    if options.clips_from.is_file():
        clips = clips_of_recipe(options.clips_from, model, length, options.clips)
    else:
        clips = clips_of_films(options.clips_from, ClipSpec(length, model.size, 3), options.clips)
    measured = json.loads(options.out.read_text()) if options.out.is_file() else {}
    for name in options.tasks:
        task, table = task_by_name(name), measured.setdefault(name, {})
        own = model.sampler_for(task)
        begin = 0 if task.gives_past else block.past
        wanted = {"its own sampler": (model, own)}
        wanted |= {title: (other, other.sampler_for(task)) for title, other in others.items()}
        for calls in options.calls:
            wanted[f"UniPC, {calls}"] = model, replace(UniPC(calls), spacing=own.spacing)
        trials = {title: Trial(own, row["per_clip"]) for title, row in table.items()}
        judged = None
        for title, (net, sampler) in wanted.items():
            if title not in table:
                sampling = {"num_samples": options.samples, "num_frames": options.frames}
                trials[title], distances, judged = measure(
                    net, clips[:, begin:], name, sampler, options.seeds, judged, **sampling
                )
                table[title] = trials[title].to_json() | {"seeds": options.seeds, "distances": distances}
                options.out.write_text(json.dumps(measured, indent=1) + "\n")
        show(f"{name}, {len(clips)} clips", trials, table)


if __name__ == "__main__":
    main()
