"""From pixels to the input of I3D: the two published ways, which do not give the same distance."""

from __future__ import annotations

import math
from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional

MIN_FRAMES = 10  # of a video whose features are compared: what published implementations ask for
Preprocessing = Literal["mcvd", "stylegan-v"]


def prepare(video: Tensor, preprocessing: Preprocessing = "mcvd", size: int = 224) -> Tensor:
    """One video as I3D takes it.

    Grey is repeated to three channels, frames are scaled bilinearly without antialiasing (PyTorch's
    ``align_corners=False``) and a pixel v of 0 to 255 becomes ``2 v / 255 - 1``. Frames that are not square are either
    scaled by their shorter side and cropped in the centre (``"mcvd"``, as VideoGPT does) or squashed into a square
    (``"stylegan-v"``, as TATS and cd-fvd do).

    Args:
        video: uint8 (T, C, H, W), C 1 or 3.
        preprocessing: ``"mcvd"`` or ``"stylegan-v"``.
        size: side of the square in pixels; the published ones have 224.

    Returns:
        float32 (3, T, size, size) in [-1, 1].

    Examples:
        >>> import torch
        >>> prepare(torch.full((10, 1, 6, 8), 255, dtype=torch.uint8)).unique()
        tensor([1.])
    """
    frames = video.float() / 255
    height, width = video.shape[-2:]
    if preprocessing == "stylegan-v":
        frames = _scale(frames, (size, size))
    else:
        # Rounded up, as published; the crop removes the rest.
        scale = size / min(height, width)
        sides = (size, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), size)
        top, left = ((side - size) // 2 for side in sides)
        frames = _scale(frames, sides)[..., top : top + size, left : left + size]
    return (2 * frames - 1).expand(-1, 3, -1, -1).transpose(0, 1)


def check_preprocessing(preprocessing: str) -> None:
    """Raises ValueError for a name that is none of `Preprocessing`."""
    if preprocessing not in get_args(Preprocessing):
        raise ValueError(f"preprocessing must be one of {', '.join(get_args(Preprocessing))}, got {preprocessing!r}")


def _scale(frames: Tensor, sides: tuple[int, int]) -> Tensor:
    return functional.interpolate(frames, sides, mode="bilinear", align_corners=False, antialias=False)
