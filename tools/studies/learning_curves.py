"""Frames against residuals to the context: CRPS of held-out clips against minutes of the processor.

    python tools/studies/learning_curves.py strokes streets films/train/road=films/heldout/road --minutes 0.5 1 2 4
    python tools/studies/learning_curves.py films/train/static=films/heldout/static --floors 0.04 0.0125 --minutes 1

Data are moving strokes (grey, 32x32), streets, or packs of films, TRAIN=HELD_OUT (64x64). The same network (1.5 M
parameters) is trained by Muon on the same clips twice: to predict clean frames, and residuals in EDM's parametrization
(``reference: context``) with the motion of the context told. Minutes are those of the processor in training steps;
drawing the clips is not counted. At each the averaged weights predict a block of held-out clips, `SASolver` with 10
calls. With ``--floors`` residuals alone are trained, with each of these as their ``reference_floor``; with ``--colors``
in white noise, in noise of their colours (``colored_noise``), and with scales of each colour (``reference_colors``);
with ``--flow`` with all of these, to a base that stands still and to one that moves on (``reference_flow``).
"""

import argparse
import copy
import time
from typing import Any

import torch
from torch import Tensor

import mcvd
from mcvd.data import ClipDataset, ClipSpec, DrivingScenes, MemmapVideos, MovingStrokes
from mcvd.data.clips.sampling import EvenClips, RandomClips
from mcvd.data.clips.spec import find_clips
from mcvd.data.videos import AbstractVideos
from mcvd.diffusion.reference import MEASURED_STEPS
from mcvd.frames import model_from_pixels
from mcvd.metrics.ensemble import crps
from mcvd.metrics.frames import psnr_per_frame
from mcvd.models.mcvd import MCVD
from mcvd.samplers import SASolver
from mcvd.training import Muon

BATCH, WARM_UP, LEARNING_RATE, CALLS = 4, 50, 0.02, 10
HELD_OUT_SEED = 1
RESIDUALS = {"predicts": "edm", "reference": "context"}
COLORS = {
    "white noise": RESIDUALS,
    "noise in colours": RESIDUALS | {"colored_noise": True},
    "and a scale for each": RESIDUALS | {"colored_noise": True, "reference_colors": True},
}
FLOW = {
    "a base that stands still": COLORS["and a scale for each"],
    "a base that moves on": COLORS["and a scale for each"] | {"reference_flow": True},
}
KINDS: dict[str, dict[str, Any]] = {"frames": {"predicts": "x0", "reference": "frames"}, "residuals": RESIDUALS}


def collections(name: str) -> tuple[AbstractVideos, AbstractVideos]:
    """What is trained on, and what is held out."""
    if name == "strokes":
        return MovingStrokes(20000, 20, seed=0), MovingStrokes(100, 20, seed=HELD_OUT_SEED)
    if name == "streets":
        return DrivingScenes(20000, 20, seed=0), DrivingScenes(100, 20, seed=HELD_OUT_SEED)
    train, _, held_out = name.partition("=")
    return MemmapVideos(train), MemmapVideos(held_out)


def model_of(kind: dict[str, Any], size: int, channels: int) -> MCVD:
    """An untrained one."""
    conditioning = {"class_path": "mcvd.nets.Concat", "init_args": {"tell_motion": kind["reference"] == "context"}}
    init_args = {"width": 24, "multipliers": [1, 1, 2, 3], "num_blocks": 1, "attention_levels": [3]}
    init_args |= {"head_channels": 24, "conditioning": conditioning}
    config = {
        "block": {"past": 2, "current": 5, "future": 2},
        "size": [size, size],
        "channels": channels,
        "net": {"class_path": "mcvd.nets.UNet", "init_args": init_args},
        "schedule": {"class_path": "mcvd.noise.Cosine"},
        "masking": {"p_past": 0.25, "p_future": 0.5},
    }
    torch.manual_seed(0)
    model = mcvd.build(config | kind).train()
    assert isinstance(model, MCVD)
    return model


def learn(
    name: str, kind: dict[str, Any], train: ClipDataset, held_out: Tensor, marks: list[float], num_samples: int
) -> None:
    """Train, and score at each mark, in minutes."""
    model = model_of(kind, held_out.shape[-1], held_out.shape[2])
    averages = copy.deepcopy(model).eval()
    optimizer = Muon(model.parameters(), lr=LEARNING_RATE)
    rates = [group["lr"] for group in optimizer.param_groups]
    spent, step = 0.0, 0
    for mark in marks:
        while spent < 60 * mark:
            rows = [*range(step * BATCH, (step + 1) * BATCH)]
            video = torch.stack([train[row]["video"] for row in rows])
            begin = time.process_time()
            if model.denoiser.reference is not None and step < MEASURED_STEPS:
                model.denoiser.measure(*model.block.split(model_from_pixels(video)))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * min(1, (step + 1) / WARM_UP)
            optimizer.zero_grad()
            model.loss({"video": video, "index": rows}).mean().backward()
            optimizer.step()
            average(averages, model, min(0.995, (1 + step) / (10 + step)))
            spent += time.process_time() - begin
            step += 1
        print(f"| {name} | {mark:g} | {step} | {' | '.join(scores(averages, held_out, num_samples))} |", flush=True)


@torch.no_grad()
def average(averages: MCVD, model: MCVD, decay: float) -> None:
    """One step of the moving average."""
    for mean, now in zip(averages.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)


def scores(model: MCVD, clips: Tensor, num_samples: int) -> list[str]:
    """CRPS, that of the repeated frame, and PSNR of the mean and of the repeated frame."""
    past, truth, _ = model.block.split(clips)
    made = model.predict(past, model.block.current, num_samples=num_samples, sampler=SASolver(CALLS), seed=0)
    repeated = past[:, -1:].expand_as(truth)
    mean = made.float().mean(1).round().to(torch.uint8)
    return [
        f"{crps(made, truth).mean():.2f}",
        f"{(repeated.float() - truth.float()).abs().mean():.2f}",
        f"{psnr_per_frame(mean, truth).mean():.2f}",
        f"{psnr_per_frame(repeated, truth).mean():.2f}",
    ]


def main() -> None:
    """Train both kinds on each collection."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.5, 1.0, 2.0, 4.0])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--floors", type=float, nargs="+", default=[])
    parser.add_argument("--colors", action="store_true")
    parser.add_argument("--flow", action="store_true")
    options = parser.parse_args()
    kinds = {f"residuals, {floor:g}": RESIDUALS | {"reference_floor": floor} for floor in options.floors}
    kinds = kinds or (FLOW if options.flow else COLORS if options.colors else KINDS)
    for name in options.data:
        train, held_out = collections(name)
        side = 32 if name == "strokes" else 64
        spec = ClipSpec(9, (side, side), train.channels)
        found = find_clips(train, spec)
        clips = ClipDataset(train, spec, RandomClips(found, spec, seed=0))
        even = ClipDataset(held_out, spec, EvenClips(find_clips(held_out, spec), options.clips))
        video = torch.stack([even[number]["video"] for number in range(len(even))])
        print(f"\n{name}, {len(video)} held-out clips\n")
        print("| diffused | minutes | steps | CRPS | repeated frame | PSNR of the mean | repeated frame |")
        print("|---" * 7 + "|")
        for title, kind in kinds.items():
            learn(title, kind, clips, video, sorted(options.minutes), options.samples)


if __name__ == "__main__":
    main()
