"""Scores a model on held-out film of every kind, beside repeating a frame and cross-fading.

    python tools/studies/bundled_scores.py MODEL films/heldout [--clips 6] [--samples 10] [--out scores.json]

MODEL is anything that `mcvd.load` takes, or "box" for the bundled one. Clips lie evenly in the films of a kind; numbers
are means over them, as `mcvd evaluate` has them: `simple` is the baseline, a repeated frame or in a gap the cross-fade;
`error_ratio` the squared error of one sample by the baseline's; `motion` and `sharpness` are relative to the truth's.
Clips that stand still, in which the truth differs from the repeated frame by less than 2 levels, are told apart from
those that move.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

import mcvd
from mcvd.data import ClipDataset, ClipSpec, MemmapVideos
from mcvd.data.clips.sampling import EvenClips
from mcvd.data.clips.spec import find_clips
from mcvd.diffusion.tasks import task_by_name
from mcvd.evaluation.evaluate import evaluate
from mcvd.evaluation.likelihood import TrueLikelihood
from mcvd.evaluation.scores import Scores
from mcvd.metrics.frame_metrics import PSNR, SSIM, FrameMetric
from mcvd.metrics.frames import mean_squared_error
from mcvd.models.load import BOX

STILL_LEVELS = 2.0
SIMPLE = {"predict": "copy_last", "backward": "copy_first", "interpolate": "blend"}
ERROR = FrameMetric("error", "squared error", 5, mean_squared_error, higher_is_better=False)
ROWS = (
    "clips", "psnr", "psnr_mean", "psnr_simple", "ssim", "ssim_simple", "crps", "crps_simple", "spread_skill",
    "error_ratio", "motion", "sharpness", "bits",
)  # fmt: skip


def table(scores: Scores, simple: str) -> dict[str, float | None]:
    """The numbers of one kind of clips."""
    rows, ensemble = scores.rows, scores.ensemble
    error, error_of_simple = (rows[name].scores["error"].mean for name in ("one_sample", simple))
    found = {
        "psnr": rows["one_sample"].scores["psnr"].mean,
        "psnr_mean": rows["mean_of_K"].scores["psnr"].mean if "mean_of_K" in rows else None,
        "psnr_simple": rows[simple].scores["psnr"].mean,
        "ssim": rows["one_sample"].scores["ssim"].mean,
        "ssim_simple": rows[simple].scores["ssim"].mean,
        "crps": ensemble.rows["samples"].scores["crps"].mean,
        "crps_simple": ensemble.rows[simple].scores["crps"].mean,
        "spread_skill": ensemble.calibration and ensemble.calibration.spread_skill,
        "error_ratio": error / error_of_simple if error_of_simple else None,
        "motion": ensemble.relative("motion"),
        "sharpness": ensemble.relative("sharpness"),
    }
    return {"clips": scores.num_clips} | {name: value and round(value, 3) for name, value in found.items()}


def even_clips(pack: Path, spec: ClipSpec, num_clips: int) -> Tensor:
    """Clips that lie evenly in the films of a pack, uint8 (N, T, C, H, W)."""
    videos = MemmapVideos(pack)
    dataset = ClipDataset(videos, spec, EvenClips(find_clips(videos, spec), num_clips))
    return torch.stack([dataset[i]["video"] for i in range(len(dataset))])


def still(clips: Tensor, num_past: int, num_frames: int) -> Tensor:
    """Which clips (N, T, C, H, W) stand still, bool (N,)."""
    truth, before = clips[:, num_past : num_past + num_frames].float(), clips[:, num_past - 1 : num_past].float()
    return (truth - before).abs().mean((1, 2, 3, 4)) < STILL_LEVELS


def markdown(task: str, kinds: dict[str, dict[str, float | None]]) -> list[str]:
    """The numbers of a task as a table for a card; what is better than the baseline is bold."""
    simple = "cross-fade" if task == "interpolate" else "repeated frame"
    lines = [
        f"| {task} | clips | PSNR: {simple} | one sample | mean of K | CRPS: {simple} | samples | spread / skill "
        "| squared error | motion | sharpness |",
        "|---" * 11 + "|",
    ]
    for kind, row in kinds.items():
        cells = [f"{kind}", f"{row['clips']}", f"{row['psnr_simple']:.2f}", f"{row['psnr']:.2f}"]
        wins = row["psnr_mean"] > row["psnr_simple"], row["crps"] < row["crps_simple"]
        mean, crps = f"{row['psnr_mean']:.2f}", f"{row['crps']:.2f}"
        cells += [f"**{mean}**" if wins[0] else mean, f"{row['crps_simple']:.2f}", f"**{crps}**" if wins[1] else crps]
        ratios = (row[name] for name in ("spread_skill", "error_ratio", "motion", "sharpness"))
        cells += ["" if each is None else f"{each:.2f}" for each in ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("films", type=Path)
    parser.add_argument("--clips", type=int, default=6, help="of each kind")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", default=list(SIMPLE))
    parser.add_argument("--kinds", nargs="+")
    parser.add_argument("--sampler", help="such as UniPC:10; the model's own without")
    parser.add_argument("--bits", action="store_true", help="of the true frames, per dimension: takes minutes a kind")
    parser.add_argument("--out", type=Path, help="JSON of all numbers; FILE.md beside it holds them as tables")
    arguments = parser.parse_args()
    model = mcvd.load(BOX if arguments.model == "box" else arguments.model)
    sampler = None
    if arguments.sampler:
        name, steps = arguments.sampler.split(":")
        sampler = getattr(mcvd.samplers, name)(num_steps=int(steps))
    block = model.block
    spec = ClipSpec(block.past + arguments.frames + block.future, model.size, 3)
    result: dict[str, dict[str, dict[str, float | None]]] = {task: {} for task in arguments.tasks}
    for folder in sorted(path for path in arguments.films.iterdir() if path.is_dir()):
        if arguments.kinds and folder.name not in arguments.kinds:
            continue
        clips = even_clips(folder, spec, arguments.clips)
        stands = still(clips, block.past, arguments.frames)
        for kind, chosen in ((folder.name, clips[~stands]), (f"{folder.name} still", clips[stands])):
            for task in arguments.tasks if len(chosen) else ():
                begin = 0 if task_by_name(task).gives_past else block.past
                options = {"num_frames": arguments.frames, "num_samples": arguments.samples, "sampler": sampler}
                found = [TrueLikelihood(model, task_by_name(task))] if arguments.bits else []
                options |= {"metrics": [PSNR, SSIM, ERROR], "thresholds": (), "accumulators": found}
                result[task][kind] = table(evaluate(model, chosen[:, begin:], task, **options), SIMPLE[task])
                if found:
                    result[task][kind]["bits"] = round(found[0].compute().bits_per_dimension, 3)
    for task, kinds in result.items():
        print(f"{task:20}" + "".join(f"{name:>13}" for name in ROWS))
        for kind, row in kinds.items():
            print(f"{kind:20}" + "".join(f"{'' if row.get(name) is None else row[name]:>13}" for name in ROWS))
    if arguments.out:
        settings = {"sampler": arguments.sampler or "the model's own", "samples": arguments.samples}
        arguments.out.write_text(json.dumps(settings | result, indent=1) + "\n")
        tables = ["\n".join(markdown(task, kinds)) for task, kinds in result.items()]
        arguments.out.with_suffix(".md").write_text("\n\n".join(tables) + "\n")


if __name__ == "__main__":
    main()
