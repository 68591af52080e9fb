"""The parts of the U-Net: residual blocks, and the levels on the way down and up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mcvd.nets.attention import Attention
from mcvd.nets.conditioning import AbstractNorm, Maps
from mcvd.nets.layers import TINY, conv, linear, silu
from mcvd.nets.modulation import NormModulation, ScaleShift
from mcvd.nets.onednn import OneDNNConvolutions
from mcvd.nets.resample import downsample, upsample


@dataclass(frozen=True)
class ConditionCache:
    """What the network knows from B conditions alone, before it sees any noise.

    Args:
        planes: (B, Q, H, W), the context frames and masks.
        first: (B, width, H, W), the conditioning half of the first convolution, or None.
        steering: makes of labels what the time says to the norms.
        past: (B, S), what `NormModulation.of_past` says of the past, or None.
        held: maps kept for norms; those of other norms are computed when asked for and not kept.
        packed: runs the convolutions with weights laid out once, or None: as they are.
    """

    planes: Tensor
    first: Tensor | None
    modulation: NormModulation
    past: Tensor | None
    held: Mapping[AbstractNorm, Maps | None]
    packed: OneDNNConvolutions | None

    def maps(self, norm: AbstractNorm) -> Maps | None:
        """The maps of a norm for these conditions."""
        return self.held[norm] if norm in self.held else norm.maps(self.planes)

    def convolve(self, layer: nn.Module, x: Tensor) -> Tensor:
        """``layer(x)``, where the layer is a convolution or nothing."""
        if self.packed is None or torch.compiler.is_compiling() or not isinstance(layer, nn.Conv2d):
            return layer(x)
        return self.packed(layer, x)


@dataclass(frozen=True)
class BlockConfig:
    """What all blocks of a network have in common.

    Args:
        norm: makes the norm for a number of channels and a level.
        embedding_channels: of the time embedding.
        dropout: probability, before the last convolution of a block.
        head_channels: width of an attention head.
        gradient_checkpointing: keep only what goes into a residual block for the backward pass, and compute the rest
            again there.
    """

    norm: Callable[[int, int], AbstractNorm]
    embedding_channels: int
    dropout: float
    head_channels: int
    gradient_checkpointing: bool

    def attention(self, channels: int, wanted: bool) -> nn.Module:
        """Attention where it is wanted, nothing elsewhere."""
        return Attention(channels, self.head_channels) if wanted else nn.Identity()


@dataclass(frozen=True)
class Level:
    """One resolution of the U-Net: frames over 2 ** ``index``, so many channels, with attention or not."""

    index: int
    channels: int
    attends: bool


class ResBlock(nn.Module):
    """BigGAN's residual block with scale and shift from the time embedding, divided by sqrt(2).

    Args:
        in_channels, out_channels: of the feature map.
        level: where it begins.
        out_level: where it ends: ``level``, one lower in resolution (``level + 1``) or one higher (``level - 1``).
        recipe: what it shares with the other blocks.
    """

    def __init__(self, in_channels: int, out_channels: int, level: int, out_level: int, recipe: BlockConfig) -> None:
        super().__init__()
        self.norm0 = recipe.norm(in_channels, level)
        self.embed0 = linear(recipe.embedding_channels, 2 * in_channels)
        self.conv0 = conv(in_channels, out_channels)
        self.norm1 = recipe.norm(out_channels, out_level)
        self.embed1 = linear(recipe.embedding_channels, 2 * out_channels)
        self.dropout = nn.Dropout(recipe.dropout)
        self.conv1 = conv(out_channels, out_channels, scale=TINY)
        self.resample = {0: None, 1: downsample, -1: upsample}[out_level - level]
        reshapes = in_channels != out_channels or out_level != level
        self.skip = conv(in_channels, out_channels, size=1) if reshapes else nn.Identity()
        self.gradient_checkpointing = recipe.gradient_checkpointing

    def forward(self, x: Tensor, steer: ScaleShift, prepared: ConditionCache) -> Tensor:
        """(B * K, in_channels, h, w) -> (B * K, out_channels, ...)."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(self._compute, x, steer, prepared, use_reentrant=False)
        return self._compute(x, steer, prepared)

    def _compute(self, x: Tensor, steer: ScaleShift, prepared: ConditionCache) -> Tensor:
        h = silu(self.norm0(x, prepared.maps(self.norm0), *steer[self.embed0]))
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = prepared.convolve(self.conv0, h)
        h = silu(self.norm1(h, prepared.maps(self.norm1), *steer[self.embed1]))
        h = prepared.convolve(self.conv1, self.dropout(h))
        return h.add_(prepared.convolve(self.skip, x)).mul_(math.sqrt(0.5))


class Down(nn.Module):
    """A level on the way down: blocks, each followed by its attention, then the way to the next level."""

    def __init__(self, in_channels: int, level: Level, num_blocks: int, last: bool, recipe: BlockConfig) -> None:
        super().__init__()
        index, channels = level.index, level.channels
        widths = [in_channels] + [channels] * (num_blocks - 1)
        self.blocks = nn.ModuleList(ResBlock(width, channels, index, index, recipe) for width in widths)
        self.attentions = nn.ModuleList(recipe.attention(channels, level.attends) for _ in widths)
        self.downsample = None if last else ResBlock(channels, channels, index, index + 1, recipe)

    def forward(self, h: Tensor, steer: ScaleShift, prepared: ConditionCache) -> list[Tensor]:
        """Every feature map made on this level, in order: the skips, of which the last goes on downwards."""
        made = []
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(block(h, steer, prepared))
            made.append(h)
        return made if self.downsample is None else [*made, self.downsample(h, steer, prepared)]


class Middle(nn.Module):
    """The bottom of the U-Net: attention between two blocks."""

    def __init__(self, level: Level, recipe: BlockConfig) -> None:
        super().__init__()
        self.block0 = ResBlock(level.channels, level.channels, level.index, level.index, recipe)
        self.attention = recipe.attention(level.channels, wanted=True)
        self.block1 = ResBlock(level.channels, level.channels, level.index, level.index, recipe)

    def forward(self, h: Tensor, steer: ScaleShift, prepared: ConditionCache) -> Tensor:
        """(B * K, C, h, w) -> (B * K, C, h, w)."""
        return self.block1(self.attention(self.block0(h, steer, prepared)), steer, prepared)


class Up(nn.Module):
    """A level on the way up: blocks that each take a skip, one attention after them, then the way to the level above.

    Args:
        in_channels: from below.
        skip_channels: of the skips, in the order in which they are taken.
    """

    def __init__(self, in_channels: int, skip_channels: list[int], level: Level, recipe: BlockConfig) -> None:
        super().__init__()
        index, channels = level.index, level.channels
        widths = [in_channels] + [channels] * (len(skip_channels) - 1)
        self.blocks = nn.ModuleList(
            ResBlock(width + skip, channels, index, index, recipe)
            for width, skip in zip(widths, skip_channels, strict=True)
        )
        self.attention = recipe.attention(channels, level.attends)
        self.upsample = None if index == 0 else ResBlock(channels, channels, index, index - 1, recipe)

    def forward(self, h: Tensor, steer: ScaleShift, prepared: ConditionCache, skips: list[Tensor]) -> Tensor:
        """Takes its skips from the end of the list."""
        for block in self.blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), steer, prepared)
        h = self.attention(h)
        return h if self.upsample is None else self.upsample(h, steer, prepared)
