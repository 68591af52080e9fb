"""The file of ``--uncertainty``: what the samples agree on, and where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mcvd.metrics.frames import mean_of_samples
from mcvd.metrics.spread import spread_map
from mcvd.models.look import Look
from mcvd.video.frame_store import FrameStore
from mcvd.video.heat_map import heat_map
from mcvd.video.write import write_chunks


def write_uncertainty(
    path: str, stores: Sequence[FrameStore], past: Tensor, future: Tensor, fps: float, look: Look
) -> float:
    """Write the mean of all samples, their spread and the samples themselves, side by side.

    Args:
        path: .mp4, .gif or .png, which replaces a file of this name.
        stores: of 2 samples or more together, each (T, C, H, W); read a few frames at a time.
        past: (P, C, H, W), given before them, shown without spread.
        future: (F, C, H, W), given after them.
        fps: at which it plays.
        look: how videos are shown.

    Returns:
        The spread of the brightest colour, in the unit of the videos: the largest of all pixels and frames.
    """
    known = look.codec.known_values
    num_frames = len(past) + stores[0].shape[1] + len(future)
    largest = max(spread_map(known(samples)).nan_to_num().max().item() for samples in _chunks(stores))
    num_videos = sum(store.shape[0] for store in stores)
    is_strip = path.lower().endswith(".png")
    side = -2 if is_strip else -1
    top = max(largest, 1.0 if look.legend is None else 1e-12)

    def rows() -> Iterator[Tensor]:
        parts = (past.expand(num_videos, *past.shape), *_chunks(stores), future.expand(num_videos, *future.shape))
        for samples in parts:
            if samples.shape[1]:
                mean = look.codec.as_written(mean_of_samples(known(samples)[None])[0])
                shown = [look.pictures(mean), heat_map(spread_map(known(samples)), top), *look.pictures(samples)]
                yield torch.cat([video.expand(-1, 3, -1, -1) for video in shown], side)

    write_chunks(path, (look.strip if is_strip else look.film)(rows()), num_frames, fps)
    return largest


def _chunks(stores: Sequence[FrameStore]) -> Iterator[Tensor]:
    """The same frames of all samples, uint8 (K, n, C, H, W) at a time."""
    videos = [store.chunks(number) for store in stores for number in range(store.shape[0])]
    for chunks in zip(*videos, strict=True):
        yield torch.stack(chunks)
