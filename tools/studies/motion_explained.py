"""How much of what changes in a film the optical flow of two frames tells beforehand, kind by kind.

    python tools/studies/motion_explained.py films/heldout [--clips 10] [--frames 5]

The squared error of the last visible frame, carried on by its flow, over that of the same frame repeated: as it is, and
with the best single weight between both for a kind, which a network can find for each pixel.
"""

import argparse
from pathlib import Path

import torch
from denoising_error import clips_of

from mcvd.diffusion.optical_flow import carry, optical_flow


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path)
    parser.add_argument("--clips", type=int, default=10, help="of each kind")
    parser.add_argument("--frames", type=int, default=5)
    options = parser.parse_args()
    print("| kind | carried | best weight | its error |\n|---|---|---|---|")
    for folder in sorted(path for path in options.films.iterdir() if path.is_dir()):
        clips = clips_of(options.films, 2 + options.frames, (64, 64), options.clips, [folder.name])
        before, last, truth = clips[:, 0], clips[:, 1], clips[:, 2:]
        flow = optical_flow(last, before)
        carried = torch.stack([carry(last, step * flow) for step in range(1, options.frames + 1)], 1)
        change, told = truth - last[:, None], carried - last[:, None]
        weight = (change * told).sum() / told.square().sum().clamp(min=1e-9)
        whole = change.square().sum()
        errors = ((change - told).square().sum() / whole, (change - weight * told).square().sum() / whole)
        print(f"| {folder.name} | {errors[0]:.2f} | {weight:.2f} | {errors[1]:.2f} |")


if __name__ == "__main__":
    main()
