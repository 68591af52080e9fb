"""How much quality few network calls cost: a model at its own samplers, at fewer calls, and its students.

    python tools/studies/few_calls.py MODEL films/heldout --others unipc=FOLDER four=FOLDER --calls 4 2 [--clips 3]

MODEL is anything that `mcvd.load` takes, or "box" for the bundled one. It is measured with its own samplers, whose
numbers the first row holds; every other row is the change against these, paired over clips, with a 95% interval:
each of the other models with its own samplers, and MODEL with UniPC at so many calls, at its own sampler's spacing.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

import mcvd
from mcvd.data import ClipDataset, ClipSpec, MemmapVideos
from mcvd.data.clips.sampling import EvenClips
from mcvd.data.clips.spec import find_clips
from mcvd.diffusion.tasks import task_by_name
from mcvd.evaluation.tuning import MEASURES, Trial, change, try_sampler
from mcvd.models.load import BOX
from mcvd.samplers import UniPC


def clips_of(films: Path, spec: ClipSpec, num_clips: int) -> torch.Tensor:
    """So many of each kind, evenly spread, uint8 (N, T, C, H, W)."""
    found = []
    for folder in sorted(path for path in films.iterdir() if path.is_dir()):
        videos = MemmapVideos(folder)
        dataset = ClipDataset(videos, spec, EvenClips(find_clips(videos, spec), num_clips))
        found += [dataset[i]["video"] for i in range(len(dataset))]
    return torch.stack(found)


def opened(name: str) -> mcvd.models.VideoModel:
    """A model, or "box"."""
    return mcvd.load(BOX if name == "box" else name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("films", type=Path)
    parser.add_argument("--others", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--calls", nargs="*", type=int, default=[4, 2])
    parser.add_argument("--clips", type=int, default=3, help="of each kind")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tasks", nargs="+", default=["predict", "backward", "interpolate"])
    parser.add_argument("--out", type=Path, required=True, help="JSON of all numbers, which a later call adds rows to")
    options = parser.parse_args()
    model = opened(options.model)
    others = {name: opened(folder) for name, _, folder in (each.partition("=") for each in options.others)}
    block = model.block
    clips = clips_of(options.films, ClipSpec(block.past + options.frames + block.future, model.size, 3), options.clips)
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
        for title, (net, sampler) in wanted.items():
            if title not in table:
                sampling = {"num_samples": options.samples, "num_frames": options.frames, "seed": options.seed}
                trials[title] = try_sampler(net, clips[:, begin:], name, sampler, batch_size=16, **sampling)
                table[title] = trials[title].to_json()
                options.out.write_text(json.dumps(measured, indent=1) + "\n")
        first = trials["its own sampler"]
        measures = list(first.per_clip)
        print(f"| {name}, {len(clips)} clips | calls | {' | '.join(MEASURES[each] for each in measures)} |")
        print("|---" * (2 + len(measures)) + "|")
        for title, trial in trials.items():
            cells = (
                f"{trial.mean(each):.4g}" if trial is first else str(change(trial, first, each)) for each in measures
            )
            print(f"| {title} | {table[title]['num_calls']} | {' | '.join(cells)} |")
        print(flush=True)


if __name__ == "__main__":
    main()
