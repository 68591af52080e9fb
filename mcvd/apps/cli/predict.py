"""``mcvd predict``: the frames that follow a video, or those before it."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcvd.apps.cli import options
from mcvd.apps.cli.classified import ClassifierChoice, add_classifier
from mcvd.apps.cli.fields import FieldChoice, add_fields, add_show, read_for_model
from mcvd.apps.cli.known import Keyframe, add_keyframes, check_keyframes, check_known_by, with_keyframes
from mcvd.apps.cli.options import Command, positive
from mcvd.apps.cli.told import SignalChoice, add_signals

if TYPE_CHECKING:
    from torch import Tensor

    from mcvd.models.video_model import VideoModel
    from mcvd.video.decoders.base import AbstractReader

EXAMPLES = """examples:
  mcvd predict street.mp4 --num-frames 30 --out future.mp4
  mcvd predict street.mp4 --model drive --num-frames 30 --num-samples 4 --out futures/
  mcvd predict street.mp4 --num-frames 30 --at 40 --out checked.mp4 --gallery
  mcvd predict street.mp4 --num-frames 30 --keyframe 29=there.png --out way.mp4
  mcvd predict street.mp4 --model drive --num-frames 30 --backward --out before.gif
  mcvd predict drive.mp4 --model car --num-frames 30 --signals wheel.csv --out steered.mp4
  mcvd predict street.mp4 --num-frames 30 --num-samples 8 --out futures/ --uncertainty spread.mp4
  mcvd predict rain.nc --model nowcast --num-frames 12 --num-samples 8 --out forecast.nc --uncertainty spread.mp4"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument("video", metavar="VIDEO")
    command.add_argument("--num-frames", type=positive, required=True, help="how many frames to predict")
    command.add_argument("--backward", action="store_true", help="predict the frames that came before")
    text = "continue from this frame of VIDEO, not from its last (--backward: its first)"
    command.add_argument("--at", type=options.whole, metavar="FRAME", help=text)
    command.add_argument("--only-new", action="store_true", help="leave the given frames out of OUT")
    text = "also write the mean of the samples, their spread, and the samples side by side (.mp4, .gif or .png)"
    command.add_argument("--uncertainty", metavar="FILE", help=text)
    add_keyframes(command)
    add_fields(command)
    add_show(command)
    options.add_model(command)
    options.add_output(command)
    options.add_every_frame(command)
    options.add_processes(command)
    options.add_rate(command)
    options.add_sampling(command)
    add_signals(command)
    add_classifier(command)


def run(
    video: str,
    out: str,
    num_frames: int,
    backward: bool = False,
    at: int | None = None,
    only_new: bool = False,
    every_frame: bool = False,
    fps: float | None = None,
    gallery: bool = False,
    uncertainty: str | None = None,
    json: bool = False,
    num_samples: int = 1,
    keyframe: list[Keyframe] | None = None,
    **asked: Any,
) -> None:
    """Predict the samples that are this process's share; the first one writes OUT."""
    from mcvd.apps.cli.checks import check_inputs, check_videos_out
    from mcvd.apps.cli.output import Form, Gallery, write_output
    from mcvd.apps.cli.render import render
    from mcvd.apps.cli.say import note
    from mcvd.apps.cli.setup import ModelChoice
    from mcvd.apps.uncertainty import write_uncertainty
    from mcvd.diffusion.tasks import BACKWARD, PREDICT
    from mcvd.runtime.distributed import shard_range
    from mcvd.video.timing import frames_around

    check_inputs(VIDEO=video)
    check_keyframes(keyframe, num_frames)
    check_known_by(asked.get("known_by"), bool(keyframe or asked.get("loop")), "--keyframe N=PICTURE or --loop")
    check_videos_out(out, video)
    if uncertainty is not None:
        _check_uncertainty(uncertainty, out, video, num_samples)
    fields = FieldChoice.taken_from(asked)
    classifier, told = ClassifierChoice.taken_from(asked), SignalChoice.taken_from(asked)
    choice = ModelChoice.of(**asked)
    with fields.open(video) as reader:
        at = _start(at, backward, reader, video)
        model, chosen = choice.load(BACKWARD if backward else PREDICT)
        look = fields.look(model)
        chosen = with_keyframes(chosen, keyframe, model)
        chosen = classifier.steer(told.tell(chosen, model), model)
        rate = None if every_frame else chosen.frame_rate_hz or model.frame_rate_hz
        far = range(-num_frames, 0) if backward else range(1, num_frames + 1)
        context = _given(reader, at, rate, backward, model, video)
        known, target = frames_around(reader.times, at, rate, far) if gallery else [], None
        if len(known) == num_frames:
            target = read_for_model(reader, known, model, video)
        form = Form.of(look, fps, chosen.frame_rate_hz or model.frame_rate_hz, video)
    past, future = (context[:0], context) if backward else (context, context[:0])
    title = "What came before" if backward else "What comes next"
    page = Gallery(title, model, chosen, target, look) if gallery else None
    own = shard_range(num_samples)
    chosen = replace(chosen, num_samples=max(1, len(own)), first_sample=own.start)
    with render(out, model, past[None], future[None], num_frames, chosen, own) as samples:
        write_output(out, samples, past, future, form, page, only_new, json)
        if uncertainty is not None and samples.stores:
            before, after = (past[:0], future[:0]) if only_new else (past, future)
            largest = write_uncertainty(uncertainty, samples.stores, before, after, form.playing_fps, look)
            note(f"{uncertainty}: mean, spread (brightest: {largest:.3g} {look.unit}) and samples")


def _start(at: int | None, backward: bool, reader: AbstractReader, video: str) -> int:
    """The frame from which it goes on."""
    from mcvd.video.decoders.base import VideoError

    if at is None:
        return 0 if backward else reader.num_frames - 1
    if at >= reader.num_frames:
        raise VideoError(f"--at {at}: {video} has frames 0 to {reader.num_frames - 1}")
    return at


def _given(
    reader: AbstractReader, at: int, rate: float | None, backward: bool, model: VideoModel, video: str
) -> Tensor:
    """The frames that the model sees, (T, C, H, W): up to frame ``at``, or from there on."""
    from mcvd.video.timing import frames_around, warn_of_repeats

    steps = range(model.block.future) if backward else range(1 - model.block.past, 1)
    seen = frames_around(reader.times, at, rate, steps)
    if not seen:
        side = "future" if backward else "past"
        raise ValueError(f"this model has no {side} slot ({model.block}): train one with block.{side} > 0")
    warn_of_repeats(reader.times, rate, seen, video, "--every-frame")
    return read_for_model(reader, seen, model, video)


def _check_uncertainty(path: str, out: str, video: str, num_samples: int) -> None:
    from mcvd.apps.cli.checks import check_videos_out

    if num_samples < 2:
        raise ValueError("--uncertainty shows how samples differ: ask for several with --num-samples K")
    if not Path(path).suffix or Path(path).absolute() == Path(out).absolute():
        raise ValueError(f"--uncertainty {path}: name a file of its own, .mp4, .gif or .png")
    check_videos_out(path, video, "--uncertainty", values=False)


HELP = "predict the frames that follow a video, or with --backward those before it"
COMMAND = Command(HELP, run, _add_arguments, EXAMPLES, shared=True)
