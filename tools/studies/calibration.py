"""Do the samples of a model vary as the truth does, and what makes them do so: sampler, calls, guidance.

    python tools/studies/calibration.py --out calibration.jsonl
    python tools/studies/calibration.py --table calibration.jsonl

The bundled model predicts one block of held-out clips: synthetic streets, and recordings of a rover in a
folder. Every way of sampling gets the same clips and seeds. Lines of the file that are there are not measured again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import mcvd
from mcvd.data import DrivingScenes, VideoClips, collect_clips
from mcvd.diffusion.tasks import PREDICT
from mcvd.evaluation.evaluate import evaluate
from mcvd.samplers import AbstractSampler
from mcvd.samplers.select import sampler_by_name

HELD_OUT = 9  # the seed of the streets: the bundled model has seen none of them
OWN = "own"  # the sampler that the model brings for predictions, with so many calls
BASE = {"sampler": OWN, "steps": 6}
WAYS = [
    BASE,
    BASE | {"steps": 4},
    BASE | {"steps": 10},
    {"sampler": "SASolver", "steps": 10},
    BASE | {"guidance": 0.8},
    BASE | {"steps": 20},
    BASE | {"guidance": 0.9},
    {"sampler": "UniPC", "steps": 6},
    {"sampler": "SASolver", "steps": 20},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, metavar="JSONL", help="only print the tables of results")
    parser.add_argument("--out", type=Path, metavar="JSONL")
    parser.add_argument("--rover", type=Path, metavar="FOLDER", help="recordings of the second kind")
    parser.add_argument("--num-clips", type=int, default=8)
    parser.add_argument("--num-samples", type=int, default=8)
    options = parser.parse_args()
    if options.table:
        print(tables(read(options.table)))
    elif options.out:
        measure(options)
    else:
        parser.error("give --out to measure, or --table to see what was measured")


def read(path: Path) -> list[dict]:
    """The lines that are there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kinds_of_clips(options: argparse.Namespace, model: mcvd.MCVD) -> dict[str, torch.Tensor]:
    """uint8 (N, T, C, H, W) by the name of their kind."""
    length = model.block.past + model.block.current
    streets = DrivingScenes(options.num_clips, seed=HELD_OUT)
    found = {"streets": torch.stack([streets.read(i, range(length), model.size) for i in range(options.num_clips)])}
    if options.rover:
        like = {"num_frames": length, "size": model.size, "frame_rate_hz": model.frame_rate_hz}
        found["rover"] = collect_clips(VideoClips(options.rover, options.rover, **like), options.num_clips)
    return found


def measure(options: argparse.Namespace) -> None:
    """Make what is not yet in the results."""
    model = mcvd.load()
    kinds = kinds_of_clips(options, model)
    done = [(each["clips"], each["way"]) for each in read(options.out)]
    for way in WAYS:
        for kind, clips in kinds.items():
            if (kind, way) in done:
                continue
            how = {name: value for name, value in way.items() if name not in ("sampler", "steps")}
            sampler = sampler_of(model, way)
            scores = evaluate(model, clips, sampler=sampler, num_samples=options.num_samples, batch_size=16, **how)
            ensemble = scores.ensemble
            row = {
                "clips": kind,
                "way": way,
                "num_clips": len(clips),
                "num_samples": options.num_samples,
                "crps": ensemble.rows["samples"].scores["crps"].per_clip,
                "crps_of_copy": ensemble.rows["copy_last"].scores["crps"].per_clip,
                "spread": ensemble.calibration.spread,
                "error": ensemble.calibration.error,
                "ranks": ensemble.calibration.rank_histogram,
                "spread_skill": ensemble.calibration.spread_skill,
                "outside": ensemble.calibration.outside,
                "sharpness": ensemble.relative("sharpness"),
            }
            with options.out.open("a") as file:
                print(json.dumps(row), file=file)
            print(
                f"{kind} {way}: {row['spread_skill']:.3f} {row['outside']:.3f} {np.mean(row['crps']):.3f}", flush=True
            )


def sampler_of(model: mcvd.MCVD, way: dict) -> AbstractSampler:
    """Of a way of sampling."""
    if way["sampler"] == OWN:
        return model.sampler_for(PREDICT, way["steps"])
    return sampler_by_name(way["sampler"], way["steps"])


def tables(rows: list[dict]) -> str:
    """A table in Markdown for each kind of clips; CRPS with the 95% interval of its change from the first way."""
    lines = []
    for kind in dict.fromkeys(row["clips"] for row in rows):
        own = [row for row in rows if row["clips"] == kind]
        right = 2 / (own[0]["num_samples"] + 1)
        lines += [
            f"**{kind}**, {own[0]['num_clips']} clips, {own[0]['num_samples']} samples each; "
            f"copying has a CRPS of {np.mean(own[0]['crps_of_copy']):.2f}",
            "",
            f"| sampled by | CRPS | change, 95% | spread by error (1) | by lead time | outside ({right:.0%}) "
            f"| below, above all ({right / 2:.0%}) | sharpness (1) |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in own:
            ranks = np.array(row["ranks"]) / np.sum(row["ranks"])
            by_frame = ", ".join(f"{a / b:.2f}" for a, b in zip(row["spread"], row["error"], strict=True))
            lines.append(
                f"| {named(row['way'])} | {np.mean(row['crps']):.2f} | {change(row, own[0])} | "
                f"{row['spread_skill']:.2f} | {by_frame} | {row['outside']:.0%} | {ranks[0]:.0%}, {ranks[-1]:.0%} | "
                f"{row['sharpness']:.2f} |"
            )
        lines.append("")
    return "\n".join(lines)


def named(way: dict) -> str:
    """A way of sampling for people."""
    rest = [f"{name.replace('_', ' ')} {value:g}" for name, value in way.items() if name not in ("sampler", "steps")]
    name = "own" if way["sampler"] == OWN else f"`{way['sampler']}`"
    return ", ".join([f"{name}, {way['steps']} calls", *rest])


def change(row: dict, base: dict) -> str:
    """Of the CRPS in percent, paired over clips, with its 95% interval by bootstrap."""
    if row is base:
        return ""
    new, old = np.array(row["crps"]), np.array(base["crps"])
    drawn = np.random.default_rng(0).integers(len(new), size=(10_000, len(new)))
    low, high = np.percentile(100 * (new[drawn].mean(1) / old[drawn].mean(1) - 1), [2.5, 97.5])
    return f"{100 * (new.mean() / old.mean() - 1):+.1f}% ({low:+.1f} .. {high:+.1f})"


if __name__ == "__main__":
    main()
