"""What becomes of rollouts, kind by kind: contrast, sharpness and motion of their frames by those of the film.

    python tools/studies/rollouts.py MODEL films/heldout [--num-frames 60] [--window 15] [--sampler UniPC:8:0.15]

MODEL is anything that `mcvd.load` takes; a sampler is named with its calls and the noise that it ends at (`sigma_min`),
the model's own without. Each rollout begins with the first frames of one of the clips that lie evenly in the films of a
kind (for "streets", of drawn ones) and its last frames are compared with all frames of that clip, so 1 is best. Motion
is all that changes from frame to frame, movement what optical flow between the two explains of that. What to look
for is sharpness above 1.5, which is grain, motion near 0, which is a frozen picture, and motion without movement, which
is flicker.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from bundled_scores import even_clips
from drift import curves
from torch import Tensor

import mcvd
from mcvd.data import ClipSpec
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.diffusion.optical_flow import carry, optical_flow
from mcvd.frames import model_from_pixels
from mcvd.samplers import LogSNR
from mcvd.samplers.select import sampler_by_name

FIGURES = ("contrast", "sharpness", "motion", "movement")
LEAST = 0.01  # of a ratio: nothing moved, and a mean of logarithms is wanted
NUM_STREETS = 4


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("films", type=Path, help="a folder with a pack for each kind")
    parser.add_argument("--num-frames", type=int, default=60)
    parser.add_argument("--window", type=int, default=15, help="frames at the end that are looked at")
    parser.add_argument("--clips", type=int, default=2, help="of each kind")
    parser.add_argument("--sampler", help="NAME:CALLS:SIGMA_MIN")
    options = parser.parse_args()
    model = mcvd.load(options.model)
    sampler = None
    if options.sampler:
        named, _, sigma_min = options.sampler.rpartition(":")
        spacing = LogSNR(sigma_min=float(sigma_min))
        sampler = replace(sampler_by_name(named), spacing=spacing)  # type: ignore[type-var]
    spec = ClipSpec(model.block.num_frames, model.size, 3)
    clips = {
        folder.name: even_clips(folder, spec, options.clips)
        for folder in sorted(options.films.iterdir())
        if folder.is_dir()
    }
    streets = DrivingScenes(NUM_STREETS, spec.num_frames, seed=1)
    clips["streets"] = torch.stack([streets.read(i, range(spec.num_frames), model.size) for i in range(len(streets))])
    print("| kind | " + " | ".join(FIGURES) + " |\n" + "|---" * (1 + len(FIGURES)) + "|")
    found = []
    for kind, each in clips.items():
        past = each[:, : model.block.past]
        made = model.predict(past, options.num_frames, sampler=sampler, seed=0)
        video = torch.cat([past, made], 1)
        ends = of_frames(video[:, -options.window - 1 :])
        found.append(ends / of_frames(each))
        print(row(kind, found[-1]), flush=True)
    print(row("mean", torch.stack(found).clamp(min=LEAST).log().mean(0).exp()))
    sharpness = torch.stack(found)[:, FIGURES.index("sharpness")]
    print(f"sharpness above 1.5 on {int((sharpness > 1.5).sum())} of {len(found)}")


def of_frames(videos: Tensor) -> Tensor:
    """The figures of uint8 videos (B, T, C, H, W), means over all frames but the first: (4,)."""
    found = curves(videos[:, 1:], videos[:, :1])
    found["movement"] = [movement(video) for video in videos]
    return torch.tensor([fmean(found[name]) for name in FIGURES])


def movement(video: Tensor) -> float:
    """Of one, (T, C, H, W): the root mean square difference of neighbours, less what flow leaves of it, grey levels."""
    frames = model_from_pixels(video)
    here, before = frames[1:], frames[:-1]
    left = carry(before, optical_flow(here, before))
    sizes = [(each - here).square().mean((1, 2, 3)).sqrt() for each in (before, left)]
    return 127.5 * (sizes[0] - sizes[1]).clamp(min=0).mean().item()


def row(name: str, ratios: Tensor) -> str:
    """Of the table."""
    return f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios.tolist()) + " |"


if __name__ == "__main__":
    main()
