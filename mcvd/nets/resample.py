"""Halving and doubling of height and width by the FIR filter [1, 3, 3, 1], zeros outside the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def downsample(x: Tensor) -> Tensor:
    """Filter and halve: along each axis ``y[k] = (x[2k-1] + 3 x[2k] + 3 x[2k+1] + x[2k+2]) / 8``.

    Args:
        x: (B, C, H, W), H and W even; borders are darkened by the zeros outside, as published.

    Returns:
        (B, C, H / 2, W / 2) in x's dtype.

    Example:
        >>> downsample(torch.ones(1, 1, 4, 4))[0, 0, 0].tolist()
        [0.765625, 0.765625]
    """
    wide, kernel = _operands(x)
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(wide, kernel / 16, stride=2, padding=1, groups=x.shape[1]).to(x.dtype)


def upsample(x: Tensor) -> Tensor:
    """Double and filter: along each axis ``y[2k] = (3 x[k] + x[k-1]) / 4``, ``y[2k+1] = (3 x[k] + x[k+1]) / 4``.

    Args:
        x: (B, C, H, W).

    Returns:
        (B, C, 2 H, 2 W) in x's dtype.

    Example:
        >>> upsample(torch.ones(1, 1, 2, 2))[0, 0, 1].tolist()
        [0.75, 1.0, 1.0, 0.75]
    """
    if x.is_cuda and not torch.is_grad_enabled():
        # Bilinear interpolation between zeros is the same filter, and its kernel is several times faster there.
        wide = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2.0, mode="bilinear")
        return wide[..., 2:-2, 2:-2].contiguous()
    wide, kernel = _operands(x)
    with torch.autocast(x.device.type, enabled=False):
        return F.conv_transpose2d(wide, kernel / 4, stride=2, padding=1, groups=x.shape[1]).to(x.dtype)


def _operands(x: Tensor) -> tuple[Tensor, Tensor]:
    """The picture and the filter outer([1, 3, 3, 1]) / 4 for each of its channels, on a CPU in at least float32.

    Depthwise convolutions in bf16 fall off the fast path on CPU (up to 20 times slower), so both are widened.
    """
    wide = x if x.is_cuda else x.to(torch.promote_types(x.dtype, torch.float32))
    # Computed, not copied from the host: a copy would make the GPU wait.
    row = 2 - (torch.arange(4, dtype=wide.dtype, device=wide.device) - 1.5).abs()
    return wide, torch.outer(row, row).expand(x.shape[1], 1, 4, 4)
