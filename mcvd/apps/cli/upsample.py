"""``mcvd upsample``: a whole video with more frames a second, or with larger frames."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mcvd.apps.cli import options
from mcvd.apps.cli.fields import FieldChoice, add_fields, add_show, read_for_model
from mcvd.apps.cli.options import Command

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from mcvd.apps.cli.render import Rendered
    from mcvd.apps.upsampled_page import UpsampledGallery
    from mcvd.models.look import Look
    from mcvd.models.upsampling import Upsampling
    from mcvd.models.video_model import VideoModel

EXAMPLES = """examples:
  mcvd upsample street.mp4 --factor 4 --out smooth.mp4
  mcvd upsample street.mp4 --factor 2 --model drive --out smooth.mp4 --gallery
  mcvd upsample frames/ --factor 4 --rate 5 --out between/
  mcvd upsample street.mp4 --size 128 --model larger --out street-128.mp4"""


def _add_arguments(command: ArgumentParser) -> None:
    command.add_argument("video", metavar="VIDEO")
    text = (
        "how many times the frame rate: N - 1 new frames between each two, which stay as they are; without it frames "
        "are made larger, those of --size, by a model trained for that"
    )
    command.add_argument("--factor", type=_factor, metavar="N", help=text)
    text = "without --factor: noise put on the frames before, in the range of frames [-1, 1]; more trusts them less"
    command.add_argument("--low-noise", type=options.number, metavar="L", help=text)
    command.add_argument("--rate", type=options.rate, metavar="HZ", help=options.EVERY_FRAME)
    add_fields(command)
    add_show(command)
    options.add_model(command)
    options.add_output(command)
    options.add_sampling(command)


def run(
    video: str,
    out: str,
    factor: int | None = None,
    size: tuple[int, int] | None = None,
    rate: float | None = None,
    fps: float | None = None,
    gallery: bool = False,
    json: bool = False,
    **asked: Any,
) -> None:
    """Write the whole video, its frames and those between them, or all of them larger."""
    import numpy as np

    from mcvd.apps.cli.checks import check_inputs, check_videos_out
    from mcvd.apps.cli.output import Form, write_output
    from mcvd.apps.cli.setup import ModelChoice
    from mcvd.diffusion.tasks import INTERPOLATE
    from mcvd.models.upsampling import Upsampling
    from mcvd.video.decoders.base import VideoError
    from mcvd.video.timing import DEFAULT_FPS, frames_at_rate, warn_of_repeats

    check_inputs(VIDEO=video)
    check_videos_out(out, video)
    if factor is None:
        if size is None:
            raise ValueError("upsample needs --factor N, for N times as many frames, or --size S, for larger ones")
        from mcvd.apps.cli.larger import write_larger

        return write_larger(video, out, size, rate, fps, gallery, json, **asked)
    if "low_noise" in asked:
        raise ValueError("--low-noise is for --size alone: nothing is put on frames whose gaps are filled")
    fields = FieldChoice.taken_from(asked)
    choice = ModelChoice.of(size=size, **asked)
    with fields.open(video) as reader:
        numbers = np.arange(reader.num_frames) if rate is None else frames_at_rate(reader.times, rate)
        if len(numbers) < 2:
            at_rate = "" if rate is None else f" at {rate:g} Hz"
            raise VideoError(f"{video}: {len(numbers)} frame{at_rate} has no gap to fill: at least 2 are needed")
        warn_of_repeats(reader.times, rate, numbers.tolist(), video, "reading without --rate")
        model, chosen = choice.load(INTERPOLATE)
        video_rate = rate or reader.times.told_rate_hz
        if model.times is not None and model.times.frame_rates_hz:
            chosen = replace(chosen, frame_rate_hz=video_rate)
        upsampling = Upsampling(model, factor, chosen)

        def read(frames: range) -> Tensor:
            return read_for_model(reader, numbers[frames.start : frames.stop].tolist(), model, video)

        look = fields.look(model)
        form = Form.of(look, fps, factor * (video_rate or model.frame_rate_hz or DEFAULT_FPS), video)
        page = _gallery(model, upsampling, look) if gallery else None
        nothing = read(range(0, 1))[:0]
        with _rendered(out, model, upsampling, len(numbers), read) as frames:
            write_output(out, frames, nothing, nothing, form, page, json=json)


@contextmanager
def _rendered(
    out: str, model: VideoModel, upsampling: Upsampling, num_given: int, read: Callable[[range], Tensor]
) -> Iterator[Rendered]:
    """The video, for as long as the ``with`` lasts; interrupted, the same command resumes from the gaps that it filled.

    Arguments beside as in `mcvd.models.upsampling.upsampled`.
    """
    from mcvd.apps.cli.render import Rendered, settings_of, stored_frames
    from mcvd.models.upsampling import upsampled
    from mcvd.runtime.digests import digest
    from mcvd.runtime.piece_store import PieceStore
    from mcvd.runtime.workdir import unmark

    options = upsampling.options
    shape = (options.num_samples, upsampling.num_frames(num_given), model.channels, *model.size)
    given = [digest({"frames": read(range(gaps.start, gaps.stop + 1))}) for gaps in upsampling.gaps(num_given)]
    settings = settings_of(model, options) | {"factor": upsampling.factor, "given": given}

    def blocks(folder: Path) -> Iterator[tuple[int, Tensor]]:
        return upsampled(upsampling, num_given, read, PieceStore(folder))

    with stored_frames(out, settings, shape, model.codec.dtype, blocks, copies=2) as videos:
        yield Rendered([videos], settings)
    unmark(out)


def _gallery(model: VideoModel, upsampling: Upsampling, look: Look) -> UpsampledGallery:
    """The page of ``--gallery``: the video beside what needs no model."""
    from mcvd.apps.upsampled_page import Comparison, UpsampledGallery

    factor, sampler = upsampling.factor, upsampling.options.sampler
    assert sampler is not None
    how = (
        f"One frame in {factor} is the video's own (blue), those between are generated (orange), by {sampler.label} "
        f"with {sampler.num_calls} network calls for each gap. Seed {upsampling.options.seed} makes the same again."
    )

    def comparison(samples: Tensor) -> Comparison:
        return Comparison.more_frames(look.codec.known_values(samples[0, ::factor]), factor)

    intro = f"{model.facts().sentence} {how}"
    return UpsampledGallery(f"{factor} times as many frames a second", intro, look, comparison)


def _factor(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 2):
        raise ArgumentTypeError(f"must be a whole number of at least 2, got {text!r}")
    return int(text)


HELP = "a whole video with N times as many frames a second, or with larger frames"
COMMAND = Command(HELP, run, _add_arguments, EXAMPLES)
