"""Self-attention over the positions of a feature map."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from mcvd.nets.layers import TINY, linear, num_groups


class Attention(nn.Module):
    """Every position looks at every other; residual, divided by sqrt(2).

    A head is a contiguous run of ``head_channels``; a narrower feature map has one head.
    """

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        if channels > head_channels and channels % head_channels:
            raise ValueError(
                f"attention over {channels} channels cannot be cut into heads of {head_channels}: "
                "choose head_channels that divides width * multiplier of every level with attention and of the last"
            )
        self.num_heads = max(1, channels // head_channels)
        self.norm = nn.GroupNorm(num_groups(channels), channels, eps=1e-6)
        self.qkv = linear(channels, 3 * channels, scale=0.1, parts=3)
        self.out = linear(channels, channels, scale=TINY)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        positions = self.norm(x).flatten(2).transpose(1, 2)  # (B, HW, C)
        qkv = self.qkv(positions).unflatten(2, (3, self.num_heads, -1))  # (B, HW, 3, heads, C / heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, HW, C / heads)
        seen = F.scaled_dot_product_attention(query, key, value)
        h = self.out(seen.transpose(1, 2).flatten(2))  # (B, HW, C)
        return (x + h.transpose(1, 2).unflatten(2, x.shape[2:])) * math.sqrt(0.5)
