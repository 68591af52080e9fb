"""The videos of a command: sampled block by block, resumed by the same command, shared out among processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mcvd.apps.cli.setup import log
from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.guides import NoisyClassifier
from mcvd.diffusion.options import SamplingOptions
from mcvd.models.codecs import Pixels
from mcvd.models.video_model import VideoModel
from mcvd.runtime.arrays import as_tensor
from mcvd.runtime.digests import digest
from mcvd.runtime.disk import check_free_space
from mcvd.runtime.distributed import all_gather, rank, world_size
from mcvd.runtime.workdir import resumable_workdir, unmark, workdir_of
from mcvd.video.frame_store import FrameStore


@dataclass(frozen=True)
class Rendered:
    """The videos of a command, before they are written.

    Args:
        stores: in the first process the shares of all, in the order of the videos; in the others nothing.
        settings: all that they depend on, as JSON can hold it.
    """

    stores: list[FrameStore]
    settings: dict[str, Any]


@contextmanager
def render(
    out: str, model: VideoModel, past: Tensor, future: Tensor, num_frames: int, options: SamplingOptions, own: range
) -> Iterator[Rendered]:
    """The videos between past and future, for as long as the ``with`` lasts.

    Each process samples its own into a work folder beside ``out``; the first is told where all of them are, so that no
    process ever holds more than the blocks that it samples. A command that was interrupted resumes from its blocks.

    Args:
        out: what they will become.
        model: on its device.
        past: (B, P, C, H, W) as the model takes them; P may be 0.
        future: (B, F, C, H, W); F may be 0.
        num_frames: of each video.
        options: of sampling, for the share of this process.
        own: numbers of the videos that are its share.

    Yields:
        The videos; when the ``with`` ends well they are written.
    """
    part = out if world_size() == 1 else f"{Path(out)}.{rank() + 1}-of-{world_size()}"  # out may end in a slash
    given = digest({"past": past, "future": future} | _known(options))
    settings = settings_of(model, options) | {"given": given, "num_frames": num_frames}
    shape = (len(own), num_frames, model.channels, *model.size)
    dtype = model.codec.dtype
    store = BlockStore(workdir_of(part), model.block, of_pixels=model.codec == Pixels())
    options = replace(options, progress=rank() == 0, block_store=store)
    # Refuses, before anything is written, what the model cannot do.
    stream = model.stream(past, num_frames, future=future, **vars(options)) if own else iter(())
    with stored_frames(part, settings, shape, dtype, lambda folder: stream) as videos:
        stores = all_gather(videos)  # their paths and shapes: the frames stay on disk
        yield Rendered(stores if rank() == 0 else [], settings)
        all_gather(None)  # until the first has read them, nobody deletes anything
    all_gather(None)  # until all have deleted theirs, the result can be told from somebody else's
    if rank() == 0:
        unmark(out)


@contextmanager
def stored_frames(
    out: str,
    settings: dict[str, Any],
    shape: tuple[int, int, int, int, int],
    dtype: torch.dtype,
    blocks: Callable[[Path], Iterator[tuple[int, Tensor]]],
    copies: int = 1,
) -> Iterator[FrameStore]:
    """The videos that blocks make up, in the work folder beside ``out``, for as long as the ``with`` lasts.

    Args:
        out: what they will become.
        settings: all that they depend on: with the same ones, an interrupted command resumes.
        shape: of all videos together, (K, T, C, H, W).
        dtype: of the frames.
        blocks: given the work folder, the number of the first frame of each block, and the block (..., T, C, H, W).
        copies: how many times their size the disk needs.
    """
    if not workdir_of(out).exists():
        check_free_space(out, copies * prod(shape) * dtype.itemsize)
    with resumable_workdir(out, settings, log) as folder:
        videos = FrameStore(folder / "frames", shape, dtype)
        for start, frames in blocks(folder):
            videos.write(start, frames.flatten(0, -5))
        yield videos


def settings_of(model: VideoModel, options: SamplingOptions) -> dict[str, Any]:
    """What a result depends on beside the given frames, as JSON can hold it."""
    return {
        "versions": [version("mcvd"), torch.__version__],
        "device": next(model.parameters()).device.type,
        "model": digest(model.state_dict()),
        "config": model.config,
        "options": repr(options),
        "signals": options.signals,
        "guide": _weights_of(options.guide),
    }


def _weights_of(guide: object) -> str | None:
    """The digest of a classifier's weights, which its description does not hold; None for what has none."""
    if not isinstance(guide, NoisyClassifier) or not isinstance(guide.logits, nn.Module):
        return None
    return digest(guide.logits.state_dict())


def _known(options: SamplingOptions) -> dict[str, Tensor]:
    """What is known of the generated frames, by name."""
    frames = {f"known {place}": as_tensor(frame) for place, frame in (options.known or {}).items()}
    pixels = options.known_pixels
    masks = pixels if isinstance(pixels, Mapping) else {} if pixels is None else {"all": pixels}
    return frames | {f"known pixels {place}": as_tensor(mask) for place, mask in masks.items()}
