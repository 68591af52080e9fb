"""``mcvd generate``: videos from nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from mcvd.apps.cli import options
from mcvd.apps.cli.classified import ClassifierChoice, add_classifier
from mcvd.apps.cli.fields import FieldChoice, add_show
from mcvd.apps.cli.known import Keyframe, add_keyframes, check_keyframes, check_known_by, with_keyframes
from mcvd.apps.cli.options import Command, positive
from mcvd.apps.cli.told import SignalChoice, add_signals

EXAMPLES = """examples:
  mcvd generate --num-frames 60 --out video.mp4
  mcvd generate --model drive --num-frames 60 --num-samples 4 --seed 1 --out samples/"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument("--num-frames", type=positive, required=True, help="length of each video")
    add_keyframes(command)
    add_show(command)
    options.add_model(command)
    options.add_output(command)
    options.add_processes(command)
    options.add_rate(command)
    options.add_sampling(command)
    add_signals(command)
    add_classifier(command)


def run(
    out: str,
    num_frames: int,
    num_samples: int = 1,
    fps: float | None = None,
    gallery: bool = False,
    json: bool = False,
    keyframe: list[Keyframe] | None = None,
    **asked: Any,
) -> None:
    """Generate the videos that are this process's share; the first one writes OUT."""
    import torch

    from mcvd.apps.cli.checks import check_videos_out
    from mcvd.apps.cli.output import Form, Gallery, write_output
    from mcvd.apps.cli.render import render
    from mcvd.apps.cli.setup import ModelChoice
    from mcvd.diffusion.tasks import GENERATE
    from mcvd.runtime.distributed import shard_range

    check_keyframes(keyframe, num_frames)
    check_known_by(asked.get("known_by"), bool(keyframe or asked.get("loop")), "--keyframe N=PICTURE or --loop")
    check_videos_out(out)
    fields = FieldChoice.taken_from(asked)
    classifier, told = ClassifierChoice.taken_from(asked), SignalChoice.taken_from(asked)
    choice = ModelChoice.of(**asked)
    model, chosen = choice.load(GENERATE)
    chosen = with_keyframes(chosen, keyframe, model)
    look = fields.look(model)
    chosen = classifier.steer(told.tell(chosen, model), model)
    own = shard_range(num_samples)
    chosen = replace(chosen, first_video=own.start)
    nothing = torch.empty(0, model.channels, *model.size, dtype=model.codec.dtype)
    given = nothing.expand(len(own), -1, -1, -1, -1)
    page = Gallery("Generated from nothing", model, chosen, look=look) if gallery else None
    with render(out, model, given, given, num_frames, chosen, own) as videos:
        form = Form.of(look, fps, chosen.frame_rate_hz or model.frame_rate_hz)
        write_output(out, videos, nothing, nothing, form, page, json=json)


COMMAND = Command("generate videos from nothing", run, _add_arguments, EXAMPLES, shared=True)
