"""Means around each pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d, pad


def box_mean(x: Tensor, reach: int, times: int = 1, padding: str = "replicate") -> Tensor:
    """Means over squares of 2 * reach + 1 pixels of (B, C, H, W), so often in turn."""
    for _ in range(times):
        x = avg_pool2d(pad(x, (reach,) * 4, mode=padding), 2 * reach + 1, stride=1)
    return x
