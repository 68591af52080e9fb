"""The picture of docs/guides.md: streets predicted with and without a known frame.

python tools/figures/keyframes_picture.py --out docs/images/keyframes.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.video.contact_sheet import contact_sheet

NUM_FRAMES, KEYFRAME = 5, 4
STREETS = (1, 5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    model, streets = mcvd.load(), DrivingScenes(max(STREETS) + 1, seed=9)
    frames = range(10, 10 + model.block.past + NUM_FRAMES)
    clips = torch.stack([streets.read(number, frames, model.size) for number in STREETS])
    past, known = clips[:, : model.block.past], {KEYFRAME: clips[:, -1]}
    methods = {"not used": {}, "replacement": {"known": known, "known_by": "replacement"}, "motion": {"known": known}}
    videos = {name: model.predict(past, NUM_FRAMES, progress=False, **how) for name, how in methods.items()}
    rows = {}
    for number, clip in enumerate(clips):
        rows[f"street {number + 1}"] = clip
        rows |= {f"{name} {number + 1}": torch.cat([past[number], video[number]]) for name, video in videos.items()}
    given = [*range(model.block.past), model.block.past + KEYFRAME]
    contact_sheet(rows, context=given, min_height=64).save(options.out)


if __name__ == "__main__":
    main()
