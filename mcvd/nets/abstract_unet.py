"""What U-Nets have in common: the way up, what they are told beside the time, and what they check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcvd.frames import FrameBlock
from mcvd.nets.blocks import BlockConfig, ConditionCache, Level, Up
from mcvd.nets.conditioning import AbstractConditioning, AbstractNorm
from mcvd.nets.context import Context
from mcvd.nets.modulation import NormModulation
from mcvd.nets.signal_embedding import SignalEmbedding, check_num_signals
from mcvd.nets.trunk import Trunk


class AbstractUNet(Trunk, ABC):
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
        super().__init__(embedding)
        check_num_signals(num_signals)
        if past_embedding and block.past == 0:
            raise ValueError(f"past_embedding tells whether the past is visible, but {block} has none: set it to False")
        self.block, self.channels, self.conditioning = block, channels, conditioning
        self.past_embedding = nn.Embedding(2, embedding // 2) if past_embedding else None
        self.num_signals, told = num_signals, 2 * embedding if num_signals else 0
        at_once = 1 if self.per_frame else block.num_frames
        self.signal_embedding = SignalEmbedding(at_once, num_signals, told) if num_signals else None
        self.embedding_channels = 4 * embedding + (embedding // 2 if past_embedding else 0) + told

    def _build_up(self, skips: Sequence[int], levels: Sequence[Level], num_blocks: int, config: BlockConfig) -> None:
        """The way up to the channels of the first level."""
        h, left, up = levels[-1].channels, [*skips], []
        for level in reversed(levels):
            up.append(Up(h, [left.pop() for _ in range(num_blocks + 1)], level, config))
            h = level.channels
        self.up = nn.ModuleList(reversed(up))  # indexed by level, as the way down

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

    def _num_mapped(self, height: int, width: int) -> int:
        """How many numbers the maps of all norms hold at this frame size."""
        return sum(norm.map_channels * (height >> norm.level) * (width >> norm.level) for norm in self._norms())

    def _norms(self) -> list[AbstractNorm]:
        """Every norm that the context may modulate."""
        return [norm for block in self._blocks() for norm in (block.norm0, block.norm1)] + [self.final_norm]

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
