"""``mcvd interpolate``: a gap of a video, filled."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from mcvd.apps.cli import options
from mcvd.apps.cli.classified import ClassifierChoice, add_classifier
from mcvd.apps.cli.fields import FieldChoice, add_fields, add_show, read_for_model
from mcvd.apps.cli.known import add_known_by, check_known_by, with_region
from mcvd.apps.cli.options import Command
from mcvd.apps.cli.told import SignalChoice, add_signals

EXAMPLES = """examples:
  mcvd interpolate street.mp4 --gap 40:45 --out mended.mp4
  mcvd interpolate street.mp4 --model drive --gap 40:45 --out mended.mp4
  mcvd interpolate street.mp4 --gap 40:45 --inpaint bird.png --out mended.mp4"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument("video", metavar="VIDEO")
    text = "frames START <= i < END of VIDEO, as it numbers them"
    command.add_argument("--gap", type=_gap, required=True, metavar="START:END", help=text)
    text = "generate only where this picture is white, the rest of the gap's frames is kept"
    command.add_argument("--inpaint", metavar="MASK", help=text)
    add_known_by(command)
    add_fields(command)
    add_show(command)
    options.add_model(command)
    options.add_output(command)
    options.add_every_frame(command)
    options.add_rate(command)
    options.add_sampling(command)
    add_signals(command)
    add_classifier(command)


def run(
    video: str,
    out: str,
    gap: range,
    every_frame: bool = False,
    fps: float | None = None,
    gallery: bool = False,
    json: bool = False,
    inpaint: str | None = None,
    **asked: Any,
) -> None:
    """Write the whole video with its gap generated anew."""
    import numpy as np

    from mcvd.apps.cli.checks import check_inputs, check_videos_out
    from mcvd.apps.cli.output import Form, Gallery, write_output
    from mcvd.apps.cli.render import render
    from mcvd.apps.cli.setup import ModelChoice, log
    from mcvd.diffusion.tasks import INTERPOLATE
    from mcvd.video.decoders.base import VideoError
    from mcvd.video.timing import frames_at_rate, warn_of_repeats

    check_inputs(VIDEO=video, inpaint=inpaint)
    check_known_by(asked.get("known_by"), inpaint is not None, "--inpaint PICTURE")
    check_videos_out(out, video)
    fields = FieldChoice.taken_from(asked)
    classifier, told = ClassifierChoice.taken_from(asked), SignalChoice.taken_from(asked)
    choice = ModelChoice.of(**asked)
    with fields.open(video) as reader:
        if gap.stop > reader.num_frames:
            raise VideoError(f"--gap {gap.start}:{gap.stop}: {video} has {reader.num_frames} frames")
        if gap.start == 0 or gap.stop == reader.num_frames:
            raise VideoError(f"--gap {gap.start}:{gap.stop} has nothing on one side: use mcvd predict")
        model, chosen = choice.load(INTERPOLATE)
        look = fields.look(model)
        rate = None if every_frame else chosen.frame_rate_hz or model.frame_rate_hz
        numbers = np.arange(reader.num_frames) if rate is None else frames_at_rate(reader.times, rate)
        low, high = np.searchsorted(numbers, [gap.start, gap.stop]).tolist()
        if low == high:
            raise VideoError(f"--gap {gap.start}:{gap.stop} holds no frame at {rate:g} Hz; see --every-frame")
        warn_of_repeats(reader.times, rate, numbers.tolist(), video, "--every-frame")
        frames = read_for_model(reader, numbers.tolist(), model, video)
    if low == 0 or high == len(frames):
        raise VideoError(f"--gap {gap.start}:{gap.stop} has nothing on one side: use mcvd predict")
    past, target, future = frames[:low], frames[low:high], frames[high:]
    chosen = with_region(chosen, inpaint, target, model)
    chosen = classifier.steer(told.tell(chosen, model), model)
    page = Gallery("A gap filled", model, chosen, target, look) if gallery else None
    own = range(chosen.num_samples)
    with render(out, model, past[None], future[None], high - low, chosen, own) as samples:
        form = Form.of(look, fps, chosen.frame_rate_hz or model.frame_rate_hz, video)
        write_output(out, samples, past, future, form, page, json=json)
    log(f"new in it: frames {low} to {high - 1} of {len(frames)}, counted from 0")


def _gap(text: str) -> range:
    start, colon, end = text.partition(":")
    if not (colon and start.isdigit() and end.isdigit() and int(start) < int(end)):
        raise ArgumentTypeError(f"must be START:END, two numbers of frames with START < END, got {text!r}")
    return range(int(start), int(end))


COMMAND = Command("generate the frames of a gap in a video anew", run, _add_arguments, EXAMPLES)
