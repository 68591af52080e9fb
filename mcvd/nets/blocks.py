"""The parts of the U-Net: residual blocks, and the levels on the way down and up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mcvd.nets.attention import Attention
from mcvd.nets.conditioning import AbstractNorm, Maps
from mcvd.nets.layers import TINY, conv, linear, silu
from mcvd.nets.modulation import NormModulation, ScaleShift
from mcvd.nets.onednn import OneDNNConvolutions
from mcvd.nets.resample import downsample, upsample
from mcvd.nets.time_attention import FrameAttention, SpaceTimeAttention, TimeAttention


@dataclass(frozen=True)
class ConditionCache:
    """What the network knows from B conditions alone, before it sees any noise.

    Args:
        planes: (B, Q, H, W), the context frames and masks.
        first: (B, width, H, W), the conditioning half of the first convolution, or None.
        modulation: makes of labels the scale and shift of the norms.
        past: (B, S), what `NormModulation.of_past` says of the past and of signals, or None.
        cached: maps of norms; those of other norms are computed when asked for and not cached.
        onednn: runs the convolutions with weights laid out once, or None: as they are.
        frames: how frames look at each other, where each is a feature map of its own; None: a map is a whole block.
    """

    planes: Tensor
    first: Tensor | None
    modulation: NormModulation
    past: Tensor | None
    cached: Mapping[AbstractNorm, Maps | None]
    onednn: OneDNNConvolutions | None
    frames: FrameAttention | None = None

    def maps(self, norm: AbstractNorm) -> Maps | None:
        """The maps of a norm for these conditions."""
        return self.cached[norm] if norm in self.cached else norm.maps(self.planes)

    def convolve(self, layer: nn.Module, x: Tensor) -> Tensor:
        """``layer(x)``, where the layer is a convolution or nothing."""
        runs_as_it_is = torch.compiler.is_compiling() or torch.is_grad_enabled()
        if self.onednn is None or runs_as_it_is or not isinstance(layer, nn.Conv2d):
            return layer(x)
        return self.onednn(layer, x)

    def attend(self, layer: nn.Module, x: Tensor) -> Tensor:
        """``layer(x)``, where the layer is attention, over space or over time too, or nothing."""
        return layer(x) if self.frames is None else self.frames(layer, x)


@dataclass(frozen=True)
class LayerKinds:
    """What blocks are built of: layers for feature maps (B, C, h, w), or for such with an axis of frames.

    Args:
        conv: makes a convolution, as `mcvd.nets.layers.conv` does.
        attention: makes self-attention of a number of channels and a width of its heads.
        halve: height and width.
        double: height and width.
    """

    conv: Callable[..., nn.Module] = conv
    attention: Callable[[int, int], nn.Module] = Attention
    halve: Callable[[Tensor], Tensor] = downsample
    double: Callable[[Tensor], Tensor] = upsample


@dataclass(frozen=True)
class BlockConfig:
    """What all blocks of a network have in common; ``norm`` makes the norm for a number of channels and a level.

    ``time_levels`` are those with attention over time as well.
    """

    norm: Callable[[int, int], AbstractNorm]
    embedding_channels: int
    dropout: float
    head_channels: int
    gradient_checkpointing: bool
    layers: LayerKinds = LayerKinds()
    time_levels: frozenset[int] = frozenset()

    def attention(self, level: Level) -> nn.Module:
        """Attention where a level has it, nothing elsewhere."""
        space = self.layers.attention(level.channels, self.head_channels) if level.attends else nn.Identity()
        if level.index not in self.time_levels:
            return space
        time = TimeAttention(level.channels, self.head_channels, level.index, self.gradient_checkpointing)
        return SpaceTimeAttention(space, time)


@dataclass(frozen=True)
class Level:
    """One resolution of the U-Net: frames over 2 ** ``index``, so many channels, with attention or not."""

    index: int
    channels: int
    attends: bool


class ResBlock(nn.Module):
    """BigGAN's residual block with scale and shift from the time embedding, divided by sqrt(2).

    It ends at ``out_level``: ``level``, one lower in resolution (``level + 1``) or one higher (``level - 1``).
    """

    def __init__(self, in_channels: int, out_channels: int, level: int, out_level: int, config: BlockConfig) -> None:
        super().__init__()
        layers = config.layers
        self.norm0 = config.norm(in_channels, level)
        self.embed0 = linear(config.embedding_channels, 2 * in_channels)
        self.conv0 = layers.conv(in_channels, out_channels)
        self.norm1 = config.norm(out_channels, out_level)
        self.embed1 = linear(config.embedding_channels, 2 * out_channels)
        self.dropout = nn.Dropout(config.dropout)
        self.conv1 = layers.conv(out_channels, out_channels, scale=TINY)
        self.resample = {0: None, 1: layers.halve, -1: layers.double}[out_level - level]
        reshapes = in_channels != out_channels or out_level != level
        self.skip = layers.conv(in_channels, out_channels, size=1) if reshapes else nn.Identity()
        self.gradient_checkpointing = config.gradient_checkpointing

    def forward(self, x: Tensor, scale_shift: ScaleShift, condition: ConditionCache) -> Tensor:
        """(B * K, in_channels, [frames,] h, w) -> (B * K, out_channels, ...)."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(self._compute, x, scale_shift, condition, use_reentrant=False)
        return self._compute(x, scale_shift, condition)

    def _compute(self, x: Tensor, scale_shift: ScaleShift, condition: ConditionCache) -> Tensor:
        h = silu(self.norm0(x, condition.maps(self.norm0), *scale_shift[self.embed0]))
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = condition.convolve(self.conv0, h)
        h = silu(self.norm1(h, condition.maps(self.norm1), *scale_shift[self.embed1]))
        h = condition.convolve(self.conv1, self.dropout(h))
        return h.add_(condition.convolve(self.skip, x)).mul_(math.sqrt(0.5))


