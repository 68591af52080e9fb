"""Halving and doubling of height and width by the FIR filter [1, 3, 3, 1], zeros outside the picture; and patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mcvd.nets.layers import without_autocast

FILTER = (1.0, 3.0, 3.0, 1.0)


def downsample(x: Tensor) -> Tensor:
    """Filter and halve: along each axis ``y[k] = (x[2k-1] + 3 x[2k] + 3 x[2k+1] + x[2k+2]) / 8``.

    From (B, C, H, W), H and W even, to (B, C, H / 2, W / 2) in x's dtype. Borders are darkened by the zeros outside, as
    published.

    Examples:
        >>> downsample(torch.ones(1, 1, 4, 4))[0, 0, 0].tolist()
        [0.765625, 0.765625]
    """
    if x.is_cuda:
        return _halved(_halved(x, 2), 3)
    wide, kernel = _operands(x, 1 / 64)
    with without_autocast(x):
        return F.conv2d(wide, kernel, stride=2, padding=1, groups=x.shape[1]).to(x.dtype)


def upsample(x: Tensor) -> Tensor:
    """Double and filter: along each axis ``y[2k] = (3 x[k] + x[k-1]) / 4``, ``y[2k+1] = (3 x[k] + x[k+1]) / 4``.

    From (B, C, H, W) to (B, C, 2 H, 2 W) in x's dtype.

    Examples:
        >>> upsample(torch.ones(1, 1, 2, 2))[0, 0, 1].tolist()
        [0.75, 1.0, 1.0, 0.75]
    """
    if x.is_cuda:
        return _doubled(_doubled(x, 2), 3)
    wide, kernel = _operands(x, 1 / 16)
    with without_autocast(x):
        return F.conv_transpose2d(wide, kernel, stride=2, padding=1, groups=x.shape[1]).to(x.dtype)


def _halved(x: Tensor, axis: int) -> Tensor:
    """`downsample` along one axis by shifted copies: cuDNN's depthwise convolutions take longer than reading these."""
    x = F.pad(x, (0, 0, 1, 1) if axis == 2 else (1, 1))
    length = x.shape[axis] - 2
    outer0, inner0, inner1, outer1 = (x[(slice(None),) * axis + (slice(i, i + length, 2),)] for i in range(4))
    return torch.add(outer0 + outer1, inner0 + inner1, alpha=3).mul_(1 / 8)


def _doubled(x: Tensor, axis: int) -> Tensor:
    """`upsample` along one axis, in the same way."""
    wide = F.pad(x, (0, 0, 1, 1) if axis == 2 else (1, 1))
    length = x.shape[axis]
    before, after = wide.narrow(axis, 0, length), wide.narrow(axis, 2, length)
    return torch.stack([x.lerp(before, 0.25), x.lerp(after, 0.25)], axis + 1).flatten(axis, axis + 1)


def _operands(x: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The picture in at least float32 and the filter, outer([1, 3, 3, 1]) times ``scale``, for each of its channels.

    Depthwise convolutions in bf16 fall off the fast path on CPU (up to 20 times slower), so both are widened.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    kernel = wide.new_tensor([[scale * a * b for a in FILTER] for b in FILTER])
    return wide, kernel.expand(x.shape[1], 1, 4, 4)


def patches(x: Tensor, side: int) -> Tensor:
    """Squares of pixels as channels: (B, C, H, W) -> (B, C * side^2, H / side, W / side), nothing lost."""
    return x if side == 1 else F.pixel_unshuffle(x, side)


def pixels(x: Tensor, side: int) -> Tensor:
    """The inverse of `patches`."""
    return x if side == 1 else F.pixel_shuffle(x, side)
