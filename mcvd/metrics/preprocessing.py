"""From pixels to what I3D takes: the published ways, which do not give the same distance."""

from __future__ import annotations

import math
from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional

Preprocessing = Literal["mcvd", "videogpt", "stylegan-v"]


def prepare(video: Tensor, preprocessing: Preprocessing = "mcvd", size: int = 224) -> Tensor:
    """One video as I3D takes it.

    In all of them grey is repeated to three channels, frames are scaled bilinearly without antialiasing (PyTorch's
    ``align_corners=False``) and a pixel v of 0 to 255 becomes ``2 v / 255 - 1``. They differ for frames that are not
    square: ``"mcvd"`` and ``"videogpt"`` (two names, as both papers are cited for it) scale the shorter side and cut
    the centre out; ``"stylegan-v"`` squashes the frame into a square, as TATS and cd-fvd do too.

    Args:
        video: uint8 (T, C, H, W), C 1 or 3.
        preprocessing: which of them.
        size: side of the square in pixels; the published ones have 224.

    Returns:
        float32 (3, T, size, size) in [-1, 1].

    Example:
        >>> import torch
        >>> prepare(torch.full((10, 1, 6, 8), 255, dtype=torch.uint8)).unique()
        tensor([1.])
    """
    frames = video.float() / 255
    height, width = video.shape[-2:]
    if preprocessing == "stylegan-v":
        frames = _scale(frames, (size, size))
    else:
        # Rounded up, as published; the crop takes what is too much.
        scale = size / min(height, width)
        sides = (size, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), size)
        top, left = ((side - size) // 2 for side in sides)
        frames = _scale(frames, sides)[..., top : top + size, left : left + size]
    return (2 * frames - 1).expand(-1, 3, -1, -1).transpose(0, 1)


def check_preprocessing(preprocessing: str) -> None:
    """Refuse a name that is none of `Preprocessing`."""
    if preprocessing not in get_args(Preprocessing):
        raise ValueError(f"preprocessing must be one of {', '.join(get_args(Preprocessing))}, got {preprocessing!r}")


def _scale(frames: Tensor, sides: tuple[int, int]) -> Tensor:
    return functional.interpolate(frames, sides, mode="bilinear", align_corners=False, antialias=False)
