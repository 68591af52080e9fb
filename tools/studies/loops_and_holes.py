"""Measure how well loops close and holes are filled: held-out synthetic streets by the bundled model, its own sampler.

    python tools/studies/loops_and_holes.py --sheets FOLDER

A loop of 10 frames after 2 given ones: PSNR between its last and its first frame, beside that of neighbours in it. A
hole of 24x24 pixels in the middle of 5 frames: PSNR in the hole. Contact sheets of two streets go to FOLDER.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.video.contact_sheet import contact_sheet

NUM_STREETS, FIRST, HELD_OUT = 12, 10, 9
LOOP, BLOCK, SHOWN = 10, 5, (1, 5)
HOLE = (..., slice(20, 44), slice(20, 44))


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """In dB, (B,), of uint8 videos or frames (B, ...)."""
    return -10 * ((a.float() - b.float()) / 255).square().flatten(1).mean(1).log10()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    model, streets = mcvd.load(), DrivingScenes(NUM_STREETS, seed=HELD_OUT)
    frames = range(FIRST, FIRST + model.block.past + BLOCK)
    clips = torch.stack([streets.read(number, frames, model.size) for number in range(NUM_STREETS)])
    past, truth = clips.split([model.block.past, BLOCK], 1)
    sheets = {"holes": holes(model, past, truth), "loops": loops(model, past)}
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        for name, rows in sheets.items():
            contact_sheet(rows, min_height=64).save(options.sheets / f"{name}.png")


def holes(model: mcvd.MCVD, past: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Say how near the hole is to the truth, and give the rows of a sheet."""
    keep = torch.ones(model.size, dtype=torch.bool)
    keep[HOLE] = False
    known = {"known": dict(enumerate(truth.unbind(1))), "known_pixels": keep}
    methods = {"not used": {}, "replacement": known | {"known_by": "replacement"}, "default": known}
    made = {name: model.predict(past, BLOCK, progress=False, **how) for name, how in methods.items()}
    plain = psnr(made["not used"][HOLE], truth[HOLE])
    for name, video in made.items():
        gain = psnr(video[HOLE], truth[HOLE]) - plain
        error = gain.std() / len(gain) ** 0.5
        print(f"hole, {name}: {(plain + gain).mean():.2f} dB, {gain.mean():+.2f} ± {error:.2f}", flush=True)
    return {f"{name} {i}": video[i] for i in SHOWN for name, video in ({"truth": truth} | made).items()}


def loops(model: mcvd.MCVD, past: Tensor) -> dict[str, Tensor]:
    """Say how well loops close, and give the rows of a sheet, which end with the beginning."""
    methods = {"no loop": {}, "guidance": {"loop": True, "known_by": "guidance"}, "default": {"loop": True}}
    videos = {}
    for name, how in methods.items():
        video = torch.cat([past, model.predict(past, LOOP, progress=False, **how)], 1)
        seam = psnr(video[:, -1], video[:, 0]).mean()
        steps = torch.stack([psnr(video[:, n + 1], video[:, n]) for n in range(video.shape[1] - 1)], 1)
        print(f"loop, {name}: seam {seam:.2f} dB, widest step in it {steps.amin(1).mean():.2f} dB", flush=True)
        videos[name] = torch.cat([video, past], 1)
    return {f"{name} {i}": video[i] for i in SHOWN for name, video in videos.items()}


if __name__ == "__main__":
    main()
