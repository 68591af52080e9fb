"""Whole videos at a larger size, by a model that was trained for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from mcvd.diffusion.options import SamplingOptions
from mcvd.frames import FrameBlock
from mcvd.models.codecs.base import AbstractCodec
from mcvd.runtime.rng import keyed_seed

BLOCKS_AT_ONCE = 32  # of a model without context, unless the options say otherwise


class Enlarges(Protocol):
    """What `enlarged_stream` asks of a model; see `mcvd.models.video_model.VideoModel`."""

    block: FrameBlock
    size: tuple[int, int]
    channels: int
    codec: AbstractCodec

    @property
    def low_size(self) -> tuple[int, int] | None:
        """Height and width of what it makes larger."""

    def stream(
        self, past: Tensor | None, num_frames: int, *, future: Tensor | None = None, **options: Any
    ) -> Iterator[tuple[int, Tensor]]:
        """Blocks of the frames, given these at a smaller size (``low``)."""


def enlarged_stream(model: Enlarges, video: Tensor, options: SamplingOptions) -> Iterator[tuple[int, Tensor]]:
    """The frames of some videos made larger, block by block; each block sees the last frames of the one before it.

    Blocks of a model without context depend on nothing but their own frames, and are sampled many at a time.

    Args:
        model: with ``super_resolution``.
        video: (B, T, C, h, w) as the model takes videos.
        options: of sampling; ``low_noise`` is how much noise is put on the frames.

    Yields:
        As `VideoModel.stream`.

    Raises:
        ValueError: the model does not make frames larger, they do not fit, or an option has no meaning here.
    """
    if model.low_size is None:
        raise ValueError("this model makes no frames larger: it was trained without super_resolution")
    shape, dtype, length = tuple(video.shape), video.dtype, model.block.current
    wanted = (model.channels, *model.low_size)
    if len(shape) != 5 or shape[2:] != wanted or 0 in shape or dtype != model.codec.dtype:
        raise ValueError(
            f"this model makes {str(model.codec.dtype).removeprefix('torch.')} frames of C, h, w = {wanted} larger, "
            f"got {dtype} {shape}"
        )
    if any((options.known is not None, options.loop, options.rolling, options.guide, options.low is not None)):
        raise ValueError("known frames, loops, rolling and guides belong to videos that are not known in another size")
    many, num_frames = shape[:2]
    nothing = torch.empty(many, 0, model.channels, *model.size, dtype=dtype)
    if model.block.num_context or num_frames <= length or options.signals is not None:  # these are of a whole video
        return model.stream(nothing, num_frames, **vars(replace(options, low=video)))
    return _independent(model, video, options)


def _independent(model: Enlarges, video: Tensor, options: SamplingOptions) -> Iterator[tuple[int, Tensor]]:
    """`enlarged_stream` of a model without context."""
    (many, num_frames), length = video.shape[:2], model.block.current
    seeds = seeds_of(options, many)
    step = max(1, (options.batch_size or BLOCKS_AT_ONCE) // (many * options.num_samples))
    blocks = range(0, num_frames, length)
    for first in range(0, len(blocks), step):
        starts = blocks[first : first + step]
        rows = torch.tensor([[min(start + i, num_frames - 1) for i in range(length)] for start in starts])
        low = video[:, rows].flatten(0, 1)  # (B * blocks, N, C, h, w)
        seed = [keyed_seed(each, start) for each in seeds for start in starts]
        nothing = torch.empty(len(low), 0, model.channels, *model.size, dtype=video.dtype)
        store = options.block_store and options.block_store.within(f"from-{starts.start}")
        own = replace(options, low=low, seed=seed, block_store=store, progress=False, on_progress=None)
        frames = torch.cat([block for _, block in model.stream(nothing, length, **vars(own))], -4)
        frames = frames if options.num_samples > 1 else frames[:, None]
        whole = frames.unflatten(0, (many, len(starts))).transpose(1, 2).flatten(2, 3)  # (B, K, blocks * N, C, H, W)
        whole = whole[:, :, : num_frames - starts.start]
        if options.on_progress is not None:
            options.on_progress(min(starts[-1] + length, num_frames) / num_frames)
        yield starts.start, whole if options.num_samples > 1 else whole[:, 0]


def seeds_of(options: SamplingOptions, num_videos: int) -> list[int]:
    """A seed of its own for each video, that depends on its number alone.

    Raises:
        ValueError: there are seeds for another number of videos.
    """
    if isinstance(options.seed, Sequence):
        if len(options.seed) != num_videos:
            raise ValueError(
                f"seed must be one number or one for each of the {num_videos} videos, got {len(options.seed)}"
            )
        return [keyed_seed(seed, 0) for seed in options.seed]
    return [keyed_seed(options.seed, options.first_video + number) for number in range(num_videos)]
