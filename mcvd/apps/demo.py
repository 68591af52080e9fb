"""``mcvd demo``: all that one model can do, in one command, from streets it never saw to a page of results."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcvd.data.datamodule import VideoData, collect_clips
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.evaluation.baselines import blend, copy_first, copy_last
from mcvd.evaluation.evaluate import Task, evaluate
from mcvd.evaluation.report import add_scores, format_scores
from mcvd.evaluation.scores import Scores
from mcvd.models.load import BOX, load
from mcvd.models.mcvd import MCVD
from mcvd.runtime.atomic import atomic_write
from mcvd.samplers import DDIM
from mcvd.training.checkpoints import last_checkpoint
from mcvd.video.page import Page
from mcvd.video.write import write_video

CONFIG = Path(__file__).with_name("demo.yaml")
SAMPLER = DDIM(num_steps=8)
NUM_SAMPLES = 10
NUM_CLIPS = 8  # scored
NUM_SHOWN = 2  # scenes on the page
NUM_PREDICTED = 10  # frames: two blocks
NUM_LONG = 100
FIRST = 20  # where the clips begin in their scenes
HELD_OUT_SEED = 1


def run_demo(out: Path, train: Path | None = None, video: Path | None = None) -> dict[str, Any]:
    """Let the model in the box do all its tasks on clips it never saw, score it and write a page.

    Args:
        out: a new folder; it gets ``index.html``, videos, strips and ``result.json``.
        train: a config to train a small model from first, such as `CONFIG`; ``out`` then holds the run and the model.
        video: a file or folder of videos to work on; None is invented streets.

    Returns:
        What ``result.json`` holds: for each task the scores of the model and of what it has to beat.

    Raises:
        FileExistsError: ``out`` holds something already.
        VideoError: the video cannot be read, or is too short.
    """
    started = time.monotonic()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is not empty: choose another folder with --out, nothing was written")
    if train is None:
        model = load(BOX)
        clips = _clips(model, video)  # a fault of the video is told before anything is written
        out.mkdir(parents=True, exist_ok=True)
    else:
        out.mkdir(parents=True, exist_ok=True)
        model = _train(train, out)
        clips = _clips(model, video)

    origin = str(video or "streets that it never saw")
    _say(f"scoring the model on {len(clips)} clips of {origin}")
    scores: dict[str, Scores] = {}
    lengths: dict[Task, int] = {
        "predict": NUM_PREDICTED,
        "backward": NUM_PREDICTED,
        "interpolate": model.block.current,
    }
    for task, num_frames in lengths.items():
        scores[task] = evaluate(
            model, clips, task, num_frames=num_frames, num_samples=NUM_SAMPLES, sampler=SAMPLER, progress=True
        )
        print(format_scores(scores[task]) + "\n")

    _say("making videos")
    page = _page(model, clips, scores, out, origin)
    result = {
        "scores": {task: _summary(each) for task, each in scores.items()},
        "details": {task: each.to_json() for task, each in scores.items()},
        "seconds": round(time.monotonic() - started, 1),
    }
    with atomic_write(out / "result.json") as part:
        part.write_text(json.dumps(result, indent=2) + "\n")
    page.write(out / "index.html")
    _say(f"done in {result['seconds']:.0f} s; open {out / 'index.html'}")
    return result


def held_out_clips(model: MCVD, num_clips: int, num_frames: int) -> Tensor:
    """Clips of scenes the model never saw: past, ``num_frames`` and future; uint8 (num_clips, T, 3, H, W)."""
    scenes = DrivingScenes(num_clips, seed=HELD_OUT_SEED)
    length = model.block.past + num_frames + model.block.future
    return torch.stack([scenes.read(i, range(FIRST, FIRST + length), model.size) for i in range(num_clips)])


def _clips(model: MCVD, video: Path | None) -> Tensor:
    if video is None:
        return held_out_clips(model, NUM_CLIPS, NUM_PREDICTED)
    videos = VideoFolder(video)
    length = model.block.past + NUM_PREDICTED + model.block.future
    data = VideoData(train=videos, val=videos, num_frames=length, size=model.size, frame_rate_hz=model.frame_rate_hz)
    return collect_clips(data, NUM_CLIPS)


def _train(config: Path, out: Path) -> MCVD:
    from mcvd.training.fit import run_fit

    _say("training a small model on invented streets")
    run_fit(["--config", str(config), "--trainer.default_root_dir", str(out / "training")])
    model = load(last_checkpoint(out / "training"))
    model.save_pretrained(out / "model")
    return model


def _summary(scores: Scores) -> dict[str, dict[str, float]]:
    """Scores by row; ``model`` is the mean of all samples, the model's best guess of what will be seen."""
    rows = {name: {key: score.mean for key, score in row.scores.items()} for name, row in scores.rows.items()}
    return {"model": rows.pop("mean_of_K"), **rows}