class Down(nn.Module):
    """A level on the way down: blocks, each followed by its attention, then the way to the next level."""

    def __init__(self, in_channels: int, level: Level, num_blocks: int, last: bool, config: BlockConfig) -> None:
        super().__init__()
        index, channels = level.index, level.channels
        widths = [in_channels] + [channels] * (num_blocks - 1)
        self.blocks = nn.ModuleList(ResBlock(width, channels, index, index, config) for width in widths)
        self.attentions = nn.ModuleList(config.attention(level) for _ in widths)
        self.downsample = None if last else ResBlock(channels, channels, index, index + 1, config)

    def forward(self, h: Tensor, scale_shift: ScaleShift, condition: ConditionCache) -> list[Tensor]:
        """Every feature map made on this level, in order: the skips, of which the last goes on downwards."""
        made = []
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = condition.attend(attention, block(h, scale_shift, condition))
            made.append(h)
        return made if self.downsample is None else [*made, self.downsample(h, scale_shift, condition)]


class Middle(nn.Module):
    """The bottom of the U-Net: attention between two blocks."""

    def __init__(self, level: Level, config: BlockConfig) -> None:
        super().__init__()
        self.block0 = ResBlock(level.channels, level.channels, level.index, level.index, config)
        self.attention = config.attention(replace(level, attends=True))
        self.block1 = ResBlock(level.channels, level.channels, level.index, level.index, config)

    def forward(self, h: Tensor, scale_shift: ScaleShift, condition: ConditionCache) -> Tensor:
        """(B * K, C, h, w) -> (B * K, C, h, w)."""
        h = condition.attend(self.attention, self.block0(h, scale_shift, condition))
        return self.block1(h, scale_shift, condition)


class Up(nn.Module):
    """A level on the way up: blocks that each take a skip, one attention after them, then the way to the level above.

    ``skip_channels`` are in the order in which the skips are taken.
    """

    def __init__(self, in_channels: int, skip_channels: list[int], level: Level, config: BlockConfig) -> None:
        super().__init__()
        index, channels = level.index, level.channels
        widths = [in_channels] + [channels] * (len(skip_channels) - 1)
        self.blocks = nn.ModuleList(
            ResBlock(width + skip, channels, index, index, config)
            for width, skip in zip(widths, skip_channels, strict=True)
        )
        self.attention = config.attention(level)
        self.upsample = None if index == 0 else ResBlock(channels, channels, index, index - 1, config)

    def forward(self, h: Tensor, scale_shift: ScaleShift, condition: ConditionCache, skips: list[Tensor]) -> Tensor:
        """Takes its skips from the end of the list."""
        for block in self.blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), scale_shift, condition)
        h = condition.attend(self.attention, h)
        return h if self.upsample is None else self.upsample(h, scale_shift, condition)
