"""The network: a 2D U-Net which sees the frames of a block as channels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mcvd.frames import FrameBlock
from mcvd.nets.abstract_unet import AbstractUNet
from mcvd.nets.blocks import BlockConfig, ConditionCache, Level
from mcvd.nets.conditioning import AbstractConditioning, Concat, Maps, context_planes, num_low_planes, num_motion_planes
from mcvd.nets.context import Context
from mcvd.nets.layers import TINY, conv, silu
from mcvd.nets.modulation import NormModulation
from mcvd.nets.onednn import OneDNNConvolutions
from mcvd.nets.trunk import check_choices


class UNet(AbstractUNet):
    """The published MCVD network (NCSN++ family, arXiv 2011.13456, conditioned as in arXiv 2205.09853).

    Args:
        block: how many frames it sees and makes.
        channels: of a frame, 1 or 3.
        width: channels of the first level.
        multipliers: channels of each level over ``width``; each further level halves height and width.
        num_blocks: residual blocks on each level on the way down; one more on the way up.
        attention_levels: levels with self-attention, 0 the finest; the bottom always has it.
        head_channels: width of an attention head; narrower levels have one head.
        dropout: probability, inside residual blocks.
        conditioning: how the context enters, `Concat` or `SPATIN`.
        past_embedding: tell whether the past is visible through the time embedding, as some published models do.
        num_signals: numbers that are told beside each frame; `mcvd.diffusion.signals` says which they are.
        gradient_checkpointing: training forgets what is inside residual blocks and computes it again in the backward
            pass: less memory, a longer step, the same gradients.

    Raises:
        ValueError: for a shape that cannot be built, naming the argument to change.

    Examples:
        >>> net = UNet(FrameBlock(past=2, current=3), width=8, multipliers=(1, 2), attention_levels=())
        >>> context = Context(torch.zeros(1, 2, 3, 16, 16), torch.ones(1, 2, dtype=torch.bool))
        >>> condition = net.encode_condition(context, cache=True)
        >>> net(torch.randn(1, 3, 3, 16, 16), torch.tensor([500.0]), condition).shape
        torch.Size([1, 3, 3, 16, 16])
    """

    def __init__(
        self,
        block: FrameBlock,
        channels: int = 3,
        width: int = 64,
        multipliers: Sequence[int] = (1, 2, 3, 4),
        num_blocks: int = 2,
        attention_levels: Sequence[int] = (1, 2, 3),
        head_channels: int = 64,
        dropout: float = 0.0,
        conditioning: AbstractConditioning = Concat(),
        past_embedding: bool = False,
        gradient_checkpointing: bool = False,
        num_signals: int = 0,
    ) -> None:
        check_choices(channels, width, multipliers, num_blocks, attention_levels, head_channels, dropout)
        super().__init__(block, channels, conditioning, width, past_embedding, num_signals)
        self.width = width
        self.motion_planes = num_motion_planes(block, channels) if conditioning.tell_motion else 0
        self.low_planes = num_low_planes(block, channels) if conditioning.tell_low else 0
        num_planes = conditioning.num_planes(block.num_context, channels) + self.motion_planes + self.low_planes

        config = BlockConfig(
            norm=partial(conditioning.norm, num_planes),
            embedding_channels=self.embedding_channels,
            dropout=dropout,
            head_channels=head_channels,
            gradient_checkpointing=gradient_checkpointing,
        )
        levels = [Level(i, width * each, i in attention_levels) for i, each in enumerate(multipliers)]
        noisy_planes = block.current * channels
        self.first = conv(noisy_planes + conditioning.first_planes(num_planes), width)
        skips = self._build_down(width, levels, num_blocks, config)
        self._build_up(skips, levels, num_blocks, config)
        self.final_norm = conditioning.norm(num_planes, width * multipliers[0], level=0, final=True)
        self.last = conv(width * multipliers[0], noisy_planes, scale=TINY)

    def cache_bytes(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> int:
        """See `AbstractUNet`."""
        self.check_size(height, width)
        sees_context = self.first.in_channels > self.block.current * self.channels
        numbers = self._num_mapped(height, width) + (self.width * height * width if sees_context else 0)
        return numbers * dtype.itemsize

    def encode_condition(
        self, context: Context, cache: bool, modulation: NormModulation | None = None
    ) -> ConditionCache:
        """See `AbstractUNet`."""
        self._check_context(context)
        planes = context_planes(context, self.conditioning)
        beside = [each for each in (context.motion, context.low) if each is not None]
        planes = laid_out(torch.cat([planes, *beside], dim=1) if beside else planes)
        noisy_planes = self.block.current * self.channels
        weight = self.first.weight[:, noisy_planes:]
        modulation = self.modulation() if modulation is None else modulation
        return ConditionCache(
            planes=planes,
            first=F.conv2d(planes, weight, padding=1) if weight.shape[1] else None,
            modulation=modulation,
            past=self._encode_past(context, modulation, cache),
            cached={norm: cached_maps(norm.maps(planes)) for norm in self._norms()} if cache else {},
            onednn=self._onednn() if cache else None,
        )

    def forward(self, noisy: Tensor, label: Tensor, condition: ConditionCache) -> Tensor:
        """What the network answers (noise, clean frames or velocity: the denoiser knows).

        Args:
            noisy: float (B * K, N, C, H, W), K samples for each condition, those of one condition adjacent.
            label: float (B * K,), the published label, 0 the noisiest.
            condition: of the B conditions, from `encode_condition`.

        Returns:
            The shape and dtype of ``noisy``.
        """
        self._check_noisy(noisy, label, condition)
        batch = len(condition.planes)
        scale_shift = condition.modulation(label, condition.past)
        x = laid_out(noisy.flatten(1, 2))  # (B * K, N * C, H, W)
        h = F.conv2d(x, self.first.weight[:, : x.shape[1]], self.first.bias, padding=1)
        if condition.first is not None:
            h = (h.unflatten(0, (batch, -1)) + condition.first[:, None]).flatten(0, 1)
        skips = [h]  # (B * K, width, H, W)
        for down in self.down:
            skips += down(skips[-1], scale_shift, condition)
        h = self.middle(skips[-1], scale_shift, condition)
        for up in reversed(self.up):
            h = up(h, scale_shift, condition, skips)
        h = silu(self.final_norm(h, condition.maps(self.final_norm)))
        return condition.convolve(self.last, h).unflatten(1, noisy.shape[1:3]).to(noisy.dtype)

    def _onednn(self) -> OneDNNConvolutions | None:
        usable = OneDNNConvolutions.can_run(self.last.weight.device, self._dtype()) and not torch.is_grad_enabled()
        return OneDNNConvolutions() if usable else None


def cached_maps(maps: Maps | None) -> Maps | None:
    """Maps to keep, each in memory of its own: halves of one tensor are slower to read, in every step."""
    return maps if maps is None else (laid_out(maps[0].clone()), laid_out(maps[1].clone()))


def laid_out(x: Tensor) -> Tensor:
    """Channels last where a CPU trains nothing: its convolutions of sampling are faster so, those of training are not.

    CUDA's group norm returns contiguous tensors, and what meets two layouts is slow there.
    """
    return x if torch.is_grad_enabled() or x.is_cuda else x.contiguous(memory_format=torch.channels_last)
