"""Measure how good the videos of a trained model are by sampler and number of network calls.

    python tools/studies/sampler_quality.py --model runs/strokes/run-1 --config datasets/moving_strokes/data.yaml \\
        --tasks predict interpolate generate --steps 5 10 20 50 --baseline-steps 1000 --out results.jsonl
    python tools/studies/sampler_quality.py --table results.jsonl [--against DDPM 1000] [--plot quality.svg]

Each line of results.jsonl is one sampler, one number of steps (or tolerance), one task and one seed; lines that are
there already are not measured again, so an interrupted run goes on. Scores are of single samples; `calls` were counted.
`random_i3d_distance` is a Frechet distance in the features of a random network (seed 0): not FVD, and only comparable
within one table. `per_clip` holds the same scores of every clip, in which `--against` compares samplers clip by clip.
"""

import argparse
import json
import math
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

import mcvd
from mcvd.data.recipe import data_from_recipe
from mcvd.data.video_clips import collect_clips
from mcvd.metrics.frames import mean_squared_error, psnr_per_frame, ssim
from mcvd.metrics.fvd import FrechetVideoDistance
from mcvd.metrics.i3d import random_i3d
from mcvd.samplers import (
    DDIM,
    DDPM,
    PNDM,
    AbstractSampler,
    AdaptiveSDE,
    DPMSolverPP,
    Heun,
    SASolver,
    SDEDPMSolverPP,
    UniPC,
)
from mcvd.samplers.spacing import LogSNR

