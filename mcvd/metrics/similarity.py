"""The structural similarity of two pictures, place by place: what all kinds of SSIM are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WINDOW_SIZE, _WINDOW_SIGMA = 11, 1.5
_CHUNK_PIXELS = 1 << 16  # larger chunks leave the processor's cache and are slower


def similarity(a: Tensor, b: Tensor, mirrored: bool) -> tuple[Tensor, Tensor]:
    """SSIM (Wang et al. 2004) under a Gaussian window of sigma 1.5 over 11 x 11 pixels.

    Args:
        a: pictures of any dtype (..., H, W), with values 0 to 255; H and W 6 or more, 11 if not ``mirrored``.
        b: the same.
        mirrored: whether the window goes up to the border, behind which pictures are mirrored; else it lies wholly
            inside.

    Returns:
        (similarity, its part contrast and structure), float32 (..., H, W), or (..., H - 10, W - 10) without mirroring.
    """
    # Around mid-grey, so that the variances below keep their digits in float32.
    a, b = (picture.float() - 127.5 for picture in (a, b))
    mean_a, mean_b, square_a, square_b, product = _blur(torch.stack([a, b, a * a, b * b, a * b]), mirrored)
    variances = (square_a - mean_a**2) + (square_b - mean_b**2)
    covariance = product - mean_a * mean_b
    mean_a, mean_b = mean_a + 127.5, mean_b + 127.5
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    contrast_and_structure = (2 * covariance + c2) / (variances + c2)
    return luminance * contrast_and_structure, contrast_and_structure


def of_pictures(score: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, num_axes: int = 2) -> Tensor:
    """A score of pairs of pictures, some at a time, so that many stay in the processor's cache.

    Args:
        score: pairs (N, ...) twice, of the last ``num_axes`` axes -> (N,).
        a: any dtype, leading axes of any number.
        b: the same, leading axes broadcast.
        num_axes: of a picture: 2 (H, W), or 3 (C, H, W).

    Returns:
        float64, of the leading axes.
    """
    a, b = torch.broadcast_tensors(a, b)
    leading = a.shape[:-num_axes]
    a, b = (side.flatten(0, -1 - num_axes) for side in (a, b))
    num_pictures = max(1, _CHUNK_PIXELS // a.shape[-num_axes:].numel())
    parts = zip(a.split(num_pictures), b.split(num_pictures), strict=True)
    return torch.cat([score(*part) for part in parts]).double().unflatten(0, leading)


def _blur(pictures: Tensor, mirrored: bool) -> Tensor:
    """The Gaussian window at every place, float (..., H, W)."""
    # The window is a product of two lines, and each is a matrix: several times faster than convolutions.
    down, across = (_lines(side, mirrored).to(pictures) for side in pictures.shape[-2:])
    return down @ pictures @ across.T


def _lines(size: int, mirrored: bool) -> Tensor:
    """The one-dimensional window at every place along a side: float64 (size, size), or (size - 10, size) inside."""
    offset, half = torch.arange(WINDOW_SIZE), WINDOW_SIZE // 2
    window = torch.exp(-(((offset.double() - half) / _WINDOW_SIGMA) ** 2) / 2)
    num_places = size if mirrored else size - WINDOW_SIZE + 1
    place = torch.arange(num_places)[:, None] + offset
    if mirrored:
        place = (place - half).abs()
        place = torch.minimum(place, 2 * (size - 1) - place)
    weights = (window / window.sum()).expand(num_places, -1)
    return torch.zeros(num_places, size, dtype=torch.float64).scatter_add_(1, place, weights)
