"""What ``mcvd upsample --size`` does: a whole video with larger frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from mcvd.apps.cli.fields import FieldChoice, read_for_model
from mcvd.apps.cli.output import Form, write_output
from mcvd.apps.cli.render import Rendered, settings_of, stored_frames
from mcvd.apps.cli.setup import ModelChoice
from mcvd.apps.upsampled_page import Comparison, UpsampledGallery
from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.tasks import GENERATE
from mcvd.models.codecs import Pixels
from mcvd.models.look import Look
from mcvd.models.video_model import VideoModel
from mcvd.runtime.digests import digest
from mcvd.runtime.workdir import unmark, workdir_of
from mcvd.video.timing import DEFAULT_FPS, frames_at_rate, warn_of_repeats


def write_larger(
    video: str,
    out: str,
    size: tuple[int, int],
    rate: float | None,
    fps: float | None,
    gallery: bool,
    json: bool,
    **asked: Any,
) -> None:
    """Read the frames of a video at the size that the model makes larger, and write them at that of the model.

    Raises:
        ValueError: the model makes no frames larger, or cannot make them of this size.
    """
    fields = FieldChoice.taken_from(asked)
    choice = ModelChoice.of(size=size, **asked)
    with fields.open(video) as reader:
        model, chosen = choice.load(GENERATE)
        if model.low_size is None:
            raise ValueError(
                "this model makes no frames larger: train one with mcvd fit --config super-resolution, and name it by "
                "--model"
            )
        numbers = np.arange(reader.num_frames) if rate is None else frames_at_rate(reader.times, rate)
        warn_of_repeats(reader.times, rate, numbers.tolist(), video, "reading without --rate")
        low = read_for_model(reader, numbers.tolist(), model, video, model.low_size)
        look = fields.look(model)
        form = Form.of(look, fps, rate or reader.times.told_rate_hz or model.frame_rate_hz or DEFAULT_FPS, video)
    page = _gallery(model, chosen, look, low) if gallery else None
    nothing = low.new_empty(0, model.channels, *model.size)
    with _rendered(out, model, chosen, low) as frames:
        write_output(out, frames, nothing, nothing, form, page, json=json)


@contextmanager
def _rendered(out: str, model: VideoModel, options: SamplingOptions, low: Tensor) -> Iterator[Rendered]:
    """The video, for as long as the ``with`` lasts; interrupted, the same command resumes from its blocks."""
    settings = settings_of(model, options) | {"given": digest({"low": low}), "size": list(model.size)}
    shape = (options.num_samples, len(low), model.channels, *model.size)
    store = BlockStore(workdir_of(out), model.block, of_pixels=model.codec == Pixels())
    # Refuses, before anything is written, what the model cannot do.
    stream = model.stream_enlarged(low[None], replace(options, block_store=store))
    with stored_frames(out, settings, shape, model.codec.dtype, lambda folder: stream) as videos:
        yield Rendered([videos], settings)
    unmark(out)


def _gallery(model: VideoModel, options: SamplingOptions, look: Look, low: Tensor) -> UpsampledGallery:
    """The page of ``--gallery``: the video beside its bilinear enlargement."""
    (height, width), small = model.size, low.shape[-2:]
    intro = (
        f"From {small[0]}x{small[1]} to {height}x{width} pixels. {model.facts().sentence} Every frame is generated; "
        f"what was given is told to the model. Seed {options.seed} makes the same again."
    )
    return UpsampledGallery("Larger frames", intro, look, lambda _: Comparison.larger_frames(low, model.size, look))
