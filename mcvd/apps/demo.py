"""``mcvd demo``: one model at every task, in one command, from held-out clips to a page of results."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcvd.apps.cli.say import say
from mcvd.apps.result_page import Result, add_result, add_result_videos
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.data.video_clips import VideoClips, collect_clips
from mcvd.diffusion.tasks import GENERATE, PREDICT, TASKS, Task
from mcvd.evaluation.evaluate import evaluate
from mcvd.evaluation.report import add_scores, format_scores
from mcvd.evaluation.scores import Scores
from mcvd.models.load import BOX, load
from mcvd.models.video_model import VideoModel
from mcvd.runtime.atomic import write_json
from mcvd.samplers import DDIM, AbstractSampler
from mcvd.video.page import Page
from mcvd.video.timing import DEFAULT_FPS
from mcvd.video.write import write_video

CONFIG = Path(__file__).with_name("demo.yaml")
SAMPLER = DDIM(num_steps=8)  # for a model that has none of its own
NUM_SAMPLES = 3
NUM_CLIPS = 6  # scored
NUM_SHOWN = 2  # scenes on the page
NUM_FUTURES = 4  # of each of them
NUM_PREDICTED = 10  # frames: two blocks
NUM_LONG = 60
FIRST = 20  # where the clips begin in their scenes
HELD_OUT_SEED = 1
_SECTIONS: dict[str, tuple[str, str]] = {
    "predict": ("Prediction", "The frames after the given ones are generated, several times: futures that could be."),
    "backward": ("Backward prediction", "The frames before the given ones are generated."),
    "interpolate": ("Interpolation", "The frames of a gap are generated; those on both sides are given."),
}


def run_demo(out: Path, train: Path | None = None, video: Path | None = None) -> dict[str, Any]:
    """Let the bundled model do all its tasks on held-out clips, score it and write a page.

    Args:
        out: a new folder; it gets ``index.html``, videos, strips and ``result.json``.
        train: a config to train a small model from first, such as `CONFIG`; ``out`` then holds the run and the model.
        video: a file or folder of videos to work on; None is synthetic streets.

    Returns:
        What ``result.json`` holds: for each task the scores of the model and of the baselines.

    Raises:
        FileExistsError: ``out`` holds something already.
        VideoError: the video cannot be read, or is too short.
    """
    started = time.monotonic()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is not empty: choose another folder with --out, nothing was written")
    if train is None:
        model = load(BOX)
        clips = _clips(model, video)  # a fault of the video is reported before anything is written
        out.mkdir(parents=True, exist_ok=True)
    else:
        out.mkdir(parents=True, exist_ok=True)
        model = _train(train, out)
        clips = _clips(model, video)

    origin = str(video or "synthetic streets that it was not trained on")
    say(f"scoring the model on {len(clips)} clips of {origin}")
    scores = {
        task: evaluate(
            model,
            clips,
            task,
            num_frames=num_frames,
            num_samples=NUM_SAMPLES,
            sampler=_sampler(model, TASKS[task]),
            progress=True,
        )
        for task, num_frames in _lengths(model).items()
    }
    for each in scores.values():
        say(*format_scores(each, ensemble=False).splitlines(), "")
    say("sampling the videos of the page")
    page = _page(model, clips[:NUM_SHOWN], scores, out, origin)
    result = {
        "scores": {task: _summary(each) for task, each in scores.items()},
        "details": {task: each.to_json() for task, each in scores.items()},
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(out / "result.json", result)
    page.write(out / "index.html")
    say(f"done in {result['seconds']:.0f} s; open {out / 'index.html'}")
    return result


def held_out_clips(model: VideoModel, num_clips: int, num_frames: int) -> Tensor:
    """Clips of held-out scenes: past, ``num_frames`` and future; uint8 (num_clips, T, 3, H, W)."""
    scenes = DrivingScenes(num_clips, seed=HELD_OUT_SEED)
    length = model.block.past + num_frames + model.block.future
    return torch.stack([scenes.read(i, range(FIRST, FIRST + length), model.size) for i in range(num_clips)])


def _clips(model: VideoModel, video: Path | None) -> Tensor:
    if video is None:
        return held_out_clips(model, NUM_CLIPS, NUM_PREDICTED)
    videos = VideoFolder(video)
    length = model.block.past + NUM_PREDICTED + model.block.future
    data = VideoClips(train=videos, val=videos, num_frames=length, size=model.size, frame_rate_hz=model.frame_rate_hz)
    return collect_clips(data, NUM_CLIPS)


def _train(config: Path, out: Path) -> VideoModel:
    from mcvd.training.checkpoint_io import last_checkpoint
    from mcvd.training.fit import run_fit

    say("training a small model on synthetic streets")
    run_fit(["--config", str(config), "--trainer.default_root_dir", str(out / "training")], say)
    model = load(last_checkpoint(out / "training"))
    model.save_pretrained(out / "model")
    return model


def _summary(scores: Scores) -> dict[str, dict[str, float]]:
    """Scores by row; ``model`` is the mean of all samples, its best guess."""
    rows = {name: {key: score.mean for key, score in row.scores.items()} for name, row in scores.rows.items()}
    return {"model": rows.pop("mean_of_K"), **rows}


def _sampler(model: VideoModel, task: Task) -> AbstractSampler:
    """The model's own sampler of a task, or a fast one."""
    return model.samplers.own(task) or SAMPLER


