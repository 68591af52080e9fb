"""Tables for the card of the model in the box: its tasks on filmed and on invented clips, beside simple answers.

python tools/studies/box_card.py --data rover=DATA/val/sim_rover road=DATA/val/road streets= --out box.json

A name without a folder takes invented streets of a seed that the model was not trained on. Beside PSNR and SSIM, means
over clips, there are the squared error over all clips relative to that of copying a frame (in a gap: of cross-fading),
and two measures of sharpness: `detail`, the strength of the finest differences relative to the truth's (a blur is below
1, noise above), and `edges`, their correlation with the truth's (an edge in the wrong place does not count).
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import bootstrap
from torch import Tensor
from torch.nn.functional import conv2d

import mcvd
from mcvd.data.datamodule import VideoData
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.data.video_clips import collect_clips
from mcvd.evaluation.baselines import generate_baselines
from mcvd.evaluation.batch import SampledBatch
from mcvd.evaluation.evaluate import evaluate
from mcvd.metrics.frames import mean_of_samples, mean_squared_error
from mcvd.models.load import BOX

UNSEEN_SEED = 2  # 0 trained, 1 validated
LAPLACE = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
TASKS = ("predict", "backward", "interpolate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BOX)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--num-frames", type=int, help="frames to make (default: one block)")
    parser.add_argument("--num-clips", type=int, default=48)
    parser.add_argument("--num-samples", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20, help="network calls for each block, of DDPM")
    parser.add_argument("--out", type=Path, help="also write all scores as JSON")
    args = parser.parse_args()

    model = mcvd.load(args.model)
    num_frames = args.num_frames or model.block.current
    everything = {}
    for name, _, folder in (item.partition("=") for item in args.data):
        videos = VideoFolder(folder) if folder else DrivingScenes(args.num_clips, seed=UNSEEN_SEED)
        length = model.block.past + num_frames + model.block.future
        facts = {"num_frames": length, "size": model.size, "frame_rate_hz": model.frame_rate_hz}
        data = VideoData(train=videos, val=videos, max_val_clips=args.num_clips, **facts)
        clips = collect_clips(data)
        for task in args.tasks:
            scores = score(model, clips, task, num_frames, args.num_samples, args.steps)
            everything[f"{name}, {task}"] = scores
            print(format_markdown(name, scores), flush=True)
            if args.out:
                args.out.write_text(json.dumps(everything, indent=1) + "\n")


class Sharpness:
    """Squared error and measures of sharpness of each row, clip by clip: an accumulator of `evaluate`."""

    def __init__(self, baselines: tuple[str, ...]) -> None:
        self._baselines = baselines
        self.sharpness: dict[str, list[np.ndarray]] = {}
        self.errors: dict[str, list[np.ndarray]] = {}

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch."""
        videos = {"one_sample": batch.samples, "mean_of_K": mean_of_samples(batch.samples)[:, None]}
        simple = generate_baselines(self._baselines, batch.past, batch.future, batch.target.shape[1])
        for row, video in (videos | {name: video[:, None] for name, video in simple.items()}).items():
            self.sharpness.setdefault(row, []).append(detail_and_edges(video, batch.target))
            error = mean_squared_error(video, batch.target[:, None]).mean((1, 2))
            self.errors.setdefault(row, []).append(error.numpy())


def score(model: mcvd.MCVD, clips: Tensor, task: str, num_frames: int, num_samples: int, steps: int) -> dict:
    """`evaluate`'s scores as JSON holds them, each row with its squared error and its measures of sharpness."""
    simple = {"predict": ("copy_last",), "backward": ("copy_first",), "interpolate": ("copy_last", "blend")}[task]
    found = Sharpness(simple)
    options = {"num_frames": num_frames, "num_samples": num_samples, "sampler": mcvd.samplers.DDPM(num_steps=steps)}
    scores = evaluate(model, clips, task, progress=True, accumulators=[found], **options).to_json()
    error_of = {row: np.concatenate(parts) for row, parts in found.errors.items()}
    for row, parts in found.sharpness.items():
        figures = scores["rows"][row]
        for measure, values in zip(("detail", "edges"), np.concatenate(parts).T, strict=True):
            figures |= with_interval(measure, np.mean, values)
        figures |= with_interval("error", _ratio_of_means, error_of[row], error_of[simple[-1]])
    return scores


def with_interval(name: str, statistic: Callable[..., float], *values: np.ndarray) -> dict[str, object]:
    """A statistic of values of clips, and its 95% bootstrap interval; several values of a clip stay together."""
    drawn = bootstrap(values, statistic, n_resamples=1000, method="percentile", rng=0, paired=True, vectorized=False)
    interval = drawn.confidence_interval
    return {name: float(statistic(*values)), f"{name}_interval": [interval.low, interval.high]}


def _ratio_of_means(ours: np.ndarray, theirs: np.ndarray) -> float:
    return ours.mean() / theirs.mean()


def detail_and_edges(videos: Tensor, truth: Tensor) -> np.ndarray:
    """Strength of fine differences relative to the truth's, and their correlation with the truth's; (B, 2).

    Args:
        videos: (B, K, T, C, H, W), 0 to 255.
        truth: (B, T, C, H, W), 0 to 255.
    """
    made, true = _fine(videos), _fine(truth)[:, None]
    detail = (made.square().mean((2, 3, 4)) / true.square().mean((2, 3, 4))).sqrt().mean(1)
    edges = torch.cosine_similarity(made.flatten(2), true.flatten(2).expand_as(made.flatten(2)), dim=2).mean(1)
    return torch.stack([detail, edges], 1).double().numpy()


def _fine(video: Tensor) -> Tensor:
    """Laplacian of the mean over colours: (..., T, C, H, W) -> (..., T, H - 2, W - 2)."""
    grey = video.float().mean(-3)
    return conv2d(grey.flatten(0, -3)[:, None], LAPLACE[None, None]).reshape(
        *grey.shape[:-2], grey.shape[-2] - 2, grey.shape[-1] - 2
    )


def format_markdown(name: str, scores: dict) -> str:
    """One table: rows of the model and of simple answers, each figure with its 95% interval over clips."""
    lines = [
        f"\n**{name}, {scores['task']}** ({scores['num_clips']} clips, {scores['num_frames']} frames, "
        f"{scores['num_calls']} network calls)\n",
        "| | PSNR dB | SSIM | squared error, relative | detail | edges |",
        "|---|---|---|---|---|---|",
    ]
    for values in scores["rows"].values():
        cells = [_cell(values, measure, digits) for measure, digits in _DIGITS.items()]
        lines.append(f"| {values['title']} | {' | '.join(cells)} |")
    return "\n".join(lines)


_DIGITS = {"psnr": 2, "ssim": 3, "error": 2, "detail": 2, "edges": 2}


def _cell(values: dict, measure: str, digits: int) -> str:
    if measure not in values:
        return ""
    low, high = values[f"{measure}_interval"] or (float("nan"), float("nan"))
    return f"{values[measure]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