def _page(model: MCVD, clips: Tensor, scores: dict[str, Scores], out: Path, origin: str) -> Page:
    block, fps = model.block, model.frame_rate_hz or 10.0
    page = Page(
        "mcvd: one model, every video task",
        f"A small diffusion model ({sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters) at work on "
        f"{origin}. It makes blocks of {block.current} frames and was trained with its past and its future frames "
        "hidden at random; so the same network predicts, looks back, fills gaps and invents.",
    )
    shown = clips[:NUM_SHOWN]
    options: dict[str, Any] = {"sampler": SAMPLER, "seed": 7}

    past, truth = shown[:, : block.past], shown[:, block.past :][:, :NUM_PREDICTED]
    made = model.predict(past, NUM_PREDICTED, num_samples=2, **options)
    page.section("Prediction", f"The first {block.past} frames are given, the next {NUM_PREDICTED} are made.")
    given: Sequence[int] = range(block.past)
    for i in range(NUM_SHOWN):
        rows = {"truth": truth[i], "sample 1": made[i, 0], "sample 2": made[i, 1]}
        rows["last frame"] = copy_last(past[i : i + 1], NUM_PREDICTED)[0]
        _show(page, {name: torch.cat([past[i], row]) for name, row in rows.items()}, given, fps)
        write_video(out / f"predict-{i}.mp4", torch.cat([past[i], made[i, 0]]), fps)
    add_scores(page, scores["predict"])

    truth, future = shown[:, :NUM_PREDICTED], shown[:, NUM_PREDICTED : NUM_PREDICTED + block.future]
    made = model.predict(future, NUM_PREDICTED, backward=True, **options)
    page.section("Backward", f"The last {block.future} frames are given, what came before them is made.")
    given = range(NUM_PREDICTED, NUM_PREDICTED + block.future)
    rows = {"truth": truth[0], "sample": made[0], "first frame": copy_first(future[:1], NUM_PREDICTED)[0]}
    _show(page, {name: torch.cat([row, future[0]]) for name, row in rows.items()}, given, fps)
    write_video(out / "backward-0.mp4", torch.cat([made[0], future[0]]), fps)
    add_scores(page, scores["backward"])

    past, truth, future = block.split(shown[:, : block.num_frames])
    made = model.interpolate(past, future, block.current, **options)
    page.section("Interpolation", f"A gap of {block.current} frames is filled.")
    around = [*range(block.past), *range(block.past + block.current, block.num_frames)]
    rows = {"truth": truth[0], "sample": made[0], "cross-fade": blend(past[:1], future[:1], block.current)[0]}
    _show(page, {name: torch.cat([past[0], row, future[0]]) for name, row in rows.items()}, around, fps)
    write_video(out / "interpolate-0.mp4", torch.cat([past[0], made[0], future[0]]), fps)
    add_scores(page, scores["interpolate"])

    made = model.generate(15, num_samples=4, **options)
    page.section("GenerationEngine", "Nothing is given: the model invents the first block and goes on from it.")
    page.videos([(f"sample {i + 1}", video) for i, video in enumerate(made)], fps)
    for i, video in enumerate(made):
        write_video(out / f"generate-{i}.mp4", video, fps)

    made = model.predict(past[:1], NUM_LONG, **options)[0]
    page.section("A long video", f"{NUM_LONG} frames, block by block: where it drifts is shown, not hidden.")
    page.videos([("from two frames", torch.cat([past[0], made]), range(block.past))], fps)
    page.strip([("every 10th", torch.cat([past[0], made])[::10], range(1))])
    write_video(out / "long-0.mp4", torch.cat([past[0], made]), fps)
    return page


def _show(page: Page, rows: dict[str, Tensor], given: Sequence[int], fps: float) -> None:
    shown = [(name, video, given, name.startswith("sample")) for name, video in rows.items()]
    page.videos(shown, fps)
    page.strip(shown)


def _say(line: str) -> None:
    print(line, file=sys.stdout, flush=True)