def _lengths(model: VideoModel) -> dict[str, int]:
    """How many frames are generated in each task."""
    return {"predict": NUM_PREDICTED, "backward": NUM_PREDICTED, "interpolate": model.block.current}


def _page(model: VideoModel, clips: Tensor, scores: dict[str, Scores], out: Path, origin: str) -> Page:
    block, fps = model.block, model.frame_rate_hz or DEFAULT_FPS
    page = Page(
        "mcvd: one model, every video task",
        f"A small diffusion model ({model.facts().parameters / 1e6:.1f} M parameters) at work on {origin}. It samples "
        f"blocks of {block.current} frames and was trained with the frames before and after them hidden at random; so "
        "the same network predicts, predicts backward, interpolates and generates from nothing.",
    )
    for task, num_frames in _lengths(model).items():
        num_past, num_future = scores[task].num_past, scores[task].num_future
        past, target, future, _ = clips.tensor_split(
            [num_past, num_past + num_frames, num_past + num_frames + num_future], 1
        )
        samples = model.interpolate(
            past, future, num_frames, num_samples=NUM_FUTURES, sampler=_sampler(model, TASKS[task]), seed=7
        )
        page.section(*_SECTIONS[task])
        for i in range(len(clips)):
            page.text(f"Clip {i + 1} of {len(clips)}.")
            show = add_result if i == 0 else add_result_videos  # all of one clip, of the others what moves
            show(page, Result(samples[i], past[i], future[i], target[i], fps))
            write_video(out / f"{task}-{i}.mp4", torch.cat([past[i], samples[i, 0], future[i]]), fps)
        add_scores(page, scores[task])

    page.section("Generation", "Nothing is given: the model generates the first block, and continues from it.")
    videos = model.generate(15, num_samples=4, sampler=_sampler(model, GENERATE), seed=7)
    page.videos([(f"sample {i + 1}", video) for i, video in enumerate(videos)], fps)
    for i, video in enumerate(videos):
        write_video(out / f"generate-{i}.mp4", video, fps)

    page.section("A long video", f"{NUM_LONG} frames, block by block: if it drifts, it is seen here.")
    past = clips[0, : block.past]
    video = torch.cat([past, model.predict(past, NUM_LONG, sampler=_sampler(model, PREDICT), seed=7)[0]])
    page.videos([(f"from {block.past} frames", video, range(block.past))], fps)
    page.strip([("every 6th frame", video[::6], range(1))], range(0, len(video), 6))
    write_video(out / "long-0.mp4", video, fps)
    return page
