"""Scores models on frames larger than those that they were trained on, beside the repeated frame.

    python tools/studies/bundled_films.py DATA films-128 --scale 2
    python tools/studies/sizes.py films-128/heldout --size 128 128

Each model predicts 5 frames, at its own size, enlarged bilinearly, and at the size that is asked for. CRPS in grey
levels (less is better) and PSNR of the samples' mean in dB, means over the clips of a kind that move (see
`bundled_scores.py`) and then over kinds; ``--out`` keeps the numbers of each kind as JSON.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean

from bundled_scores import even_clips, still
from torch import Tensor

import mcvd
from mcvd.data import ClipSpec
from mcvd.diffusion.super_resolution import enlarged, reduced
from mcvd.frames import model_from_pixels, pixels_from_model
from mcvd.metrics.ensemble import crps
from mcvd.metrics.frames import mean_of_samples, psnr_per_frame
from mcvd.models.video_model import VideoModel

NUM_FRAMES = 5


def moving_clips(pack: Path, num_past: int, size: tuple[int, int], num_clips: int) -> Tensor:
    """Evenly spread clips of a pack that do not stand still, uint8 (N, num_past + NUM_FRAMES, 3, H, W)."""
    clips = even_clips(pack, ClipSpec(num_past + NUM_FRAMES, size, 3), num_clips)
    return clips[~still(clips, num_past, NUM_FRAMES)]


def predicted(model: VideoModel, past: Tensor, num_samples: int) -> Tensor:
    """Samples of the next frames at the size of ``past``, uint8 (B, K, NUM_FRAMES, C, H, W); a model of another size
    sees its frames reduced, and what it makes is enlarged."""
    size = (past.shape[-2], past.shape[-1])
    given = past if model.size == size else reduced(past, model.size)
    made = model.predict(given, NUM_FRAMES, num_samples=num_samples)
    if model.size == size:
        return made
    flat = pixels_from_model(enlarged(model_from_pixels(made.flatten(0, 1)), size))
    return flat.unflatten(0, made.shape[:2])


def scores(samples: Tensor, target: Tensor) -> dict[str, float]:
    """Of samples (B, K, T, C, H, W) against the truth (B, T, C, H, W)."""
    mean = mean_of_samples(samples)[:, None]
    return {"crps": crps(samples, target).mean().item(), "psnr": psnr_per_frame(mean, target[:, None]).mean().item()}


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path)
    parser.add_argument("--models", nargs="+", default=["bundled"])
    parser.add_argument("--size", type=int, nargs=2, default=(128, 128), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--clips", type=int, default=3, help="of each kind")
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--out", type=Path, help="JSON of all numbers")
    arguments = parser.parse_args()
    size = (arguments.size[0], arguments.size[1])
    models = {}
    for name in arguments.models:
        own = mcvd.load(name)
        if own.size != size:
            models[f"{name} at {own.size[0]}x{own.size[1]}, enlarged"] = own
        models[f"{name} at {size[0]}x{size[1]}"] = mcvd.load(name, size=size)
    num_past = next(iter(models.values())).block.past
    result: dict[str, dict[str, dict[str, float]]] = {}
    for pack in sorted(path for path in arguments.films.iterdir() if path.is_dir()):
        clips = moving_clips(pack, num_past, size, arguments.clips)
        if not len(clips):
            continue
        past, target = clips[:, :num_past], clips[:, num_past:]
        repeated = past[:, -1:, None].expand(-1, 1, NUM_FRAMES, *past.shape[2:])
        rows = {"repeated frame": scores(repeated, target)}
        for name, model in models.items():
            rows[name] = scores(predicted(model, past, arguments.samples), target)
        result[pack.name] = rows
        print(pack.name, {name: {key: round(value, 2) for key, value in row.items()} for name, row in rows.items()})
    print("\n| predicted by | CRPS | PSNR of the mean | better than the repeated frame by CRPS, PSNR, on kinds |")
    print("|---|---|---|---|")
    for name in result[next(iter(result))]:
        rows, simple = [kind[name] for kind in result.values()], [kind["repeated frame"] for kind in result.values()]
        wins = [
            sum(row["crps"] < each["crps"] for row, each in zip(rows, simple, strict=True)),
            sum(row["psnr"] > each["psnr"] for row, each in zip(rows, simple, strict=True)),
        ]
        told = "" if name == "repeated frame" else f"{wins[0]}, {wins[1]} of {len(rows)}"
        crps_of_all, psnr_of_all = (fmean(row[key] for row in rows) for key in ("crps", "psnr"))
        print(f"| {name} | {crps_of_all:.2f} | {psnr_of_all:.2f} | {told} |")
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
