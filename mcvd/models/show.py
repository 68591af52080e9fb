"""`show`: videos in a notebook, of pixels or of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from mcvd.models.codecs import AbstractCodec
from mcvd.models.look import PIXEL_LOOK, Look
from mcvd.runtime.arrays import as_tensor
from mcvd.video.figure import VideoFigure
from mcvd.video.page import Page
from mcvd.video.timing import DEFAULT_FPS


def show(
    videos: Tensor | Mapping[str, Tensor],
    fps: float = DEFAULT_FPS,
    codec: AbstractCodec | None = None,
    shown: Sequence[int] = (),
) -> Page:
    """Videos side by side, to be the last value of a notebook's cell: they play in it by themselves.

    Args:
        videos: (T, C, H, W), several as (B, T, C, H, W) or (B, K, T, C, H, W), or named ones, each (T, C, H, W): uint8,
            or values with a ``codec``.
        fps: frames per second.
        codec: what their numbers mean, ``model.codec`` or a `mcvd.models.codecs.Scale`: values are shown in colours,
            with a bar that tells them; None: pixels.
        shown: channels of values to look at, from 0: one, by a colour map, or three as red, green and blue; none: as
            the codec has it.

    Returns:
        A page, which a notebook shows and ``write`` saves.

    Raises:
        ValueError: they are no videos, or have no such channels.

    Example::

        mcvd.show({"filmed": video, "predicted": future[0]})
        mcvd.show(forecasts, codec=model.codec, shown=(4, 2, 1))
    """
    if not isinstance(videos, Mapping):
        videos = as_tensor(videos)
        several = videos.flatten(0, -5) if videos.ndim > 4 else videos[None]
        videos = {str(number) if len(several) > 1 else "": video for number, video in enumerate(several)}
    look = PIXEL_LOOK if codec is None else Look(codec, shown=tuple(shown))
    page = Page("Videos")
    figures: list[VideoFigure] = []
    for name, given in videos.items():
        video = as_tensor(given)
        if codec is None and video.is_floating_point():
            raise ValueError(f"videos of {video.dtype} are values: say what they mean with codec, such as model.codec")
        if codec is not None:
            look = replace(look, channels=video.shape[-3])
        figures.append(VideoFigure(name, look.pictures(video), generated=None))
    return page.colours(look.legend).videos(figures, fps)
