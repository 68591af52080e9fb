"""Convolutions, linear maps and group norm with the published initialisation and grouping rule."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The last layer of a residual branch starts at almost nothing: at first a block is its skip connection.
TINY = 1e-10

Layer = TypeVar("Layer", nn.Conv2d, nn.Conv3d, nn.Linear)


def conv(in_channels: int, out_channels: int, size: int = 3, scale: float = 1.0, parts: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width, initialised as published."""
    return initialised(nn.Conv2d(in_channels, out_channels, size, padding=size // 2), scale, parts)


def linear(in_features: int, out_features: int, scale: float = 1.0, parts: int = 1) -> nn.Linear:
    """A linear map, initialised as published."""
    return initialised(nn.Linear(in_features, out_features), scale, parts)


def initialised(layer: Layer, scale: float, parts: int) -> Layer:
    """Weights uniform with variance ``scale / mean(fan_in, fan_out)``, each of the stacked parts with its own fan."""
    num_out, num_in, *kernel = layer.weight.shape
    mean_fan = math.prod(kernel) * (num_in + num_out / parts) / 2
    bound = math.sqrt(3 * scale / mean_fan)
    nn.init.uniform_(layer.weight, -bound, bound)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def num_groups(channels: int) -> int:
    """The largest number of groups not above ``min(channels // 4, 32)`` which divides the channels.

    Examples:
        >>> num_groups(48), num_groups(192), num_groups(3)
        (12, 32, 1)
    """
    most = max(1, min(channels // 4, 32))
    for groups in range(most, 1, -1):  # not a generator: called by every norm of a network
        if channels % groups == 0:
            return groups
    return 1


def group_norm(x: Tensor, eps: float, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
    """Group norm of x (B, C, H, W) times a scale plus a shift, each (B, C), (1, C), (C,) or None.

    Any float dtype, also that of the result; the kernel keeps statistics in at least float32.
    """
    groups = num_groups(x.shape[1])
    # CUDA's autocast would return float32 and double the traffic of all that follows.
    with without_autocast(x):
        # Not nn.functional's, whose checks take as long as a small norm.
        if scale is None or shift is None:
            return torch.group_norm(x, groups, eps=eps)
        if scale.ndim == 2 and scale.shape[0] == 1:
            scale, shift = scale[0], shift[0]
        scale, shift = scale.to(x.dtype), shift.to(x.dtype)
        if scale.ndim == 1:
            return torch.group_norm(x, groups, scale, shift, eps)
        batch, channels, height, width = x.shape
        if batch > 1 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
            return scaled(torch.group_norm(x, groups, eps=eps), _plane(scale), _plane(shift))
        # B samples of G groups are one sample of B * G groups: a scale per sample then costs no pass of its own.
        one = x.reshape(1, batch * channels, height, width)
        return torch.group_norm(one, batch * groups, scale.reshape(-1), shift.reshape(-1), eps).view_as(x)


def without_autocast(x: Tensor) -> AbstractContextManager:
    """A context in which operations on x's device compute in the dtypes that they are given."""
    device = x.device.type  # entering costs as much as a small operation, and there are dozens in a call of a network
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def silu(x: Tensor) -> Tensor:
    """SiLU, in the memory of ``x`` where autograd keeps nothing: fresh memory costs more than the arithmetic."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


def scaled(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """``x * scale + shift``, in the memory of ``x`` where autograd keeps nothing, for the same reason as in `silu`."""
    if torch.is_grad_enabled():
        return torch.addcmul(shift, x, scale)
    return torch.addcmul(shift, x, scale, out=x)


def _plane(x: Tensor) -> Tensor:
    return x[:, :, None, None]
