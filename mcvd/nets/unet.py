"""The network: a 2D U-Net which sees the frames of a block as channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcvd.frames import FrameBlock
from mcvd.nets.blocks import BlockConfig, ConditionCache, Down, Level, Middle, ResBlock, Up
from mcvd.nets.conditioning import AbstractConditioning, AbstractNorm, Concat, Maps, context_planes, num_motion_planes
from mcvd.nets.layers import TINY, conv, linear, silu
from mcvd.nets.modulation import NormModulation
from mcvd.nets.onednn import OneDNNConvolutions


class UNet(nn.Module):
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
        gradient_checkpointing: training forgets what is inside residual blocks and computes it again in the backward
            pass: less memory, a longer step, the same gradients.

    Raises:
        ValueError: for a shape that cannot be built, naming the argument to change.

    Examples:
        >>> net = UNet(FrameBlock(past=2, current=3), width=8, multipliers=(1, 2), attention_levels=())
        >>> context, keep = torch.zeros(1, 2, 3, 16, 16), torch.ones(1, 2, dtype=torch.bool)
        >>> condition = net.encode_condition(context, keep, cache=True)
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
    ) -> None:
        super().__init__()
        _check_choices(channels, width, multipliers, num_blocks, attention_levels, head_channels, dropout)
        if past_embedding and block.past == 0:
            raise ValueError(f"past_embedding tells whether the past is visible, but {block} has none: set it to False")
        self.block, self.channels, self.width, self.conditioning = block, channels, width, conditioning
        self.motion_planes = num_motion_planes(block, channels) if conditioning.tell_motion else 0
        num_planes = conditioning.num_planes(block.num_context, channels) + self.motion_planes

        self.embed0 = linear(width, 4 * width)
        self.embed1 = linear(4 * width, 4 * width)
        self.past_embedding = nn.Embedding(2, width // 2) if past_embedding else None

        config = BlockConfig(
            norm=partial(conditioning.norm, num_planes),
            embedding_channels=4 * width + (width // 2 if past_embedding else 0),
            dropout=dropout,
            head_channels=head_channels,
            gradient_checkpointing=gradient_checkpointing,
        )
        levels = [Level(i, width * each, i in attention_levels) for i, each in enumerate(multipliers)]
        noisy_planes = block.current * channels
        self.first = conv(noisy_planes + conditioning.first_planes(num_planes), width)
        h, skips = width, [width]
        self.down = nn.ModuleList()
        for level in levels:
            last = level is levels[-1]
            self.down.append(Down(h, level, num_blocks, last, config))
            h = level.channels
            skips += [h] * (num_blocks + (not last))
        self.middle = Middle(levels[-1], config)
        up = []
        for level in reversed(levels):
            up.append(Up(h, [skips.pop() for _ in range(num_blocks + 1)], level, config))
            h = level.channels
        self.up = nn.ModuleList(reversed(up))  # indexed by level, as the way down
        self.final_norm = conditioning.norm(num_planes, h, level=0, final=True)
        self.last = conv(h, noisy_planes, scale=TINY)

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError if frames of this size cannot be halved as often as the network has levels."""
        divisor = 2 ** (len(self.down) - 1)
        if height % divisor or width % divisor or not height or not width:
            raise ValueError(
                f"frames of {height}x{width} do not fit a network of {len(self.down)} levels: "
                f"height and width must be divisible by {divisor}"
            )

    def cache_bytes(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> int:
        """Memory in bytes that `encode_condition` with ``cache=True`` keeps for each condition at this frame size."""
        self.check_size(height, width)
        sees_context = self.first.in_channels > self.block.current * self.channels
        numbers = self.width * height * width if sees_context else 0
        numbers += sum(norm.map_channels * (height >> norm.level) * (width >> norm.level) for norm in self._norms())
        return numbers * dtype.itemsize

    def encode_condition(
        self,
        context: Tensor,
        keep: Tensor,
        cache: bool,
        claim_past_visible: bool = False,
        noise_level: Tensor | None = None,
        modulation: NormModulation | None = None,
        motion: Tensor | None = None,
    ) -> ConditionCache:
        """Compute what depends on the condition alone.

        Args:
            context: float (B, P + F, C, H, W), past then future frames, masked ones already zero.
            keep: bool (B, P + F), True where a frame is visible.
            cache: True (sampling) computes every map now and keeps it; False (training) leaves maps to the blocks.
            claim_past_visible: let ``past_embedding`` say that the past is visible, whatever ``keep`` says.
            noise_level: float (B,), standard deviation of the noise in the context; None is 0.
            modulation: from `modulation`, made under the same autocast; None makes one.
            motion: float (B, M, H, W), the planes of `mcvd.diffusion.motion` for a conditioning with ``tell_motion``.

        Raises:
            ValueError: for shapes that do not fit; with ``past_embedding`` and ``cache``, for a past that is only
                partly visible; without it, for a claim that it would have to make.
        """
        batch = len(context)
        expected = (batch, self.block.num_context, self.channels)
        if context.shape[:3] != expected or context.ndim != 5 or keep.shape != expected[:2]:
            raise ValueError(
                f"context must be {(*expected, 'H', 'W')} and keep {expected[:2]} for {self.block}, "
                f"got {tuple(context.shape)} and {tuple(keep.shape)}"
            )
        told = 0 if motion is None else motion.shape[1]
        if told != self.motion_planes:
            raise ValueError(f"this network takes {self.motion_planes} planes of motion, got {told} (see tell_motion)")
        if claim_past_visible and self.past_embedding is None:
            raise ValueError("claim_past_visible is for networks with past_embedding, and this one has none")
        self.check_size(*context.shape[3:])
        keep_past = keep[:, : self.block.past] | claim_past_visible
        level = context.new_zeros(batch) if noise_level is None else noise_level
        planes = context_planes(context, keep, level, self.conditioning)
        planes = _laid_out(planes if motion is None else torch.cat([planes, motion], dim=1))
        noisy_planes = self.block.current * self.channels
        weight = self.first.weight[:, noisy_planes:]
        modulation = self.modulation() if modulation is None else modulation
        return ConditionCache(
            planes=planes,
            first=F.conv2d(planes, weight, padding=1) if weight.shape[1] else None,
            modulation=modulation,
            past=None if self.past_embedding is None else modulation.of_past(self._embed_past(keep_past, check=cache)),
            cached={norm: _cached_maps(norm.maps(planes)) for norm in self._norms()} if cache else {},
            onednn=self._onednn() if cache else None,
        )

    def modulation(self, labels: Tensor | None = None) -> NormModulation:
        """From labels to the scale and shift of the norms; for given labels (T,) alone, and computed now, if given."""
        layers = [layer for block in self._blocks() for layer in (block.embed0, block.embed1)]
        return NormModulation(layers, self._embed_label, self._dtype(), labels)

    def forward(self, noisy: Tensor, label: Tensor, condition: ConditionCache) -> Tensor:
        """What the network answers (noise, clean frames or velocity: the denoiser knows).

        Args:
            noisy: float (B * K, N, C, H, W), K samples for each condition, those of one condition adjacent.
            label: float (B * K,), the published label, 0 the noisiest.
            condition: of the B conditions, from `encode_condition`.

        Returns:
            The shape and dtype of ``noisy``.
        """
        batch = len(condition.planes)
        expected = (self.block.current, self.channels, *condition.planes.shape[2:])
        if noisy.shape[1:] != expected or len(noisy) % batch or label.shape != noisy.shape[:1]:
            raise ValueError(
                f"noisy must be (a multiple of {batch}, {', '.join(map(str, expected))}) with one label each "
                f"for {self.block}, got {tuple(noisy.shape)} and {tuple(label.shape)}"
            )
        scale_shift = condition.modulation(label, condition.past)
        x = _laid_out(noisy.flatten(1, 2))  # (B * K, N * C, H, W)
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

    def _dtype(self) -> torch.dtype:
        """In which it multiplies: autocast's, or that of its weights."""
        weight = self.last.weight
        device = weight.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype

    def _onednn(self) -> OneDNNConvolutions | None:
        usable = OneDNNConvolutions.can_run(self.last.weight.device, self._dtype()) and not torch.is_grad_enabled()
        return OneDNNConvolutions() if usable else None

    def _blocks(self) -> list[ResBlock]:
        return [module for module in self.modules() if isinstance(module, ResBlock)]

    def _norms(self) -> list[AbstractNorm]:
        """Every norm that the context may modulate."""
        return [norm for block in self._blocks() for norm in (block.norm0, block.norm1)] + [self.final_norm]

    def _embed_label(self, label: Tensor) -> Tensor:
        """Sines, then cosines, of the raw label through two layers, activated for the blocks; (L,) -> (L, E)."""
        weight = self.embed0.weight
        half = self.width // 2
        dtype = torch.promote_types(weight.dtype, torch.float32)  # labels near 1000 need more than bf16
        rate = torch.exp(torch.arange(half, dtype=dtype, device=label.device) * (-math.log(10000) / (half - 1)))
        angle = label.to(dtype)[:, None] * rate
        waves = F.pad(torch.cat([angle.sin(), angle.cos()], dim=1), (0, self.width % 2)).to(weight.dtype)
        return F.silu(self.embed1(F.silu(self.embed0(waves))))

    def _embed_past(self, keep: Tensor, check: bool) -> Tensor:
        """The learnt vector for a visible or a masked past, activated for the blocks; (B, P) -> (B, width // 2)."""
        visible = keep.all(dim=1)
        # Not in training, where each step would wait for the device: `mcvd.MCVD` refuses masks that mix.
        if check and not torch.equal(visible, keep.any(dim=1)):
            raise ValueError("past_embedding tells one bit per sample: its past must be visible or masked as a whole")
        return F.silu(self.past_embedding(visible.long()))  # type: ignore[misc]


def _cached_maps(maps: Maps | None) -> Maps | None:
    """Maps to keep, each in memory of its own: halves of one tensor are slower to read, in every step."""
    return maps if maps is None else (_laid_out(maps[0].clone()), _laid_out(maps[1].clone()))


def _laid_out(x: Tensor) -> Tensor:
    """Channels last where a CPU trains nothing: its convolutions of sampling are faster so, those of training are not.

    CUDA's group norm returns contiguous tensors, and what meets two layouts is slow there.
    """
    return x if torch.is_grad_enabled() or x.is_cuda else x.contiguous(memory_format=torch.channels_last)


def _check_choices(
    channels: int,
    width: int,
    multipliers: Sequence[int],
    num_blocks: int,
    attention_levels: Sequence[int],
    head_channels: int,
    dropout: float,
) -> None:
    """Refuse what cannot be built, naming the argument."""
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
