"""The published 3-D networks: frames keep an axis of their own on the whole way through the U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mcvd.frames import FrameBlock
from mcvd.nets.abstract_unet import AbstractUNet
from mcvd.nets.blocks import BlockConfig, ConditionCache, Level
from mcvd.nets.conditioning import SPATIN, AbstractConditioning, AbstractNorm, Concat, Maps, context_planes
from mcvd.nets.context import Context
from mcvd.nets.layers import TINY, silu
from mcvd.nets.layers3d import FACTORIZED, FULL, FrameMixer, GroupNorm3D, SPATINNorm3D
from mcvd.nets.modulation import NormModulation
from mcvd.nets.trunk import check_choices


class UNet3D(AbstractUNet):
    """The published MCVD networks with convolutions over time (`unetmore3d`, `unetmorepseudo3d`; arXiv 2205.09853).

    The frames stand in the published order: those that are made, the past, the future. With `Concat` all of them walk
    down, and learnt mixtures of them, as many as are made, walk up; with `SPATIN` only those that are made are there.

    Args:
        block: how many frames it sees and makes.
        channels: of a frame, 1 or 3.
        width: channels of each frame on the first level.
        multipliers: channels of each level over ``width``; each further level halves height and width.
        num_blocks: residual blocks on each level on the way down; one more on the way up.
        attention_levels: levels with attention over space, then over time, 0 the finest; the bottom always has it.
        head_channels: width of an attention head; narrower levels have one head.
        dropout: probability, inside residual blocks.
        conditioning: how the context enters, `Concat` or `SPATIN`, which tells frames and nothing else here.
        factorized: convolve over space and then over time (pseudo-3-D) instead of over both at once.
        past_embedding: tell whether the past is visible through the time embedding.
        gradient_checkpointing: training forgets what is inside residual blocks and computes it again in the backward
            pass: less memory, a longer step, the same gradients.
        num_signals: numbers that are told beside each frame.

    Raises:
        ValueError: for a shape that cannot be built, naming the argument to change.

    Examples:
        >>> net = UNet3D(FrameBlock(past=2, current=3), width=8, multipliers=(1, 2), attention_levels=())
        >>> context = Context(torch.zeros(1, 2, 3, 16, 16), torch.ones(1, 2, dtype=torch.bool))
        >>> condition = net.encode_condition(context, cache=True)
        >>> net(torch.randn(1, 3, 3, 16, 16), torch.tensor([500.0]), condition).shape
        torch.Size([1, 3, 3, 16, 16])
    """

    def __init__(
        self,
        block: FrameBlock,
        channels: int = 3,
        width: int = 16,
        multipliers: Sequence[int] = (1, 2, 3, 4),
        num_blocks: int = 2,
        attention_levels: Sequence[int] = (1, 2, 3),
        head_channels: int = 64,
        dropout: float = 0.0,
        conditioning: AbstractConditioning = Concat(tell_mask=False),
        factorized: bool = False,
        past_embedding: bool = False,
        gradient_checkpointing: bool = False,
        num_signals: int = 0,
    ) -> None:
        check_choices(channels, width, multipliers, num_blocks, attention_levels, head_channels, dropout)
        _check_conditioning(conditioning, block)
        alone = isinstance(conditioning, SPATIN)
        num_down, num_up = block.current + (0 if alone else block.num_context), block.current
        super().__init__(block, channels, conditioning, width * num_down, past_embedding, num_signals)
        self.width, self.factorized = width, factorized
        layers = FACTORIZED if factorized else FULL

        def norm(channels_there: int, level: int, final: bool = False) -> AbstractNorm:
            if not isinstance(conditioning, SPATIN):
                return GroupNorm3D(channels_there, level, affine=final)
            frames = block.num_context, block.current, channels
            return SPATINNorm3D(*frames, conditioning.width, channels_there, level, layers)

        config = BlockConfig(norm, self.embedding_channels, dropout, head_channels, gradient_checkpointing, layers)
        levels = [Level(i, width * each, i in attention_levels) for i, each in enumerate(multipliers)]
        self.first = layers.conv(channels, width)
        skips = self._build_down(width, levels, num_blocks, config)

        def mixer() -> nn.Module:
            return nn.Identity() if alone else FrameMixer(num_down, num_up)

        self.middle_mixer, self.skip_mixers = mixer(), nn.ModuleList(mixer() for _ in skips)
        self._build_up(skips, levels, num_blocks, config)
        self.final_norm = norm(width * multipliers[0], level=0, final=True)
        self.last = layers.conv(width * multipliers[0], channels, scale=TINY)

    def cache_bytes(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> int:
        """See `AbstractUNet`."""
        self.check_size(height, width)
        return self._num_mapped(height, width) * dtype.itemsize

    def encode_condition(
        self, context: Context, cache: bool, modulation: NormModulation | None = None
    ) -> ConditionCache:
        """See `AbstractUNet`."""
        self._check_context(context)
        planes = context_planes(context, self.conditioning)
        modulation = self.modulation() if modulation is None else modulation
        return ConditionCache(
            planes=planes,
            first=None,
            modulation=modulation,
            past=self._encode_past(context, modulation, cache),
            cached={norm: _cached_maps(norm.maps(planes)) for norm in self._norms()} if cache else {},
            onednn=None,
        )

    def forward(self, noisy: Tensor, label: Tensor, condition: ConditionCache) -> Tensor:
        """What the network answers; see `UNet.forward`."""
        self._check_noisy(noisy, label, condition)
        scale_shift = condition.modulation(label, condition.past)
        x = noisy.transpose(1, 2)  # (B * K, C, N, H, W)
        if not isinstance(self.conditioning, SPATIN):
            context = condition.planes.unflatten(1, (self.block.num_context, -1)).transpose(1, 2).to(x.dtype)
            x = torch.cat([x, context.repeat_interleave(len(x) // len(context), dim=0)], dim=2)
        skips = [self.first(x)]
        for down in self.down:
            skips += down(skips[-1], scale_shift, condition)
        middle = self.middle
        h = middle.attention(middle.block0(skips[-1], scale_shift, condition))
        h = middle.block1(self.middle_mixer(h), scale_shift, condition)
        skips = [mix(skip) for mix, skip in zip(self.skip_mixers, skips, strict=True)]
        for up in reversed(self.up):
            h = up(h, scale_shift, condition, skips)
        h = silu(self.final_norm(h, condition.maps(self.final_norm)))
        return self.last(h).transpose(1, 2).to(noisy.dtype)


def _cached_maps(maps: Maps | None) -> Maps | None:
    """Maps to keep, each in memory of its own."""
    return maps if maps is None else (maps[0].clone(), maps[1].clone())


def _check_conditioning(conditioning: AbstractConditioning, block: FrameBlock) -> None:
    """Refuse what the published networks cannot be told."""
    if any((conditioning.tell_mask, conditioning.tell_noise, conditioning.tell_motion, conditioning.tell_low)):
        raise ValueError(
            f"a UNet3D sees frames and no planes beside them, got {conditioning}: set tell_mask, tell_noise, "
            "tell_motion and tell_low to False"
        )
    if isinstance(conditioning, SPATIN):
        if block.num_context == 0:
            raise ValueError("SPATIN needs context: give the block past or future frames, or use mcvd.nets.Concat")
        if conditioning.width < block.current:
            raise ValueError(
                f"SPATIN's width is shared out among the {block.current} frames that are made, got {conditioning.width}"
            )
