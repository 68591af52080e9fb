"""Making frames fit what is asked: the window that is cut out, and the number of channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def check_video(video: Tensor, name: str = "a video") -> None:
    """Raise ValueError, which begins with ``name``, unless this is uint8 (T, C, H, W) with 1 or 3 channels."""
    if not isinstance(video, Tensor):
        raise ValueError(f"{name} must be a torch tensor, uint8 (T, C, H, W), got {type(video).__name__}")
    if video.dtype != torch.uint8:
        raise ValueError(
            f"{name} must be uint8, 0 to 255, got {video.dtype}; from floats in [0, 1] (255 * video).round().byte() "
            "makes it, from those in [-1, 1] mcvd.frames.pixels_from_model"
        )
    if video.ndim != 4 or video.shape[1] not in (1, 3) or 0 in video.shape:
        hint = ""
        if video.ndim == 4 and video.shape[-1] in (1, 3):
            hint = "; this looks like (T, H, W, C): permute(0, 3, 1, 2)"
        elif video.ndim == 5:
            hint = "; take the videos of a batch one by one"
        shape = tuple(video.shape)
        raise ValueError(f"{name} must be uint8 (T, C, H, W) with C 1 or 3 and at least one frame, got {shape}{hint}")


def take_frames(video: Tensor, frames: Sequence[int]) -> Tensor:
    """Some frames of a video (T, ...), a copy, in the order asked for."""
    first, last = frames[0], frames[-1]
    step = (last - first) // (len(frames) - 1) if len(frames) > 1 else 1
    if step > 0 and first >= 0 and last < len(video):
        evenly = range(first, last + 1, step)
        if isinstance(frames, range) or list(frames) == list(evenly):
            return video[first : last + 1 : step].clone()  # one copy of memory, where gathering takes one a frame
    return video[torch.as_tensor(frames)]


def crop(video: Tensor, size: tuple[int, int], corner: tuple[float, float] | None = None) -> Tensor:
    """Cut a window out of all frames.

    Args:
        video: (..., H, W).
        size: (height, width) of the window, at most H and W.
        corner: where it lies, (down, right) as fractions in [0, 1) of the room there is; None is the centre.

    Returns:
        A view, (..., height, width).
    """
    height, width = size
    room = (video.shape[-2] - height, video.shape[-1] - width)
    if room == (0, 0):
        return video
    if corner is None:
        top, left = (extra // 2 for extra in room)
    else:
        top, left = (int(place * (extra + 1)) for place, extra in zip(corner, room, strict=True))
    return video[..., top : top + height, left : left + width]


def to_channels(video: Tensor, channels: int) -> Tensor:
    """uint8 (T, C, H, W) with 1 or 3 channels: grey is Rec. 601 luma of a coloured source.

    Examples:
        >>> to_channels(torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1), 1).item()
        76
    """
    if video.shape[1] == channels:
        return video
    if video.is_floating_point() or {video.shape[1], channels} != {1, 3}:
        kind = "values" if video.is_floating_point() else "pixels"
        raise ValueError(
            f"frames of {video.shape[1]} channels of {kind} cannot become frames of {channels} (grey and colour pixels "
            f"alone become each other): take a model of {video.shape[1]} channels (model.channels, data.channels)"
        )
    if channels == 3:
        return video.expand(-1, 3, -1, -1)
    # In thousandths, rounded; grey pixels keep their value exactly.
    weights = torch.tensor([299, 587, 114], dtype=torch.int32).view(3, 1, 1)
    return (((video.int() * weights).sum(1, keepdim=True) + 500) // 1000).to(torch.uint8)


def fit_frames(
    video: Tensor, size: tuple[int, int] | None, channels: int, corner: tuple[float, float] | None = None
) -> Tensor:
    """From frames that cover ``size`` to what a clip holds: cropped, of ``channels``, contiguous.

    Args:
        video: uint8 (T, C, H, W) with 1 or 3 channels, as a reader returns it.
        size: (height, width) of the window; None keeps whole frames.
        channels: 1 or 3.
        corner: where the window lies, see `crop`.

    Returns:
        uint8 (T, channels, height, width); of values, float32, with any number of channels, the same.
    """
    return to_channels(video if size is None else crop(video, size, corner), channels).contiguous()


def covering_size(size: tuple[int, int], cover: tuple[int, int] | None) -> tuple[int, int]:
    """The size, aspect kept, at which a picture of ``size`` just covers ``cover``; both (height, width).

    Examples:
        >>> covering_size((720, 1280), (128, 128))
        (128, 228)
    """
    if cover is None:
        return size
    if min(cover) < 1:
        raise ValueError(f"cover must be (height, width) of at least one pixel each, got {tuple(cover)}")
    (height, width), (cover_height, cover_width) = size, cover
    scale = max(cover_height / height, cover_width / width)
    return max(cover_height, round(height * scale)), max(cover_width, round(width * scale))


def scale_to_cover(video: Tensor, cover: tuple[int, int]) -> Tensor:
    """uint8 (T, C, H, W) at the size, aspect kept, that just covers ``cover``; untouched if it is that already."""
    size = covering_size((video.shape[-2], video.shape[-1]), cover)
    if size == tuple(video.shape[-2:]):
        return video.contiguous()
    return interpolate(video, size=size, mode="bilinear", antialias=True)
