"""What all networks of `mcvd.nets.blocks` have in common: the way down, and how they embed the time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcvd.nets.blocks import BlockConfig, Down, Level, Middle, ResBlock
from mcvd.nets.layers import linear
from mcvd.nets.modulation import NormModulation


class Trunk(nn.Module):
    """The way down of a U-Net to its bottom, told the time by an embedding.

    Args:
        embedding: how many waves embed the time.
    """

    down: nn.ModuleList
    patch = 1  # height and width of the squares of pixels that it takes as one

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.embed0 = linear(embedding, 4 * embedding)
        self.embed1 = linear(4 * embedding, 4 * embedding)

    def _build_down(self, width: int, levels: Sequence[Level], num_blocks: int, config: BlockConfig) -> list[int]:
        """The way down from ``width`` channels, and the bottom; returns the channels that each skip keeps."""
        h, skips = width, [width]
        self.down = nn.ModuleList()
        for level in levels:
            last = level is levels[-1]
            self.down.append(Down(h, level, num_blocks, last, config))
            h = level.channels
            skips += [h] * (num_blocks + (not last))
        self.middle = Middle(levels[-1], config)
        return skips

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError if frames of this size cannot be halved as often as the network has levels."""
        divisor = self.patch * 2 ** (len(self.down) - 1)
        if height % divisor or width % divisor or not height or not width:

            def nearest(side: int) -> int:
                return max(1, round(side / divisor)) * divisor

            raise ValueError(
                f"frames of {height}x{width} do not fit a network of {len(self.down)} levels"
                f"{f' and patches of {self.patch}' if self.patch > 1 else ''}: "
                f"height and width must be divisible by {divisor}, as in {nearest(height)}x{nearest(width)}"
            )

    def modulation(self, labels: Tensor | None = None) -> NormModulation:
        """From labels to the scale and shift of the norms; for given labels (T,) alone, and computed now, if given."""
        return NormModulation(self._maps(), self._embed_label, self._dtype(), labels)

    def _dtype(self) -> torch.dtype:
        """In which it multiplies: autocast's, or that of its weights."""
        weight = self.embed0.weight
        device = weight.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype

    def _blocks(self) -> list[ResBlock]:
        return [module for module in self.modules() if isinstance(module, ResBlock)]

    def _maps(self) -> list[nn.Linear]:
        """What makes the scale and shift of every norm of a residual block."""
        return [layer for block in self._blocks() for layer in (block.embed0, block.embed1)]

    def _embed_label(self, label: Tensor) -> Tensor:
        """Waves of the raw label through two layers, activated for the blocks; (L,) -> (L, E)."""
        weight = self.embed0.weight
        waves = label_waves(label, weight.shape[1], weight.dtype)
        return F.silu(self.embed1(F.silu(self.embed0(waves))))


def label_waves(label: Tensor, num_waves: int, dtype: torch.dtype) -> Tensor:
    """Sines, then cosines, of raw labels (L,), from fast to slow: (L, num_waves) of this dtype."""
    half = num_waves // 2
    exact = torch.promote_types(dtype, torch.float32)  # labels near 1000 need more than bf16
    rate = torch.exp(torch.arange(half, dtype=exact, device=label.device) * (-math.log(10000) / (half - 1)))
    angle = label.to(exact)[:, None] * rate
    return F.pad(torch.cat([angle.sin(), angle.cos()], dim=1), (0, num_waves % 2)).to(dtype)


def check_choices(
    channels: int,
    width: int,
    multipliers: Sequence[int],
    num_blocks: int,
    attention_levels: Sequence[int],
    head_channels: int,
    dropout: float,
) -> None:
    """Refuse what cannot be built, naming the argument of the network."""
    # The upper bounds keep a config that is not trusted from asking for a network without end.
    for name, value, least, most in (
        ("channels", channels, 1, 1 << 10),
        ("width", width, 4, 1 << 16),
        ("num_blocks", num_blocks, 1, 100),
        ("head_channels", head_channels, 1, 1 << 26),
        ("the number of multipliers", len(multipliers), 1, 16),
        ("the smallest multiplier", min(multipliers, default=1), 1, 1 << 10),
        ("the largest multiplier", max(multipliers, default=1), 1, 1 << 10),
    ):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
        if value > most:
            raise ValueError(f"{name} must be at most {most}, got {value}")
    if not set(attention_levels) <= set(range(len(multipliers))):
        raise ValueError(
            f"attention_levels must lie in 0 ... {len(multipliers) - 1} (one level per multiplier), "
            f"got {list(attention_levels)}"
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a probability below 1, got {dropout}")
