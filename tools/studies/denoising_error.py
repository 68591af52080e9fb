"""How far a model's clean estimates lie from the truth at each noise level, on held-out film of every kind.

    python tools/studies/denoising_error.py films/heldout MODEL [MODEL ...] [--clips 3]

Prediction from the visible past. Noise and errors are root mean squares in units of what the model diffuses: residuals
at the scale of what moves there, or frames. Models that diffuse the same can be compared; the noise is the same for
all.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import mcvd
from mcvd.data import ClipDataset, ClipSpec, MemmapVideos
from mcvd.data.clips.sampling import EvenClips
from mcvd.data.clips.spec import find_clips
from mcvd.frames import Condition, model_from_pixels

TIMES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)


def clips_of(films: Path, num_frames: int, size: tuple[int, int], each: int, kinds: Sequence[str] = ()) -> Tensor:
    """So many clips of each kind, or of these kinds, evenly spread, float (N, T, 3, H, W)."""
    spec, clips = ClipSpec(num_frames, size, 3), []
    for folder in sorted(path for path in films.iterdir() if path.is_dir() and path.name in (kinds or [path.name])):
        videos = MemmapVideos(folder)
        dataset = ClipDataset(videos, spec, EvenClips(find_clips(videos, spec), each))
        clips += [dataset[i]["video"] for i in range(len(dataset))]
    return model_from_pixels(torch.stack(clips))


@torch.inference_mode()
def errors(model, clips: Tensor) -> list[tuple[float, float]]:
    """(noise over signal, error) at each of the times."""
    past, current, future = model.block.split(clips)
    condition = Condition.visible(past, future).null(past=False)
    reference = model.denoiser.reference
    clean = current if reference is None else reference(condition).from_frames(current)
    denoise = model.denoiser.bind(condition)
    noise = model.denoiser.shaped(
        torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)), torch.ones(len(clean))
    )
    found = []
    for time in TIMES:
        t = torch.full((len(clean),), time)
        at = model.denoiser.schedule(t).like(clean)
        estimate = denoise(at.alpha * clean + at.sigma * noise, t)
        level = (at.sigma / at.alpha).flatten()[0].item()
        found.append((level, (estimate - clean).square().mean().sqrt().item()))
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--clips", type=int, default=3, help="of each kind")
    options = parser.parse_args()
    models = [mcvd.load(name) for name in options.models]
    clips = clips_of(options.films, models[0].block.num_frames, models[0].size, options.clips)
    columns = [errors(model, clips) for model in models]
    print(f"| noise | {' | '.join(options.models)} |\n|---" + "|---" * len(models) + "|")
    for row in zip(*columns, strict=True):
        print(f"| {row[0][0]:.2f} | {' | '.join(f'{error:.3f}' for _, error in row)} |")


if __name__ == "__main__":
    main()
