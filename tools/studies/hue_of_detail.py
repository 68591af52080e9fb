"""How much samples change in brightness and in hue, coarse and fine, by how much the truth does.

    python tools/studies/hue_of_detail.py box MODEL --films films/heldout films/strangers

Specks of colour are change of hue in fine detail that the film does not have. A table for each model has the root mean
square of what the last frame of a predicted block adds to the last given one, by that of the truth: of grey and of hue,
in detail of 1 to 6 and of 12 to 32 cycles a frame. Clips that stand still, and film without hues, are left out.
"""

import argparse
from pathlib import Path

import torch
from bundled_scores import even_clips, still
from torch import Tensor

import mcvd
from mcvd.data import ClipSpec
from mcvd.diffusion.color_axes import COLORS, mixed
from mcvd.models.load import BOX

CYCLES = {"coarse": (1, 6), "fine": (12, 32)}
LEAST_LEVELS = 0.02  # of hue in the fine detail of the truth: less is grey film


def energy(change: Tensor) -> dict[str, Tensor]:
    """Mean squares (2,), grey and hue, of changes (..., 3, H, W) in levels, by the size of detail."""
    height, width = change.shape[-2:]
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    spectrum = torch.fft.rfft2(mixed(torch.tensor(COLORS), change) * window, norm="ortho").abs().square()
    down, across = torch.fft.fftfreq(height)[:, None] * height, torch.fft.rfftfreq(width) * width
    cycles = (down.square() + across.square()).sqrt()
    found = {}
    for name, (low, high) in CYCLES.items():
        each = spectrum[..., (cycles >= low) & (cycles < high)].mean(-1).flatten(0, -2).mean(0)
        found[name] = torch.stack([each[0], each[1:].mean()])
    return found


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="what mcvd.load takes, or box for the bundled one")
    parser.add_argument("--films", type=Path, nargs="+", required=True, help="folders of packs, one for each kind")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--samples", type=int, default=2)
    options = parser.parse_args()
    for name in options.models:
        model = mcvd.load(BOX if name == "box" else name)
        block = model.block
        print(f"\n{name}\n\n| film | grey, coarse | grey, fine | hue, coarse | hue, fine |\n{'|---' * 5}|")
        for folder in sorted(path for films in options.films for path in films.iterdir() if path.is_dir()):
            clips = even_clips(folder, ClipSpec(block.num_frames, model.size, 3), options.clips)
            clips = clips[~still(clips, block.past, block.current)]
            if not len(clips):
                continue
            past, truth, _ = block.split(clips)
            made = model.predict(past, block.current, num_samples=options.samples, seed=0, progress=False)
            true = energy(truth[:, -1].float() - past[:, -1].float())
            own = energy(made[:, :, -1].float() - past[:, None, -1].float())
            if true["fine"][1].sqrt() < LEAST_LEVELS:
                continue
            ratios = {size: (own[size] / true[size]).sqrt() for size in CYCLES}
            cells = [f"{ratios[size][color]:.2f}" for color in (0, 1) for size in CYCLES]
            print(f"| {folder.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