SAMPLERS = {
    "DDPM": lambda steps: DDPM(steps),
    "DDPM_LogSNR": lambda steps: DDPM(steps, spacing=LogSNR()),
    "SASolver": lambda steps: SASolver(steps),
    "SASolver_whole": lambda steps: SASolver(steps, spacing=LogSNR(sigma_min=0)),
    "SDEDPMSolverPP": lambda steps: SDEDPMSolverPP(steps),
    "DDIM": lambda steps: DDIM(steps),
    "PNDM": lambda steps: PNDM(steps),
    "DPMSolverPP": lambda steps: DPMSolverPP(steps),
    "UniPC": lambda steps: UniPC(steps),
    "Heun": lambda steps: Heun((steps + 1) // 2),  # two calls a step, the last one has one
    "AdaptiveSDE": lambda tolerance: AdaptiveSDE(tolerance),
}
TASKS = ("predict", "interpolate", "generate")
SCORES = ("psnr", "ssim", "ms_ssim", "random_i3d_distance", "diversity")


def make(
    model: mcvd.MCVD, clips: Tensor, task: str, num_frames: int, sampler: AbstractSampler, seed: int, precision: str
) -> Tensor:
    """What the model makes of the clips, uint8 (N, num_frames, C, H, W)."""
    past, future = model.block.past, model.block.future
    options: dict[str, Any] = {"sampler": sampler, "seed": seed, "precision": precision, "progress": True}
    if task == "generate":
        return model.generate(num_frames, num_samples=len(clips), **options)
    if task == "predict":
        return model.predict(clips[:, :past], num_frames, **options)
    after = clips[:, past + num_frames : past + num_frames + future]
    return model.interpolate(clips[:, :past], after, num_frames, **options)


def measure(model: mcvd.MCVD, clips: Tensor, task: str, num_frames: int, made: list[Tensor]) -> dict[str, Any]:
    """Scores of the last of several samples, as means and `per_clip`; the others are there for diversity."""
    past, sample = model.block.past, made[-1]
    each: dict[str, Tensor] = {}
    if task != "generate":
        truth = clips[:, past : past + num_frames]
        each = {
            "psnr": psnr_per_frame(sample, truth).mean(1),
            "ssim": ssim(sample, truth),
            "ms_ssim": multi_scale_ssim(sample, truth),
        }
    if len(made) > 1:
        # In grey levels: how far the sample of a clip is from its other samples.
        apart = [mean_squared_error(sample, other).mean(1) for other in made[:-1]]
        each["diversity"] = 255 * torch.stack(apart).mean(0).sqrt()
    scores: dict[str, Any] = {name: MEANS[name](values).item() for name, values in each.items()}
    real = clips[:, : past + num_frames]
    fake = sample if task == "generate" else torch.cat([clips[:, :past], sample], 1)
    length = min(real.shape[1], fake.shape[1])
    if length >= 10:
        distance = FrechetVideoDistance(random_i3d(0), size=64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few videos: only compared with each other
            distance.update(real[:, -length:], real=True)
            distance.update(fake[:, -length:], real=False)
            scores["random_i3d_distance"] = distance.compute().item()
    return scores | {"per_clip": {name: [float(f"{v:.5g}") for v in values] for name, values in each.items()}}


def multi_scale_ssim(video: Tensor, truth: Tensor) -> Tensor:
    """MS-SSIM of each video, (N,), with as many scales as an 11-pixel window fits into."""
    scales = 1 + int(math.log2(min(truth.shape[-2:]) / 11))
    pictures = (frames.flatten(0, 1).float() for frames in (video, truth))
    options: dict[str, Any] = {"data_range": 255.0, "betas": (1 / scales,) * scales, "normalize": "relu"}
    return ms_ssim(*pictures, reduction="none", **options).view(truth.shape[:2]).mean(1)


def root_mean_square(values: Tensor) -> Tensor:
    """What differences are averaged by."""
    return values.square().mean().sqrt()


MEANS = {"psnr": torch.mean, "ssim": torch.mean, "ms_ssim": torch.mean, "diversity": root_mean_square}


def jobs(options: argparse.Namespace) -> Iterator[tuple[str, str, float, int]]:
    """(task, sampler, steps or tolerance, seed), the cheap ones first."""
    for steps in sorted(options.steps):
        for task in options.tasks:
            for name in options.samplers:
                if name != "AdaptiveSDE":
                    yield from ((task, name, steps, seed) for seed in range(options.num_seeds))
    if "AdaptiveSDE" in options.samplers:
        for tolerance in sorted(options.tolerances, reverse=True):
            for task in options.tasks:
                yield from ((task, "AdaptiveSDE", tolerance, seed) for seed in range(options.num_seeds))
    for task in options.tasks:
        yield from ((task, "DDPM", options.baseline_steps, seed) for seed in range(options.num_seeds))


def run(options: argparse.Namespace) -> None:
    """Measure what is not yet in the results."""
    model = mcvd.load(options.model).to(options.device)
    data = data_from_recipe(
        options.config,
        options.root,
        num_frames=model.block.past + options.num_frames + model.block.future,
        size=model.size,
        channels=model.channels,
        frame_rate_hz=model.frame_rate_hz,
        max_val_clips=options.num_clips,
    )
    clips = collect_clips(data)
    lines = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    known = {(line["task"], line["sampler"], line["steps"], line["seed"]) for line in lines}
    made: dict[tuple[str, str, float], list[Tensor]] = defaultdict(list)
    num_calls = 0

    def count(*_: Any) -> None:
        nonlocal num_calls
        num_calls += 1

    model.denoiser.net.register_forward_pre_hook(count)
    for task, name, steps, seed in jobs(options):
        if (task, name, steps, seed) in known:
            continue
        known.add((task, name, steps, seed))
        sampler = SAMPLERS[name](steps)
        started, num_calls = time.monotonic(), 0
        sample = make(model, clips, task, options.num_frames, sampler, seed, options.precision)
        made[task, name, steps].append(sample)
        seconds = time.monotonic() - started
        line = {"task": task, "sampler": name, "steps": steps, "seed": seed}
        line |= {"calls": round(num_calls / math.ceil(options.num_frames / model.block.current))}
        line |= {"data": options.config or options.root, "num_clips": len(clips), "num_frames": options.num_frames}
        line |= {"precision": options.precision}
        line |= {"seconds": round(seconds, 2)} | measure(
            model, clips, task, options.num_frames, made[task, name, steps]
        )
        with options.out.open("a") as out:
            out.write(json.dumps(line) + "\n")
        print(
            *(f"{value:.4g}" if isinstance(value, float) else value for key, value in line.items() if key != "per_clip")
        )


def tables(lines: list[dict[str, Any]]) -> str:
    """Markdown: mean over seeds, and after the sign half a 95% interval (Student's t)."""
    groups = defaultdict(list)
    for line in lines:
        groups[line["task"], line["sampler"], line["steps"]].append(line)
    out = []
    for task in [task for task in TASKS if any(line["task"] == task for line in lines)]:
        shown = [score for score in SCORES if any(score in line for line in lines if line["task"] == task)]
        out += [f"\n| {task} | calls | " + " | ".join(shown) + " |", "|---" * (len(shown) + 2) + "|"]
        for (of, name, _), found in sorted(groups.items(), key=lambda item: (item[0][1], item[1][0]["calls"])):
            if of == task:
                calls = round(mean(line["calls"] for line in found))
                cells = [_cell([line[score] for line in found if score in line]) for score in shown]
                out.append(f"| `{name}` | {calls} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def comparison(lines: list[dict[str, Any]], name: str, steps: float) -> str:
    """Markdown: how far each sampler's scores are from those of one of them, in percent.

    After the sign is half a 95% interval of the difference: over clips, of the means over the seeds of each clip
    (clips are paired, since both made the same ones), and for `random_i3d_distance` over seeds.
    """
    groups = defaultdict(list)
    for line in lines:
        groups[line["task"], line["sampler"], line["steps"]].append(line)
    out = []
    for task in [task for task in TASKS if (task, name, steps) in groups]:
        base = groups[task, name, steps]
        shown = [score for score in SCORES if any(score in line for line in base)]
        out += [f"\n| {task} | calls | " + " | ".join(shown) + " |", "|---" * (len(shown) + 2) + "|"]
        out.append(f"| `{name}` | {base[0]['calls']} | " + " | ".join(_cell(_values(base, s)) for s in shown) + " |")
        for (of, other, _), found in sorted(groups.items(), key=lambda item: (item[1][0]["calls"], item[0][1])):
            if of == task and found is not base:
                cells = [_difference(found, base, score) for score in shown]
                out.append(f"| `{other}` | {found[0]['calls']} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def _values(lines: list[dict[str, Any]], score: str) -> list[float]:
    return [line[score] for line in lines if score in line]


def _difference(found: list[dict[str, Any]], base: list[dict[str, Any]], score: str) -> str:
    if score == "random_i3d_distance":
        ours, theirs = _values(found, score), _values(base, score)
        half = math.hypot(_half_interval(ours), _half_interval(theirs)) / mean(theirs)
        return f"{100 * (mean(ours) / mean(theirs) - 1):+.0f} ± {100 * half:.0f}%"
    ours, theirs = (
        torch.tensor([line["per_clip"][score] for line in lines if score in line["per_clip"]]).double()
        for lines in (found, base)
    )
    power = 2 if score == "diversity" else 1  # differences are averaged as squares
    ours, theirs = ours.pow(power).mean(0), theirs.pow(power).mean(0)
    half = 2 * (ours - theirs).std() / math.sqrt(len(ours)) / theirs.mean() / power
    return f"{100 * ((ours.mean() / theirs.mean()) ** (1 / power) - 1):+.1f} ± {100 * half:.1f}%"


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    centre = mean(values)
    digits = max(0, 3 - math.floor(math.log10(abs(centre) or 1)))
    if len(values) < 2:
        return f"{centre:.{digits}f}"
    return f"{centre:.{digits}f} ± {_half_interval(values):.{digits}f}"


def _half_interval(values: list[float]) -> float:
    """Half a 95% interval of the mean (Student's t)."""
    student = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}.get(len(values), 2.0)
    return student * stdev(values) / math.sqrt(len(values))


def plot(lines: list[dict[str, Any]], out: Path) -> None:
    """Quality against calls, one row of pictures per task; the bars are standard deviations over seeds."""
    import matplotlib

    sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))
    from save_figure import save

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks = [task for task in TASKS if any(line["task"] == task for line in lines)]
    shown = [score for score in SCORES if any(score in line for line in lines)]
    figure, axes = pyplot.subplots(
        len(tasks), len(shown), figsize=(3 * len(shown), 2.4 * len(tasks) + 0.5), squeeze=False, layout="constrained"
    )
    names = sorted({line["sampler"] for line in lines})
    handles = {}
    for row, task in zip(axes, tasks, strict=True):
        for axis, score in zip(row, shown, strict=True):
            found = [line for line in lines if line["task"] == task and score in line]
            if not found:
                axis.set_axis_off()
                continue
            axis.set_title(f"{task}: {score}", fontsize=10)
            axis.set_xscale("log")
            calls = sorted({line["calls"] for line in found})
            ticks = [tick for tick in (5, 10, 20, 50, 100, 1000) if calls[0] <= tick <= calls[-1]]
            axis.set_xticks(ticks, [str(tick) for tick in ticks])
            axis.set_xticks([], minor=True)
            axis.grid(alpha=0.25)
            # Heun with few calls is so far off that the others would lie on one line.
            readable = [line[score] for line in found if line["sampler"] != "Heun"]
            room = 0.08 * (max(readable) - min(readable)) or 1.0
            axis.set_ylim(min(readable) - room, max(readable) + room)
            for number, name in enumerate(names):
                values = defaultdict(list)
                for line in found:
                    if line["sampler"] == name:
                        values[line["steps"]].append((line["calls"], line[score]))
                points = sorted(tuple(zip(*value, strict=True)) for value in values.values())
                if points:
                    spread = [stdev(v) if len(v) > 1 else 0.0 for _, v in points]
                    where = [mean(c) for c, _ in points], [mean(v) for _, v in points]
                    handles[name] = axis.errorbar(*where, spread, marker="o", ms=3, lw=1.2, color=f"C{number}")
    title = "against network calls for each block"
    figure.legend(handles.values(), handles.keys(), title=title, loc="outside lower center", ncols=5, fontsize=10)
    save(figure, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, nargs="+", metavar="RESULTS", help="only print the table of results")
    parser.add_argument("--plot", type=Path, metavar="SVG", help="with --table: also draw it (needs matplotlib)")
    text = "with --table: differences from this sampler with so many steps, instead of scores"
    parser.add_argument("--against", nargs=2, metavar=("SAMPLER", "STEPS"), help=text)
    parser.add_argument("--model", help="what mcvd.load opens")
    parser.add_argument("--config", help="data.yaml")
    parser.add_argument("--root", help="a folder of videos, instead of --config")
    parser.add_argument("--out", type=Path, help="results.jsonl")
    parser.add_argument("--tasks", nargs="+", default=["predict"], choices=TASKS)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--steps", nargs="+", type=int, default=[5, 10, 20, 50])
    parser.add_argument("--tolerances", nargs="+", type=float, default=[0.2, 0.1, 0.05], help="of AdaptiveSDE")
    parser.add_argument("--baseline-steps", type=int, default=1000, help="of DDPM")
    parser.add_argument("--num-frames", type=int, default=10)
    parser.add_argument("--num-clips", type=int, default=64)
    parser.add_argument("--num-seeds", type=int, default=3)
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16", "fp16"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    if options.table:
        lines = [json.loads(line) for path in options.table for line in path.read_text().splitlines()]
        if options.against:
            print(comparison(lines, options.against[0], float(options.against[1])))
        else:
            print(tables(lines))
        if options.plot:
            plot(lines, options.plot)
    elif options.model and options.out:
        run(options)
    else:
        parser.error("give --model and --out to measure, or --table to see what was measured")


if __name__ == "__main__":
    main()
