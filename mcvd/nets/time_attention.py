"""Attention over the frames of a block, at each place of the picture by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mcvd.nets.layers import TINY, linear, num_groups

_HIDDEN = 32  # width of the map from distances to what they add

Seen = tuple[Tensor, Tensor]
"""Key and value of frames, each (B, h * w, heads, T, C / heads)."""


@dataclass(frozen=True)
class FrameView:
    """Which frames look at which, and how far apart they are.

    Args:
        distance: float (B or 1, N, M), by how many frames each of M frames lies after each of N that look.
        looks: bool (B, N, M), True where one may look; each of the N at itself at least.
    """

    distance: Tensor
    looks: Tensor


class TimeAttention(nn.Module):
    """Every frame looks at the same place of other frames; residual, divided by sqrt(2).

    The factorised attention of video diffusion models (Ho et al. 2022, arXiv 2204.03458, section 3). What a distance in
    time adds to the scores is a learnt function of the distance itself, so that frames may lie anywhere (relative
    positions as in Harvey et al. 2022, arXiv 2205.11495).
    """

    def __init__(self, channels: int, head_channels: int, level: int, gradient_checkpointing: bool = False) -> None:
        super().__init__()
        if channels > head_channels and channels % head_channels:
            raise ValueError(
                f"attention over {channels} channels cannot be cut into heads of {head_channels}: "
                "choose head_channels that divides width * multiplier of every level with attention over time"
            )
        self.channels, self.level, self.num_heads = channels, level, max(1, channels // head_channels)
        self.gradient_checkpointing = gradient_checkpointing
        self.norm = nn.GroupNorm(num_groups(channels), channels, eps=1e-6)
        self.qkv = linear(channels, 3 * channels, scale=0.1, parts=3)
        self.out = linear(channels, channels, scale=TINY)
        self.far0 = linear(3, _HIDDEN)
        self.far1 = linear(_HIDDEN, self.num_heads)

    def bias(self, view: FrameView) -> Tensor:
        """What is added to the scores of a view, (B, 1, heads, N, M): minus infinity where a frame may not look."""
        apart = view.distance
        # Near frames are told apart finely, far ones by their order of magnitude.
        features = torch.stack([apart.sign() * apart.abs().log1p(), apart.abs().log1p(), (-apart.abs()).exp()], -1)
        score = self.far1(F.silu(self.far0(features.to(self.far0.weight.dtype))))  # (B or 1, N, M, heads)
        return torch.where(view.looks[..., None], score, -math.inf).permute(0, 3, 1, 2)[:, None]

    def forward(self, x: Tensor, num_rows: int, bias: Tensor, given: Seen | None = None) -> tuple[Tensor, Seen]:
        """Look.

        Args:
            x: (R * N, C, h, w), the N frames of each of R = B * K rows, adjacent.
            num_rows: R.
            bias: from `bias`, of the M = T + N frames that are looked at.
            given: key and value of T further frames of B conditions, which come first; None for T = 0.

        Returns:
            (R * N, C, h, w), and key and value of these frames.
        """
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(self._look, x, num_rows, bias, given, use_reentrant=False)
        return self._look(x, num_rows, bias, given)

    def _look(self, x: Tensor, num_rows: int, bias: Tensor, given: Seen | None) -> tuple[Tensor, Seen]:
        size = x.shape[2:]
        h = self.norm(x).unflatten(0, (num_rows, -1)).flatten(3).permute(0, 3, 1, 2)  # (R, hw, N, C)
        qkv = self.qkv(h).unflatten(3, (3, self.num_heads, -1))  # (R, hw, N, 3, heads, C / heads)
        query, key, value = qkv.permute(3, 0, 1, 4, 2, 5).unbind()  # each (R, hw, heads, N, C / heads)
        keys, values = key, value
        if given is not None:
            num_samples = num_rows // len(given[0])
            keys, values = (
                torch.cat([each.repeat_interleave(num_samples, 0) if num_samples > 1 else each, own], dim=3)
                for each, own in zip(given, (key, value), strict=True)
            )
        if 1 < len(bias) < num_rows:
            bias = bias.repeat_interleave(num_rows // len(bias), 0)
        seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=bias.to(query.dtype))
        h = self.out(seen.transpose(2, 3).flatten(3))  # (R, hw, N, C)
        h = h.permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, size)  # (R * N, C, h, w)
        return (x + h) * math.sqrt(0.5), (key, value)


class SpaceTimeAttention(nn.Module):
    """Attention over the places of a frame, if a level has that, then over frames; called by `FrameAttention`."""

    def __init__(self, space: nn.Module, time: TimeAttention) -> None:
        super().__init__()
        self.space, self.time = space, time


@dataclass(frozen=True)
class FrameAttention:
    """How the frames of rows, all feature maps of their own, look at each other in every layer.

    Args:
        num_rows: R.
        biases: of every `TimeAttention`, for all frames that are looked at.
        given: what the layers made of further frames, which come first.
        made: if given, key and value of these frames are put here.
    """

    num_rows: int
    biases: Mapping[TimeAttention, Tensor]
    given: Mapping[TimeAttention, Seen] = field(default_factory=dict)
    made: dict[TimeAttention, Seen] | None = None

    def __call__(self, layer: nn.Module, x: Tensor) -> Tensor:
        """What the layer makes of (R * N, C, h, w): attention over space, over both, or nothing."""
        if not isinstance(layer, SpaceTimeAttention):
            found: Tensor = layer(x)
            return found
        time = layer.time
        x, seen = time(layer.space(x), self.num_rows, self.biases[time], self.given.get(time))
        if self.made is not None:
            self.made[time] = seen
        return x
