"""What U-Nets have in common before the first convolution: how they embed the time, and what they check."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcvd.frames import FrameBlock
from mcvd.nets.blocks import BlockConfig, ConditionCache, Down, Level, Middle, ResBlock, Up
from mcvd.nets.conditioning import AbstractConditioning, AbstractNorm
from mcvd.nets.context import Context
from mcvd.nets.layers import linear
from mcvd.nets.modulation import NormModulation
from mcvd.nets.signal_embedding import SignalEmbedding, check_num_signals


class AbstractUNet(nn.Module, ABC):
    """A U-Net of `mcvd.nets.blocks` that is told the time by an embedding, and perhaps whether its past is visible.

    A subclass builds its first and last layers and ``final_norm`` around `_build_down` and `_build_up`, and writes
    `cache_bytes`, `encode_condition` and ``forward``.

    Args:
        block: how many frames it sees and makes.
        channels: of a frame.
        conditioning: how the context enters.
        embedding: how many waves embed the time.
        past_embedding: tell whether the past is visible through the time embedding.
        num_signals: numbers that are told beside each frame, through it too.
    """

    down: nn.ModuleList
    final_norm: AbstractNorm
    motion_planes = 0
    low_planes = 0
    per_frame = False  # whether it takes a label for each frame, times, and frames that look at no others

    def __init__(
        self,
        block: FrameBlock,
        channels: int,
        conditioning: AbstractConditioning,
        embedding: int,
        past_embedding: bool,
        num_signals: int = 0,
    ) -> None:
        super().__init__()
        check_num_signals(num_signals)
        if past_embedding and block.past == 0:
            raise ValueError(f"past_embedding tells whether the past is visible, but {block} has none: set it to False")
        self.block, self.channels, self.conditioning = block, channels, conditioning
        self.embed0 = linear(embedding, 4 * embedding)
        self.embed1 = linear(4 * embedding, 4 * embedding)
        self.past_embedding = nn.Embedding(2, embedding // 2) if past_embedding else None
        self.num_signals, told = num_signals, 2 * embedding if num_signals else 0
        at_once = 1 if self.per_frame else block.num_frames
        self.signal_embedding = SignalEmbedding(at_once, num_signals, told) if num_signals else None
        self.embedding_channels = 4 * embedding + (embedding // 2 if past_embedding else 0) + told

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

    def _build_up(self, skips: Sequence[int], levels: Sequence[Level], num_blocks: int, config: BlockConfig) -> None:
        """The way up to the channels of the first level."""
        h, left, up = levels[-1].channels, [*skips], []
        for level in reversed(levels):
            up.append(Up(h, [left.pop() for _ in range(num_blocks + 1)], level, config))
            h = level.channels
        self.up = nn.ModuleList(reversed(up))  # indexed by level, as the way down

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError if frames of this size cannot be halved as often as the network has levels."""
        divisor = 2 ** (len(self.down) - 1)
        if height % divisor or width % divisor or not height or not width:
            raise ValueError(
                f"frames of {height}x{width} do not fit a network of {len(self.down)} levels: "
                f"height and width must be divisible by {divisor}"
            )

    @abstractmethod
    def cache_bytes(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> int:
        """Memory in bytes that `encode_condition` with ``cache=True`` keeps for each condition at this frame size."""

    @abstractmethod
    def encode_condition(self, context: Context, cache: bool, modulation: NormModulation | None = None) -> Any:
        """Compute what depends on the condition alone.

        Args:
            context: of B conditions.
            cache: True (sampling) computes every map now and keeps it; False (training) leaves maps to the blocks.
            modulation: from `modulation`, made under the same autocast; None makes one.

        Returns:
            What ``forward`` takes with noisy frames and their labels.

        Raises:
            ValueError: for shapes that do not fit; with ``past_embedding`` and ``cache``, for a past that is only
                partly visible; without it, for a claim that it would have to make.
        """

    def modulation(self, labels: Tensor | None = None) -> NormModulation:
        """From labels to the scale and shift of the norms; for given labels (T,) alone, and computed now, if given."""
        layers = [layer for block in self._blocks() for layer in (block.embed0, block.embed1)]
        return NormModulation(layers, self._embed_label, self._dtype(), labels)

    def _check_context(self, context: Context) -> None:
        """See `encode_condition`."""
        context.check(self.block, self.channels, self.motion_planes, self.low_planes, self.per_frame)
        if context.claim_past_visible and self.past_embedding is None:
            raise ValueError("claim_past_visible is for networks with past_embedding, and this one has none")
        self.check_size(*context.frames.shape[3:])

    def _check_noisy(self, noisy: Tensor, label: Tensor, condition: ConditionCache) -> None:
        """See ``forward``."""
        batch = len(condition.planes)
        expected = (self.block.current, self.channels, *condition.planes.shape[2:])
        if noisy.shape[1:] != expected or len(noisy) % batch or label.shape != noisy.shape[:1]:
            raise ValueError(
                f"noisy must be (a multiple of {batch}, {', '.join(map(str, expected))}) with one label each "
                f"for {self.block}, got {tuple(noisy.shape)} and {tuple(label.shape)}"
            )

    def _dtype(self) -> torch.dtype:
        """In which it multiplies: autocast's, or that of its weights."""
        weight = self.embed0.weight
        device = weight.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype

    def _blocks(self) -> list[ResBlock]:
        return [module for module in self.modules() if isinstance(module, ResBlock)]

    def _num_mapped(self, height: int, width: int) -> int:
        """How many numbers the maps of all norms hold at this frame size."""
        return sum(norm.map_channels * (height >> norm.level) * (width >> norm.level) for norm in self._norms())

    def _norms(self) -> list[AbstractNorm]:
        """Every norm that the context may modulate."""
        return [norm for block in self._blocks() for norm in (block.norm0, block.norm1)] + [self.final_norm]

    def _embed_label(self, label: Tensor) -> Tensor:
        """Waves of the raw label through two layers, activated for the blocks; (L,) -> (L, E)."""
        weight = self.embed0.weight
        waves = label_waves(label, weight.shape[1], weight.dtype)
        return F.silu(self.embed1(F.silu(self.embed0(waves))))

    def _encode_past(self, context: Context, modulation: NormModulation, check: bool) -> Tensor | None:
        """What the norms are told of the past and of signals; None if neither is told."""
        told = []
        if self.past_embedding is not None:
            told.append(self._embed_past(context.keep[:, : self.block.past] | context.claim_past_visible, check))
        if self.signal_embedding is not None:
            told.append(self.signal_embedding(context.signals, context.keep_signals))
        return modulation.of_past(torch.cat(told, dim=1)) if told else None

    def _embed_past(self, keep: Tensor, check: bool) -> Tensor:
        """The learnt vector for a visible or a masked past, activated for the blocks; (B, P) -> (B, waves // 2)."""
        visible = keep.all(dim=1)
        # Not in training, where each step would wait for the device: `mcvd.MCVD` refuses masks that mix.
        if check and not torch.equal(visible, keep.any(dim=1)):
            raise ValueError("past_embedding tells one bit per sample: its past must be visible or masked as a whole")
        return F.silu(self.past_embedding(visible.long()))  # type: ignore[misc]


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
