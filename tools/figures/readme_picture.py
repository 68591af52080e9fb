"""The picture of the README: held-out streets, and what a model predicts from their first frames.

python tools/figures/readme_picture.py --model mcvd/box --out docs/images/demo.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import mcvd
from mcvd.apps.demo import held_out_clips
from mcvd.video.contact_sheet import contact_sheet

NUM_FRAMES = 10
SCENES = (0, 3, 7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    model = mcvd.load(options.model)
    num_past = model.block.past
    clips = held_out_clips(model, max(SCENES) + 1, NUM_FRAMES)[list(SCENES), : num_past + NUM_FRAMES]
    samples = model.predict(clips[:, :num_past], NUM_FRAMES, seed=0)
    rows = {}
    for number, (clip, video) in enumerate(zip(clips, samples, strict=True), start=1):
        rows[f"target {number}"] = clip
        rows[f"sample {number}"] = torch.cat([clip[:num_past], video])
    contact_sheet(rows, context=range(num_past), min_height=64).save(options.out)


if __name__ == "__main__":
    main()
