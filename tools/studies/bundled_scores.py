"""Scores a model on held-out film of every kind, beside repeating the last frame and cross-fading.

    python tools/studies/bundled_scores.py MODEL films/heldout [--clips 6] [--samples 10] [--out scores.json]

MODEL is anything that `mcvd.load` takes, or "box" for the bundled one. Clips lie evenly in the films of a kind; numbers
are means over them. Clips that stand still, in which the truth differs from the repeated frame by less than 2 levels,
are told apart from those that move.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

import mcvd
from mcvd.data import ClipDataset, ClipSpec, MemmapVideos
from mcvd.data.clips.sampling import EvenClips
from mcvd.data.clips.spec import find_clips
from mcvd.models.load import BOX

STILL_LEVELS = 2.0
ROWS = ("psnr", "psnr_mean", "psnr_copy", "crps", "crps_copy", "error_ratio", "motion", "sharpness")


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Of float videos (..., T, C, H, W) in levels of 255, per clip: mean over frames, capped at 60 dB."""
    error = (a - b).square().mean((-3, -2, -1)).clamp(min=255**2 / 1e6)
    return (10 * torch.log10(255**2 / error)).mean(-1)


def crps(samples: Tensor, truth: Tensor) -> Tensor:
    """Fair continuous ranked probability score (Ferro 2014) of (K, T, C, H, W) against (T, C, H, W), in levels."""
    count = len(samples)
    spread = (samples[:, None] - samples[None]).abs().mean((2, 3, 4, 5)).sum() / (2 * count * max(count - 1, 1))
    return (samples - truth).abs().mean() - spread


def motion(video: Tensor) -> Tensor:
    """Mean absolute change from frame to frame (..., T, C, H, W), in levels."""
    return video.diff(dim=-4).abs().mean()


def sharpness(video: Tensor) -> Tensor:
    """Mean absolute gradient of the frames, in levels."""
    return (video.diff(dim=-1).abs().mean() + video.diff(dim=-2).abs().mean()) / 2


def score(samples: Tensor, truth: Tensor, simple: Tensor) -> dict[str, float]:
    """All rows of one clip; ``simple`` is what the baseline says."""
    error = (samples - truth).square().mean()
    return {
        "psnr": psnr(samples, truth).mean().item(),
        "psnr_mean": psnr(samples.mean(0), truth).item(),
        "psnr_copy": psnr(simple, truth).item(),
        "crps": crps(samples, truth).item(),
        "crps_copy": (simple - truth).abs().mean().item(),
        "error": error.item(),
        "error_copy": (simple - truth).square().mean().item(),
        "motion_made": motion(samples).item(),
        "motion_true": motion(truth).item(),
        "sharpness_made": sharpness(samples).item(),
        "sharpness_true": sharpness(truth).item(),
    }


def table(clips: list[dict[str, float]]) -> dict[str, float]:
    """Means over clips; ratios are of the means."""
    mean = {name: sum(each[name] for each in clips) / len(clips) for name in clips[0]}
    ratio = {
        "error_ratio": mean["error"] / max(mean["error_copy"], 1e-9),
        "motion": mean["motion_made"] / max(mean["motion_true"], 1e-9),
        "sharpness": mean["sharpness_made"] / max(mean["sharpness_true"], 1e-9),
    }
    return {"clips": len(clips)} | {name: round((mean | ratio)[name], 3) for name in ROWS}


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("films", type=Path)
    parser.add_argument("--clips", type=int, default=6, help="of each kind")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", default=["predict", "backward", "interpolate"])
    parser.add_argument("--kinds", nargs="+")
    parser.add_argument("--sampler", help="such as UniPC:10; the model's own without")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    model = mcvd.load(BOX if arguments.model == "box" else arguments.model)
    sampler = None
    if arguments.sampler:
        name, steps = arguments.sampler.split(":")
        sampler = getattr(mcvd.samplers, name)(num_steps=int(steps))
    block = model.block
    length = block.past + arguments.frames + block.future
    options = {"num_samples": arguments.samples, "sampler": sampler, "rounded": False, "progress": False}
    found: dict[str, dict[str, list[dict[str, float]]]] = {task: defaultdict(list) for task in arguments.tasks}
    for folder in sorted(path for path in arguments.films.iterdir() if path.is_dir()):
        if arguments.kinds and folder.name not in arguments.kinds:
            continue
        videos = MemmapVideos(folder)
        spec = ClipSpec(length, model.size, 3)
        clips = ClipDataset(videos, spec, EvenClips(find_clips(videos, spec), arguments.clips))
        for i in range(len(clips)):
            video = clips[i]["video"]
            past, middle, future = video.split([block.past, arguments.frames, block.future])
            truth = middle.float()
            for task in arguments.tasks:
                if task == "predict":
                    made = model.predict(past, arguments.frames, **options)
                    simple = past[-1:].float().expand_as(truth)
                elif task == "backward":
                    made = model.predict(future, arguments.frames, backward=True, **options)
                    simple = future[:1].float().expand_as(truth)
                else:
                    made = model.interpolate(past, future, arguments.frames, **options)
                    weight = (torch.arange(arguments.frames) + 1.0)[:, None, None, None] / (arguments.frames + 1)
                    simple = (1 - weight) * past[-1].float() + weight * future[0].float()
                rows = score(255 * made.reshape(arguments.samples, *truth.shape), truth, simple)
                still = (past[-1:].float() - truth).abs().mean() < STILL_LEVELS
                found[task][folder.name + (" still" if still else "")].append(rows)
    result = {task: {kind: table(clips) for kind, clips in kinds.items()} for task, kinds in found.items()}
    for task, kinds in result.items():
        print(f"{task:20}" + "".join(f"{name:>13}" for name in ("clips", *ROWS)))
        for kind, row in kinds.items():
            print(f"{kind:20}" + "".join(f"{row[name]:>13}" for name in ("clips", *ROWS)))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
