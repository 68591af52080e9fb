"""Follow quality and brightness along a rollout of hundreds of frames.

    python tools/drift.py --out drift.json --plot drift.svg --data datasets/moving_strokes/data.yaml \\
        --rollout "clean context=runs/strokes/run-1,UniPC,10,0" \\
        --rollout "context noise 0.1=runs/strokes/run-1,UniPC,10,0.1"

A rollout is NAME=MODEL,SAMPLER,STEPS,CONTEXT_NOISE. The data must be drawn, not filmed: their videos are
made as long as the rollout. For windows of frames the tool prints, beside the same figures of the truth, the mean
brightness, the contrast (standard deviation within frames) and the sharpness (mean difference between neighbouring
pixels), all in grey levels, and the PSNR against the truth, which tells most in the first frames.
"""

import argparse
import json
from pathlib import Path

import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor

import mcvd
from mcvd import samplers
from mcvd.data.videos import AbstractVideos
from mcvd.metrics.frames import psnr_per_frame


def curves(video: Tensor) -> dict[str, list[float]]:
    """For each frame of uint8 (B, T, C, H, W), the mean over videos of what can be seen without a truth."""
    x = video.float()
    across, down = x.diff(dim=-1).abs().mean((2, 3, 4)), x.diff(dim=-2).abs().mean((2, 3, 4))
    figures = {"brightness": x.mean((2, 3, 4)), "contrast": x.std((2, 3, 4)), "sharpness": (across + down) / 2}
    return {name: figure.mean(0).tolist() for name, figure in figures.items()}


def held_out(config: str, num_frames: int) -> AbstractVideos:
    """The validation videos of a data.yaml, as long as wanted."""
    content = yaml.safe_load(Path(config).read_text())["data"]["val"]
    content.setdefault("init_args", {})["num_frames"] = num_frames
    parser = ArgumentParser()
    parser.add_argument("--val", type=AbstractVideos)
    return parser.instantiate(parser.parse_object({"val": content})).val


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollout", action="append", required=True, metavar="NAME=MODEL,SAMPLER,STEPS,NOISE")
    parser.add_argument("--data", required=True, help="data.yaml with a drawn collection")
    parser.add_argument("--num-frames", type=int, default=300)
    parser.add_argument("--num-clips", type=int, default=16)
    parser.add_argument("--window", type=int, default=25, help="frames that a row of the table is the mean of")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    parser.add_argument("--plot", type=Path, help="SVG or PNG (needs matplotlib)")
    options = parser.parse_args()
    results = {}
    for rollout in options.rollout:
        name, _, choices = rollout.partition("=")
        path, sampler, steps, noise = choices.rsplit(",", 3)
        model = mcvd.load(path)
        videos = held_out(options.data, model.block.past + options.num_frames)
        frames = range(model.block.past + options.num_frames)
        clips = torch.stack([videos.read(i, frames, model.size) for i in range(options.num_clips)])
        past, truth = clips[:, : model.block.past], clips[:, model.block.past :]
        with torch.autocast("cpu", torch.bfloat16):
            made = model.predict(
                past,
                options.num_frames,
                sampler=getattr(samplers, sampler)(int(steps)),
                context_noise=float(noise),
                seed=options.seed,
                progress=True,
            )
        results["truth"] = curves(truth)
        results[name] = curves(made) | {"psnr": psnr_per_frame(made, truth).mean(0).tolist()}
        options.out.write_text(json.dumps(results))
        print(table(results, options.window), flush=True)
    if options.plot:
        plot(results, options.plot)


def table(results: dict[str, dict[str, list[float]]], window: int) -> str:
    """Means over the first, the middle and the last window of frames."""
    length = len(results["truth"]["brightness"])
    starts = [0, length // 2 - window // 2, length - window]
    titles = [f"{start + 1} to {start + window}" for start in starts]
    lines = ["| figure | rollout | frames " + " | ".join(titles) + " |", "|---" * 5 + "|"]
    for figure in ("brightness", "contrast", "sharpness", "psnr"):
        for name, found in results.items():
            if figure in found:
                cells = [f"{sum(found[figure][start : start + window]) / window:.2f}" for start in starts]
                lines.append(f"| {figure} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(results: dict[str, dict[str, list[float]]], out: Path) -> None:
    """Each figure against the frame."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figures = ("brightness", "contrast", "sharpness", "psnr")
    drawing, axes = pyplot.subplots(1, len(figures), figsize=(14, 3), layout="constrained")
    for axis, figure in zip(axes, figures, strict=True):
        for name, found in results.items():
            if figure in found:
                axis.plot(found[figure], lw=1, color="black" if name == "truth" else None, label=name)
        axis.set_title(figure)
        axis.set_xlabel("frame")
    axes[0].legend(fontsize=7)
    drawing.savefig(out)


if __name__ == "__main__":
    main()
