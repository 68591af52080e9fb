"""A network in which frames stay frames: residual blocks see one frame each, attention over time joins them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from mcvd.frames import FrameBlock
from mcvd.nets.abstract_unet import AbstractUNet
from mcvd.nets.blocks import BlockConfig, ConditionCache, Level
from mcvd.nets.conditioning import AbstractConditioning, Concat, context_planes, num_low_planes, num_motion_planes
from mcvd.nets.context import Context
from mcvd.nets.frame_planes import frame_planes, num_frame_planes
from mcvd.nets.layers import TINY, conv, linear, silu
from mcvd.nets.modulation import NormModulation, ScaleShift
from mcvd.nets.onednn import OneDNNConvolutions
from mcvd.nets.resample import patches, pixels
from mcvd.nets.time_attention import FrameAttention, FrameView, Seen, TimeAttention
from mcvd.nets.trunk import check_choices, label_waves
from mcvd.nets.unet import cached_maps, laid_out

MAX_PATCH = 16


@dataclass(frozen=True)
class EncodedFrames:
    """What the network knows from B conditions alone.

    Args:
        condition: planes, maps and modulation, as of `mcvd.nets.UNet`; of each condition, for all its frames.
        first: (B, N or 1, width, H, W), what the first convolution makes of the conditions, or None.
        place: (B or 1, N, S), what the place in time of each of the N current frames, and its signals, tell the norms.
        biases: of every attention over time, for the P + F context frames and then the N current ones.
        seen: what these attentions made of the context frames.
    """

    condition: ConditionCache
    first: Tensor | None
    place: Tensor
    biases: dict[TimeAttention, Tensor]
    seen: dict[TimeAttention, Seen]


class SpaceTimeUNet(AbstractUNet):
    """A factorised space-time U-Net (video diffusion models, Ho et al. 2022, arXiv 2204.03458, section 3).

    The residual blocks of `mcvd.nets.UNet` work on each frame by itself, with the same weights; after them frames look
    at each other at each place of the picture, with relative positions. Every current frame may have a noise level of
    its own (diffusion forcing, Chen et al. 2024, arXiv 2407.01392) and one without noise
    is given: any set of frames can be.

    Context frames are frames as well, clean or with noise that the network is told of; hidden ones are not looked at.
    They look at each other and never at the noisy ones, so what the network makes of them is computed once for all
    steps of a sampler. The conditioning lets every current frame see them directly too, beside that; of ``tell_motion``
    and ``tell_low`` each is told what belongs to itself.

    Args:
        block: how many frames it sees and makes.
        channels: of a frame, 1 or 3.
        width: channels of the first level.
        multipliers: channels of each level over ``width``; each further level halves height and width.
        num_blocks: residual blocks on each level on the way down; one more on the way up.
        attention_levels: levels with attention over space, 0 the finest; the bottom always has it.
        time_levels: levels with attention over time; None is all of them.
        head_channels: width of an attention head; narrower levels have one head.
        dropout: probability, inside residual blocks.
        conditioning: how the context enters each frame directly, `Concat` or `SPATIN`.
        gradient_checkpointing: as in `mcvd.nets.UNet`, for attention over time too.
        num_signals: as in `mcvd.nets.UNet`; each frame is told its own.
        patch: the network works on squares of so many pixels in height and width as on one pixel of as many more
            channels (Hoogeboom et al. 2023, arXiv 2301.11093, section 3.2): at 2 a step takes about a third of the
            time, and the first level is as fine as the second would be.

    Raises:
        ValueError: for a shape that cannot be built, naming the argument to change.

    Examples:
        >>> net = SpaceTimeUNet(FrameBlock(past=2, current=3), width=8, multipliers=(1, 2), attention_levels=())
        >>> context = Context(torch.zeros(1, 2, 3, 16, 16), torch.ones(1, 2, dtype=torch.bool))
        >>> condition = net.encode_condition(context, cache=True)
        >>> labels = torch.tensor([[1000.0, 500.0, 0.0]])  # the first frame is given, the last is all noise
        >>> net(torch.randn(1, 3, 3, 16, 16), labels, condition).shape
        torch.Size([1, 3, 3, 16, 16])
    """

    per_frame = True

    def __init__(
        self,
        block: FrameBlock,
        channels: int = 3,
        width: int = 64,
        multipliers: Sequence[int] = (1, 2, 3, 4),
        num_blocks: int = 2,
        attention_levels: Sequence[int] = (1, 2, 3),
        time_levels: Sequence[int] | None = None,
        head_channels: int = 64,
        dropout: float = 0.0,
        conditioning: AbstractConditioning = Concat(),
        gradient_checkpointing: bool = False,
        num_signals: int = 0,
        patch: int = 1,
    ) -> None:
        if not 1 <= patch <= MAX_PATCH:
            raise ValueError(f"patch must be 1 to {MAX_PATCH} pixels, got {patch}")
        check_choices(channels, width, multipliers, num_blocks, attention_levels, head_channels, dropout)
        over_time = range(len(multipliers)) if time_levels is None else time_levels
        if not set(over_time) <= set(range(len(multipliers))):
            raise ValueError(f"time_levels must lie in 0 ... {len(multipliers) - 1}, got {list(over_time)}")
        super().__init__(block, channels, conditioning, width, past_embedding=False, num_signals=num_signals)
        self.width, self.patch, area = width, patch, patch**2
        self.motion_planes = num_motion_planes(block, channels) if conditioning.tell_motion else 0
        self.low_planes = num_low_planes(block, channels) if conditioning.tell_low else 0
        num_planes = area * conditioning.num_planes(block.num_context, channels)
        num_own = area * num_frame_planes(block, channels, conditioning)

        self.embed_place = linear(width, width // 2)
        self.embed_given = linear(1, 4 * width) if block.num_context else None
        config = BlockConfig(
            norm=partial(conditioning.norm, num_planes),
            embedding_channels=self.embedding_channels + width // 2,
            dropout=dropout,
            head_channels=head_channels,
            gradient_checkpointing=gradient_checkpointing,
            time_levels=frozenset(over_time),
        )
        levels = [Level(i, width * each, i in attention_levels) for i, each in enumerate(multipliers)]
        self.first = conv(area * channels + conditioning.first_planes(num_planes), width)
        self.first_given = conv(area * channels, width) if block.num_context else None
        self.first_own = conv(num_own, width) if num_own else None
        skips = self._build_down(width, levels, num_blocks, config)
        self._build_up(skips, levels, num_blocks, config)
        self.final_norm = conditioning.norm(num_planes, width * multipliers[0], level=0, final=True)
        self.last = conv(width * multipliers[0], area * channels, scale=TINY)

    def cache_bytes(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> int:
        """See `AbstractUNet`."""
        self.check_size(height, width)
        height, width = height // self.patch, width // self.patch
        first = self.width * height * width * (1 if self.first_own is None else self.block.current)
        sees_context = self.first.in_channels > self._frame_channels or self.first_own is not None
        numbers = self._num_mapped(height, width) + (first if sees_context else 0)
        if self.block.num_context:
            each = sum(time.channels * (height >> time.level) * (width >> time.level) for time in self._over_time())
            numbers += 2 * self.block.num_context * each
        return numbers * dtype.itemsize

    def encode_condition(
        self, context: Context, cache: bool, modulation: NormModulation | None = None
    ) -> EncodedFrames:
        """See `AbstractUNet`; without claims of a visible past."""
        batch, block, keep = len(context.frames), self.block, context.keep
        self._check_context(context)
        times = context.times
        if times is None:
            times = torch.arange(-block.past, block.current + block.future, device=keep.device)[None].to(context.frames)
        if times.ndim != 2 or times.shape[1] != block.num_frames or len(times) not in (1, batch):
            raise ValueError(f"times must be ({batch}, {block.num_frames}) for {block}, got {tuple(times.shape)}")
        planes = laid_out(patches(context_planes(context, self.conditioning), self.patch))
        modulation = self.modulation() if modulation is None else modulation
        condition = ConditionCache(
            planes=planes,
            first=None,
            modulation=modulation,
            past=None,
            cached={norm: cached_maps(norm.maps(planes)) for norm in self._norms()} if cache else {},
            onednn=self._onednn() if cache else None,
        )
        past, current, future = times.split([block.past, block.current, block.future], dim=1)
        of_context = torch.cat([past, future], dim=1)
        seen: dict[TimeAttention, Seen] = {}
        told_past, told_current, told_future = self._told(context).split(
            [block.past, block.current, block.future], dim=1
        )
        if self.block.num_context:
            told = torch.cat([told_past, told_future], dim=1)
            seen = self._look_at_context(context, of_context, told, condition)
        if cache:  # in memory of their own: the queries are not kept
            seen = {time: (_copy(key), _copy(value)) for time, (key, value) in seen.items()}
        looks = torch.cat([keep, keep.new_ones(batch, block.current)], dim=1)[:, None].expand(-1, block.current, -1)
        if context.alone is not None:
            itself = torch.eye(block.current, dtype=torch.bool, device=keep.device)
            looks = looks & (~context.alone[:, None, None] | F.pad(itself, (block.num_context, 0)))
        view = FrameView(torch.cat([of_context, current], dim=1)[:, None] - current[..., None], looks)
        return EncodedFrames(
            condition=condition,
            first=self._encode_first(planes, context),
            place=self._place(modulation, current, told_current),
            biases={each: each.bias(view) for each in self._over_time()},
            seen=seen,
        )

    def forward(self, noisy: Tensor, label: Tensor, encoded: EncodedFrames) -> Tensor:
        """What the network answers (noise, clean frames or velocity: the denoiser knows).

        Args:
            noisy: float (B * K, N, C, H, W), K samples for each condition, those of one condition adjacent.
            label: float (B * K,), the published label, 0 the noisiest, or (B * K, N), one for each frame.
            encoded: of the B conditions, from `encode_condition`.

        Returns:
            The shape and dtype of ``noisy``.
        """
        condition, num_frames = encoded.condition, self.block.current
        batch, rows = len(condition.planes), len(noisy)
        height, width = condition.planes.shape[2:]
        expected = (num_frames, self.channels, self.patch * height, self.patch * width)
        if noisy.shape[1:] != expected or rows % batch or label.shape not in ((rows,), (rows, num_frames)):
            raise ValueError(
                f"noisy must be (a multiple of {batch}, {', '.join(map(str, expected))}) with one label each, or one "
                f"for each frame, for {self.block}, got {tuple(noisy.shape)} and {tuple(label.shape)}"
            )
        one = label[:1] if label.stride(0) == 0 else label
        numbers = condition.modulation.numbers(one.flatten()).unflatten(0, (len(one), -1))  # (rows or 1, N or 1, S)
        place = encoded.place
        if len(place) > 1:
            place = place.repeat_interleave(rows // len(place), 0)
        numbers = (numbers + place).expand(rows, -1, -1).flatten(0, 1)  # (B * K * N, S)
        x = laid_out(patches(noisy.flatten(0, 1), self.patch))  # (B * K * N, C, H, W)
        h = F.conv2d(x, self.first.weight[:, : self._frame_channels], self.first.bias, padding=1)
        if encoded.first is not None:
            h = (h.unflatten(0, (batch, -1, num_frames)) + encoded.first[:, None]).flatten(0, 2)
        frames = FrameAttention(rows, encoded.biases, encoded.seen)
        h = self._walk(h, condition.modulation.told(numbers), replace(condition, frames=frames))
        h = silu(self.final_norm(h, condition.maps(self.final_norm)))
        return pixels(condition.convolve(self.last, h), self.patch).unflatten(0, noisy.shape[:2]).to(noisy.dtype)

    def _encode_first(self, planes: Tensor, context: Context) -> Tensor | None:
        """What the first convolution makes of the planes for all frames, and of those for each."""
        weight = self.first.weight[:, self._frame_channels :]
        first = F.conv2d(planes, weight, padding=1)[:, None] if weight.shape[1] else None
        if self.first_own is None:
            return first
        own = frame_planes(context, self.block, self.channels).flatten(0, 1)
        told = self.first_own(laid_out(patches(own, self.patch))).unflatten(0, (-1, self.block.current))
        return told if first is None else told + first

    @property
    def _frame_channels(self) -> int:
        """Of a frame as the first convolution sees it."""
        return self.channels * self.patch**2

    def _look_at_context(
        self, context: Context, times: Tensor, told: Tensor, condition: ConditionCache
    ) -> dict[TimeAttention, Seen]:
        """What every attention over time makes of the T context frames, which look at each other alone."""
        assert self.first_given is not None
        batch, num_frames = context.keep.shape
        modulation = NormModulation(self._maps(), self._embed_given, self._dtype())
        place = self._place(modulation, times, told)
        numbers = (modulation.numbers(context.level)[:, None] + place).flatten(0, 1)  # (B * T, S)
        itself = torch.eye(num_frames, dtype=torch.bool, device=times.device)
        view = FrameView(times[:, None] - times[..., None], context.keep[:, None] | itself)
        made: dict[TimeAttention, Seen] = {}
        frames = FrameAttention(batch, {each: each.bias(view) for each in self._over_time()}, made=made)
        h = self.first_given(laid_out(patches(context.frames.flatten(0, 1), self.patch)))
        self._walk(h, modulation.told(numbers), replace(condition, frames=frames))
        return made

    def _walk(self, h: Tensor, scale_shift: ScaleShift, condition: ConditionCache) -> Tensor:
        """Down and up again, (rows * frames, width, H, W) to (rows * frames, C, H, W)."""
        skips = [h]
        for down in self.down:
            skips += down(skips[-1], scale_shift, condition)
        h = self.middle(skips[-1], scale_shift, condition)
        for up in reversed(self.up):
            h = up(h, scale_shift, condition, skips)
        return h

    def _onednn(self) -> OneDNNConvolutions | None:
        usable = OneDNNConvolutions.can_run(self.last.weight.device, self._dtype()) and not torch.is_grad_enabled()
        return OneDNNConvolutions() if usable else None

    def _over_time(self) -> list[TimeAttention]:
        return [module for module in self.modules() if isinstance(module, TimeAttention)]

    def _embed_given(self, level: Tensor) -> Tensor:
        """What is told instead of a label of frames that carry noise of this standard deviation: (B,) -> (B, E)."""
        assert self.embed_given is not None
        return F.silu(self.embed_given(level.to(self.embed_given.weight.dtype)[:, None]))

    def _told(self, context: Context) -> Tensor:
        """What each frame is told by its own signals, activated: (B or 1, P + N + F, E), of no width without signals.

        Raises:
            ValueError: there are none, or of another shape.
        """
        num_frames, signals, keep = self.block.num_frames, context.signals, context.keep_signals
        if self.signal_embedding is None:
            return context.frames.new_empty(1, num_frames, 0)
        if signals is None or keep is None or tuple(signals.shape[1:]) != (num_frames, self.num_signals):
            found = "none" if signals is None else tuple(signals.shape)
            raise ValueError(f"this network is told signals (B, {num_frames}, {self.num_signals}), got {found}")
        told = self.signal_embedding(signals.flatten(0, 1)[:, None], keep.repeat_interleave(num_frames))
        return told.unflatten(0, (-1, num_frames))

    def _place(self, modulation: NormModulation, times: Tensor, told: Tensor) -> Tensor:
        """What the places in time (B or 1, T) of frames, and what they are told (B or 1, T, E), say to the norms:
        (B or 1, T, S)."""
        rows = max(len(times), len(told))
        each = torch.cat([self._embed_time(times).expand(rows, -1, -1), told.expand(rows, -1, -1)], dim=2)
        return modulation.of_past(each.flatten(0, 1)).unflatten(0, each.shape[:2])

    def _embed_time(self, times: Tensor) -> Tensor:
        """What is told of the place in time: (B, T) -> (B, T, width // 2)."""
        waves = label_waves(times.flatten(), self.width, self.embed_place.weight.dtype)
        return F.silu(self.embed_place(waves)).unflatten(0, times.shape)


def _copy(x: Tensor) -> Tensor:
    return x.clone(memory_format=torch.contiguous_format)
