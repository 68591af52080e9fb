"""How much of what changes in a film the optical flow of its context tells beforehand, kind by kind.

    python tools/studies/motion_explained.py MODEL films/heldout [films/strangers ...] [--clips 6]

The squared error of what a model with ``reference_flow`` expects before its network says anything, over that of the
repeated frame (in gaps, of the cross-fade): with all of the flow relied on, and with as much of it as the model does.
Means of the ratio over clips that move, geometric.
"""

import argparse
from pathlib import Path

import torch
from denoising_error import clips_of
from torch import Tensor

import mcvd
from mcvd.diffusion.reference import ContextReference
from mcvd.frames import Condition

MOVES = 2 / 127.5  # root mean square change of a clip, above which it counts


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("films", type=Path, nargs="+", help="folders with a pack for each kind")
    parser.add_argument("--clips", type=int, default=6, help="of each kind")
    options = parser.parse_args()
    model = mcvd.load(options.model)
    if getattr(model.denoiser.reference, "moving", None) is None:
        parser.error(f"{options.model} has no reference_flow: its base stands still")
    tasks = ("predict", "backward", "gaps")
    print("| kind | " + " | ".join(f"{task}: all of it, as relied on" for task in tasks) + " |\n" + "|---" * 4 + "|")
    for films in options.films:
        found = []
        for folder in sorted(path for path in films.iterdir() if path.is_dir()):
            clips = clips_of(films, model.block.num_frames, model.size, options.clips, [folder.name])
            ratios = explained(model, clips)
            if ratios.isfinite().all():
                found.append(ratios)
                print(row(folder.name, ratios), flush=True)
        print(row(f"mean of {films.name}", torch.stack(found).mean(0)))


@torch.inference_mode()
def explained(model: mcvd.MCVD, clips: Tensor) -> Tensor:
    """Ratios (3, 2): for each task with all of the flow, and with what the model relies on; NaN if nothing moves."""
    past, current, future = model.block.split(clips)
    visible, reference = Condition.visible(past, future), model.denoiser.reference
    assert isinstance(reference, ContextReference) and reference.moving is not None
    relied_on, found = reference.moving.reliance.clone(), []
    for condition in (visible.null(past=False), visible.null(future=False), visible):
        errors = []
        for reliance in (torch.zeros_like(relied_on), torch.ones_like(relied_on), relied_on):
            reference.moving.reliance.copy_(reliance)
            errors.append((reference(condition).base - current).square().flatten(1).mean(1))
        moves = errors[0].sqrt() > MOVES
        found.append(torch.stack([(error / errors[0])[moves].log().mean().exp() for error in errors[1:]]))
    return torch.stack(found)


def row(name: str, ratios: Tensor) -> str:
    """Of the table."""
    return f"| {name} | " + " | ".join(f"{whole:.2f}, {part:.2f}" for whole, part in ratios.tolist()) + " |"


if __name__ == "__main__":
    main()
