"""What the commands do, with the values that the command line gave; each raises what `mcvd.apps.cli.main` then says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mcvd.apps.cli.output import Gallery, check_output, write_output
from mcvd.apps.cli.setup import note_default_model, ready
from mcvd.diffusion.block_store import BlockStore
from mcvd.models.facts import describe
from mcvd.models.load import BOX, build, load, load_weights
from mcvd.models.mcvd import MCVD
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.device import resolve_device
from mcvd.runtime.digests import digest
from mcvd.runtime.distributed import all_gather, process_group, rank, shard_range, spawn, world_size
from mcvd.runtime.workdir import resumable_workdir, workdir_of
from mcvd.video.decoders.base import VideoError
from mcvd.video.frame_store import FrameStore
from mcvd.video.open import open_video
from mcvd.video.read import read_frames
from mcvd.video.timing import frames_around, frames_at_rate

if TYPE_CHECKING:
    from mcvd.data.datamodule import VideoData
    from mcvd.training.cost import TrainingEstimate


def predict(processes: int = 1, **options: Any) -> None:
    """``mcvd predict``, in one process, several new ones, or those that torchrun started."""
    _in_processes(_predict, processes, options)


def generate(processes: int = 1, **options: Any) -> None:
    """``mcvd generate``, likewise."""
    _in_processes(_generate, processes, options)


def _in_processes(work: Callable[..., None], processes: int, options: dict[str, Any]) -> None:
    if processes > 1:
        return spawn(work, processes, **options)
    with process_group():
        work(**options)


def _predict(
    video: str,
    out: str,
    num_frames: int,
    model: str | Path = BOX,
    backward: bool = False,
    at: int | None = None,
    only_new: bool = False,
    every_frame: bool = False,
    fps: float | None = None,
    gallery: bool = False,
    num_samples: int = 1,
    **sampling: Any,
) -> None:
    net, options = ready(model, sampling)
    check_output(out, video)
    with open_video(video) as reader:
        if at is None:
            at = 0 if backward else reader.num_frames - 1
        if not 0 <= at < reader.num_frames:
            raise VideoError(f"--at {at}: {video} has frames 0 to {reader.num_frames - 1}")
        rate = None if every_frame else net.frame_rate_hz
        if backward:
            steps, unseen = range(net.block.future), range(-num_frames, 0)
        else:
            steps, unseen = range(1 - net.block.past, 1), range(1, num_frames + 1)
        seen = frames_around(reader, at, rate, steps)
        if not seen:
            side = "future" if backward else "past"
            raise ValueError(f"this model has no {side} slot ({net.block}): train one with block.{side} > 0")
        given = read_frames(reader, seen, net.size, net.channels)
        later = frames_around(reader, at, rate, unseen) if gallery else []
        truth = read_frames(reader, later, net.size, net.channels) if later else None
    past, future = (given[:0], given) if backward else (given, given[:0])
    title = "What came before" if backward else "What comes next"
    page = Gallery(title, net, options, truth if truth is not None and len(truth) == num_frames else None)
    own = shard_range(num_samples)
    options |= {"num_samples": max(1, len(own)), "first_sample": own.start}
    with _made(out, net, past[None], future[None], num_frames, options, own) as made:
        if made:
            write_output(out, made, past, future, fps or net.frame_rate_hz, page if gallery else None, only_new)


def interpolate(
    video: str,
    out: str,
    gap: range,
    model: str | Path = BOX,
    every_frame: bool = False,
    fps: float | None = None,
    gallery: bool = False,
    **sampling: Any,
) -> None:
    """``mcvd interpolate``."""
    net, options = ready(model, sampling)
    check_output(out, video)
    with open_video(video) as reader:
        if gap.stop > reader.num_frames:
            raise VideoError(f"--gap {gap.start}:{gap.stop}: {video} has {reader.num_frames} frames")
        rate = None if every_frame else net.frame_rate_hz
        numbers = np.arange(reader.num_frames) if rate is None else frames_at_rate(reader.times_seconds, rate)
        low, high = np.searchsorted(numbers, [gap.start, gap.stop]).tolist()
        if low == high:
            raise VideoError(f"--gap {gap.start}:{gap.stop} holds no frame at {rate:g} Hz; see --every-frame")
        video_frames = read_frames(reader, numbers.tolist(), net.size, net.channels)
    if low == 0 or high == len(video_frames):
        raise VideoError(f"--gap {gap.start}:{gap.stop} has nothing on one side: use mcvd predict")
    past, future = video_frames[:low], video_frames[high:]
    page = Gallery("A gap filled", net, options, video_frames[low:high])
    with _made(out, net, past[None], future[None], high - low, options, range(options.get("num_samples", 1))) as made:
        assert made
        write_output(out, made, past, future, fps or net.frame_rate_hz, page if gallery else None)


def _generate(
    out: str,
    num_frames: int,
    model: str | Path = BOX,
    num_samples: int = 1,
    fps: float | None = None,
    gallery: bool = False,
    **sampling: Any,
) -> None:
    net, options = ready(model, sampling, from_nothing=True)
    check_output(out)
    own = shard_range(num_samples)
    options["first_video"] = own.start
    nothing = torch.empty(len(own), 0, net.channels, *net.size, dtype=torch.uint8)
    page = Gallery("Made from nothing", net, options, None)
    with _made(out, net, nothing, nothing, num_frames, options, own) as made:
        if made:
            blank = torch.empty(0, net.channels, *net.size, dtype=torch.uint8)
            write_output(out, made, blank, blank, fps or net.frame_rate_hz, page if gallery else None)


def fvd(
    real: str,
    fake: str,
    rate: float | None = None,
    random_i3d: int | None = None,
    device: str | None = None,
    out: str | None = None,
    json: bool = False,
    **choices: Any,
) -> None:
    """``mcvd fvd``."""
    from mcvd.evaluation.folders import compare_folders, format_distance

    result = compare_folders(
        real, fake, frame_rate_hz=rate, random_seed=random_i3d, device=resolve_device(device), **choices
    )  # fmt: skip
    if out:
        with atomic_write(out) as part:
            part.write_text(dumps(result, indent=2) + "\n")
    print(dumps(result, indent=2) if json else format_distance(result))


def data(
    action: str,
    path: str,
    root: str | None = None,
    rate: float | None = None,
    config: str | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    **options: Any,
) -> None:
    """``mcvd data check`` and ``mcvd data pack``."""
    from mcvd.data.recipe import data_from_recipe

    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    is_recipe = Path(path).suffix.lower() in (".yaml", ".yml")
    facts: dict[str, Any] = {"frame_rate_hz": rate, "batch_size": batch_size}
    facts |= {name: options.pop(name, None) for name in ("num_frames", "size", "channels")}
    planned = None
    if config:
        from mcvd.training.cost import training_estimate

        planned = training_estimate(config, batch_size, resolve_device(device))
        model = planned.model
        facts |= {"num_frames": model.block.num_frames, "size": model.size, "channels": model.channels}
        facts["batch_size"] = planned.batch_size
    try:
        found = data_from_recipe(path if is_recipe else None, root if is_recipe else path, **facts)
    except FileNotFoundError as error:
        raise VideoError(f"training cannot start: {error}") from None
    if action == "pack":
        _pack_data(found, **options)
    else:
        _check_data(found, planned, **options)


def _check_data(
    found: VideoData, planned: TrainingEstimate | None, preview: str | None = None, json: bool = False
) -> None:
    from mcvd.data.check import check_data, write_preview

    report = check_data(found)
    if planned and report.clips:
        lines, problem = planned.cost(report.clips)
        report.lines += lines
        report.problem = report.problem or problem
    if json:
        print(dumps({"ready": not report.problem, "problem": report.problem, "lines": report.lines}, indent=2))
    else:
        print("\n".join(report.lines))
    if preview and report.clips:
        write_preview(preview, report.clips)
        print(f"preview: {preview}", file=sys.stderr)
    if report.problem:
        raise VideoError(f"training cannot start: {report.problem}")
    if not json:
        print("training can start")


def _pack_data(found: VideoData, out: str, num_workers: int | None = None) -> None:
    from mcvd.data.sources.shard_writer import pack_data

    print(pack_data(found, out, num_workers))


def convert(checkpoint: str, config: str, out: str, raw: bool = False) -> None:
    """``mcvd convert``."""
    from mcvd.models.published.checkpoint import read_published

    published = read_published(checkpoint, config, use_ema=not raw)
    model = build(published.config)
    load_weights(model.denoiser.net, published.state, checkpoint)
    model.save_pretrained(out)
    print(f"{checkpoint} is now the model {out}: {describe(model)}")


def export(checkpoint: str, out: str, **about: Any) -> None:
    """``mcvd export``."""
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"no checkpoint at {checkpoint}")
    model = load(checkpoint)
    model.save_pretrained(out, **about)
    print(f"{checkpoint} is now the model {out}: {describe(model)}")


def info(model: str | Path = BOX, json: bool = False) -> None:
    """``mcvd info``."""
    from mcvd.models.card import told_data
    from mcvd.models.facts import format_facts, model_facts

    note_default_model(model)
    facts = model_facts(load(model)) | {"trained_on": told_data(model)}
    print(dumps(facts, indent=2) if json else format_facts(facts))


def studio(
    model: str | Path = BOX,
    host: str = "127.0.0.1",
    port: int | None = None,
    max_megabytes: int = 200,
    max_frames: int = 600,
    device: str | None = None,
) -> None:
    """``mcvd studio``."""
    if find_spec("gradio") is None:
        raise ModuleNotFoundError("mcvd studio needs Gradio: pip install 'mcvd[studio]'")
    from mcvd.apps.studio.clip import Limits
    from mcvd.apps.studio.page import serve
    from mcvd.apps.studio.service import Studio

    net, _ = ready(model, {"device": device})
    name = Path(model).resolve().name if Path(model).exists() else str(model)
    page, url = serve(Studio(net, name, Limits(megabytes=max_megabytes, frames=max_frames)), host, port)
    print(f"mcvd studio: {url} (stop with Ctrl+C)", flush=True)
    page.block_thread()


def demo(out: str | None = None, train: bool = False, video: str | None = None) -> None:
    """``mcvd demo``."""
    from mcvd.apps.demo import CONFIG, run_demo
    from mcvd.training.run_folder import unused_path

    run_demo(
        Path(out) if out else unused_path(Path(), "demo", ""),
        train=CONFIG if train else None,
        video=Path(video) if video else None,
    )


@contextmanager
def _made(
    out: str, net: MCVD, past: Tensor, future: Tensor, num_frames: int, options: dict[str, Any], own: range
) -> Iterator[FrameStore | None]:
    """The videos between past and future, uint8 (B, T, C, H, W) each, made block by block; the same command goes on
    with what an earlier one has left. With several processes each makes its ``own``, and the first has them all."""
    part = out if world_size() == 1 else f"{out}.{rank() + 1}-of-{world_size()}"
    settings = {
        "versions": [version("mcvd"), torch.__version__],
        "device": next(net.parameters()).device.type,
        "model": digest(net.state_dict()),
        "config": net.config,
        "given": digest({"past": past, "future": future}),
        "num_frames": num_frames,
        "options": {name: repr(value) for name, value in options.items()},
    }
    kept = BlockStore(workdir_of(part), net.block)
    options = options | {"progress": rank() == 0, "kept": kept}
    stream = net.stream(past, num_frames, future=future, **options)  # refuses what the model cannot do
    with resumable_workdir(part, settings) as folder:
        frame = (net.channels, *net.size)
        made = FrameStore(folder / "frames", (len(own), num_frames, *frame))
        for start, frames in stream if own else ():
            made.write(start, frames.flatten(0, -5))
        if world_size() == 1:
            yield made
            return
        videos = [video for share in all_gather(made.all() if own else ()) for video in share]
        if rank() == 0:
            together = FrameStore(folder / "together", (len(videos), num_frames, *frame))
            together.write(0, torch.stack(videos))
            yield together
        else:
            yield None
        all_gather(None)  # until the first has written them, nobody throws anything away
