"""How far the speed of a camera tells its next one, in film and in moves over photographs.

    python tools/studies/steadiness.py films/train films/strangers [--photos photos] [--clips 12]

From the median optical flow of each two neighbouring frames at 64x64 and 10 frames a second: the part of a speed that
goes on in the next frame (least squares), and the root mean square of what that leaves, over the speed's, for speeds of
some pixels a frame. A camera on rails has 1 and 0, one that forgets everything 0, one that swings back less than 0.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import torch
from denoising_error import clips_of
from torch import Tensor

from mcvd.data import MovingStills
from mcvd.diffusion.optical_flow import optical_flow

BOUNDS = (0.5, 1.5, 4.0, 16.0)  # pixels a frame
NUM_FRAMES, SIZE = 9, (64, 64)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path, nargs="+", help="folders with a pack for each kind")
    parser.add_argument("--photos", type=Path, help="a folder of pictures, for MovingStills")
    parser.add_argument("--clips", type=int, default=12, help="of each kind")
    options = parser.parse_args()
    ranges = [f"{low:g} to {high:g} pixels" for low, high in pairwise(BOUNDS)]
    print("| | " + " | ".join(ranges) + " |\n" + "|---" * len(BOUNDS) + "|")
    for films in options.films:
        print(row(films.name, speeds_of(clips_of(films, NUM_FRAMES, SIZE, options.clips))), flush=True)
    if options.photos:
        drawn = MovingStills(options.photos, num_videos=20 * options.clips, num_frames=NUM_FRAMES)
        clips = torch.stack([drawn.read(each, range(NUM_FRAMES), SIZE) for each in range(len(drawn))])
        print(row("moves over photographs", speeds_of(clips / 127.5 - 1)))


def speeds_of(clips: Tensor) -> Tensor:
    """Pixels a frame, right and down, of two frames one after the other: float (M, 2), of clips (B, T, C, H, W)."""
    flows = optical_flow(clips[:, :-1].flatten(0, 1), clips[:, 1:].flatten(0, 1))
    speeds = flows.flatten(2).median(2).values.unflatten(0, (len(clips), -1))
    return torch.stack([speeds[:, :-1].flatten(), speeds[:, 1:].flatten()], 1)


def row(name: str, speeds: Tensor) -> str:
    """Of the table."""
    cells = []
    for low, high in pairwise(BOUNDS):
        now, then = speeds[(speeds[:, 0].abs() >= low) & (speeds[:, 0].abs() < high)].T
        goes_on = (now * then).sum() / now.square().sum()
        rest = ((then - goes_on * now).square().sum() / now.square().sum()).sqrt()
        cells.append(f"{goes_on:.2f}, {rest:.2f} ({len(now)})")
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
