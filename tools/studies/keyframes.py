"""Measure what a known frame is worth: not used, put in at each step (replacement), pulling by gradients (guidance), or
telling the frames before it what optical flow lets expect (motion).

    python tools/studies/keyframes.py --out keyframes.jsonl
    python tools/studies/keyframes.py --table keyframes.jsonl

The bundled model predicts 10 frames of held-out synthetic streets, of which the fifth is known. PSNR (mean over
samples, frames and streets) is that of the four frames before it, which are the same if fewer are predicted, and of
those after it. Lines of keyframes.jsonl that are there already are not measured again. Seconds are the processor's.
"""

import argparse
import json
import time
from pathlib import Path

import torch

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.diffusion.tasks import PREDICT
from mcvd.metrics.frames import psnr_per_frame
from mcvd.samplers.select import sampler_by_name

KEYFRAME, FIRST = 4, 10
METHODS = ["not used", "replacement", "guidance", "motion"]
HELD_OUT = 9  # the seed of the streets: the bundled model has seen none of them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, metavar="JSONL", help="only print the table of results")
    parser.add_argument("--out", type=Path, metavar="JSONL")
    parser.add_argument("--samplers", nargs="+", default=["own", "SASolver", "DDIM", "DPMSolverPP", "DDPM"])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--num-frames", type=int, default=10, help="5 or more")
    parser.add_argument("--steps", type=int, default=10, help="of named samplers; that of the model has its own")
    parser.add_argument("--num-clips", type=int, default=24)
    parser.add_argument("--num-samples", type=int, default=4)
    options = parser.parse_args()
    if options.table:
        print(table(read(options.table)))
    elif options.out:
        measure(options)
    else:
        parser.error("give --out to measure, or --table to see what was measured")


def read(path: Path) -> list[dict]:
    """The lines that are there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def measure(options: argparse.Namespace) -> None:
    """Make what is not yet in the results."""
    model = mcvd.load()
    streets = DrivingScenes(options.num_clips, seed=HELD_OUT)
    frames = range(FIRST, FIRST + model.block.past + options.num_frames)
    clips = torch.stack([streets.read(i, frames, model.size) for i in range(options.num_clips)])
    past, truth = clips[:, : model.block.past], clips[:, None, model.block.past :]
    known = {"known": {KEYFRAME: truth[:, 0, KEYFRAME]}}
    methods = {method: known | {"known_by": method} for method in options.methods} | {"not used": {}}
    done = {(each["sampler"], each["steps"], each["method"]) for each in read(options.out)}
    for name in options.samplers:
        steps = model.sampler_for(PREDICT).num_steps if name == "own" else options.steps
        for method, how in sorted(methods.items(), key=lambda each: METHODS.index(each[0])):
            if (name, steps, method) in done:
                continue
            start = time.process_time()
            video = model.predict(
                past,
                options.num_frames,
                sampler=None if name == "own" else sampler_by_name(name, steps),
                num_samples=options.num_samples,
                progress=False,
                **how,
            )
            seconds = time.process_time() - start
            psnr = psnr_per_frame(video, truth.expand_as(video)).clamp(max=100).mean(1)  # (clips, frames)
            line = {"sampler": name, "steps": steps, "method": method, "seconds": round(seconds, 1)}
            line["psnr"] = [[round(value, 3) for value in clip] for clip in psnr.tolist()]
            with options.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(table(read(options.out)), flush=True)


def table(results: list[dict]) -> str:
    """The mean over streets, and over streets the standard error of what is gained on not using the frame."""
    lines = ["| sampler, calls | known frame | frames 1 to 4, dB | gain, dB | frames 6 on, dB | gain, dB | time |"]
    lines.append("|---" * 7 + "|")
    plain = {(each["sampler"], each["steps"]): each for each in results if each["method"] == "not used"}
    for each in results:
        base = plain[each["sampler"], each["steps"]]
        cells = [f"{each['sampler']}, {each['steps']}", each["method"]]
        for part in (slice(KEYFRAME), slice(KEYFRAME + 1, None)):
            psnr, without = (torch.tensor(one["psnr"])[:, part].mean(1) for one in (each, base))
            gained = psnr - without
            error = gained.std() / len(gained) ** 0.5
            new = ["", ""] if psnr.isnan().any() else [f"{psnr.mean():.2f}", f"{gained.mean():+.2f} ± {error:.2f}"]
            cells += [new[0], ""] if each is base else new
        lines.append("| " + " | ".join([*cells, f"{each['seconds'] / base['seconds']:.2f}"]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
