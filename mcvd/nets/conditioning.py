"""How the network learns of the frames around those it makes: by concatenation or by SPATIN.

A conditioning is a choice (a frozen dataclass without weights) which answers three questions: how many context planes
the first convolution sees, which norm a block uses, and, through that norm's `maps`, what depends on the context alone
and can be computed once. A new way is a new class here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from mcvd.frames import FrameBlock
from mcvd.nets.context import Context
from mcvd.nets.layers import conv, group_norm, scaled, silu

Maps = tuple[Tensor, Tensor]
"""What the context makes of a norm: (1 + gamma, beta), each (B, C, h, w)."""

MAX_WIDTH = 1 << 16  # of SPATIN; a config that is not trusted could ask for more than 64 bits count


class AbstractNorm(nn.Module, ABC):
    """A group norm which may be modulated by the context and by the time embedding.

    Args:
        level: where in the U-Net it works; height and width there are those of the frames over 2 ** level.
        map_channels: channels of its maps, 0 where the context does not modulate it.
    """

    def __init__(self, level: int, map_channels: int) -> None:
        super().__init__()
        self.level, self.map_channels = level, map_channels

    @abstractmethod
    def maps(self, planes: Tensor) -> Maps | None:
        """What the context alone determines, from planes (B, Q, H, W); h = H / 2**level, w = W / 2**level."""

    @abstractmethod
    def forward(self, x: Tensor, maps: Maps | None, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """Normalise x (B * K, C, h, w): maps are those of B conditions, scale and shift (B * K or 1, C) of the time.

        The value is multiplied by the scale as it is: `NormModulation` has added the 1.
        """


class AbstractConditioning(ABC):
    """A way to condition the network on context planes (the frames stacked, then their masks if told)."""

    tell_mask: bool
    tell_noise: bool
    tell_motion: bool = False
    tell_low: bool = False

    def num_planes(self, num_frames: int, channels: int) -> int:
        """How many planes `context_planes` makes of so many frames."""
        return num_frames * (channels + self.tell_mask) + (self.tell_noise and num_frames > 0)

    @abstractmethod
    def first_planes(self, num_planes: int) -> int:
        """How many of the context planes the first convolution sees."""

    @abstractmethod
    def norm(self, num_planes: int, channels: int, level: int, final: bool = False) -> AbstractNorm:
        """The norm of a residual block, or (``final``) the one before the last convolution."""


@dataclass(frozen=True)
class Concat(AbstractConditioning):
    """The context enters once, stacked with the noisy frames at the first convolution.

    Args:
        tell_mask: give the network one plane per context frame, 1 where it is visible and 0 where it is masked; else
            absent and mid-grey are the same (as in all published models).
        tell_noise: give it one plane with the noise level of the context (`mcvd.Condition.noised`), which training
            with ``MCVD.context_noise`` needs.
        tell_motion: give it the visible frames carried on by their optical flow; see `mcvd.diffusion.motion`.
        tell_low: give it the frames that are to be made at a smaller size, enlarged, and the level of their noise; see
            `mcvd.diffusion.super_resolution`.
    """

    tell_mask: bool = True
    tell_noise: bool = False
    tell_motion: bool = False
    tell_low: bool = False

    def first_planes(self, num_planes: int) -> int:
        """All of them."""
        return num_planes

    def norm(self, num_planes: int, channels: int, level: int, final: bool = False) -> AbstractNorm:
        """A group norm that does not see the context; the final one has learnt weights instead of a time embedding."""
        return GroupNorm(channels, level, affine=final)


@dataclass(frozen=True)
class SPATIN(AbstractConditioning):
    """Space-time-adaptive normalisation: every norm is scaled and shifted by maps computed from the context.

    The maps do not depend on the noisy frames or the time, so a sampler computes them once. From MCVD
    (arXiv 2205.09853), section 3.4, after SPADE (arXiv 1903.07291).

    Args:
        width: hidden channels between the context and the maps.
        tell_mask: as in `Concat`.
        tell_noise: as in `Concat`.
        tell_motion: as in `Concat`.
        tell_low: as in `Concat`.
    """

    width: int = 128
    tell_mask: bool = True
    tell_noise: bool = False
    tell_motion: bool = False
    tell_low: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"SPATIN's width must be 1 to {MAX_WIDTH}, got {self.width}")

    def first_planes(self, num_planes: int) -> int:
        """None: the noisy frames enter alone."""
        return 0

    def norm(self, num_planes: int, channels: int, level: int, final: bool = False) -> AbstractNorm:
        """A norm modulated by the context everywhere, also before the last convolution."""
        if num_planes == 0:
            raise ValueError("SPATIN needs context: give the block past or future frames, or use mcvd.nets.Concat")
        return _SPATINNorm(num_planes, self.width, channels, level)


class GroupNorm(AbstractNorm):
    """Group norm with a scale and a shift that come from the time, or are learnt (``affine``)."""

    def __init__(self, channels: int, level: int, affine: bool) -> None:
        super().__init__(level, map_channels=0)
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def maps(self, planes: Tensor) -> None:
        """None: the context does not modulate it."""
        return None

    def forward(self, x: Tensor, maps: Maps | None, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """See `AbstractNorm`."""
        if scale is None:
            return group_norm(x, 1e-5, self.weight, self.bias)
        return group_norm(x, 1e-5, scale, shift)


class _SPATINNorm(AbstractNorm):
    """Group norm, then gamma and beta maps of the context, then scale and shift of the time."""

    def __init__(self, num_planes: int, width: int, channels: int, level: int) -> None:
        super().__init__(level, map_channels=2 * channels)
        self.hidden = conv(num_planes, width)
        self.gamma_beta = conv(width, 2 * channels, parts=2)

    def maps(self, planes: Tensor) -> Maps:
        """See `AbstractNorm`."""
        size = [side >> self.level for side in planes.shape[2:]]
        hidden = silu(self.hidden(F.interpolate(planes, size, mode="nearest")))
        assert self.gamma_beta.bias is not None
        gamma, beta = self.gamma_beta.bias.chunk(2)
        # 1 + gamma, where the 1 costs nothing because it travels with the bias.
        both = F.conv2d(hidden, self.gamma_beta.weight, torch.cat([1 + gamma, beta]), padding=1)
        one_plus_gamma, beta = both.chunk(2, dim=1)
        return one_plus_gamma, beta

    def forward(self, x: Tensor, maps: Maps | None, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """See `AbstractNorm`."""
        return spatin(x, maps, scale, shift)


def spatin(x: Tensor, maps: Maps | None, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    """Group norm, maps, scale and shift of SPATIN; arguments as in `AbstractNorm`."""
    assert maps is not None
    one_plus_gamma, beta = maps
    h = group_norm(x, 1e-6)
    if len(beta) == len(x):
        h = scaled(h, one_plus_gamma, beta)
    else:  # K samples share the maps of their condition
        h = h.unflatten(0, (len(beta), -1))  # (B, K, C, h, w)
        h = scaled(h, one_plus_gamma[:, None], beta[:, None]).flatten(0, 1)
    if scale is None or shift is None:
        return h
    scale, shift = (each.to(h.dtype)[:, :, None, None] for each in (scale, shift))
    return scaled(h, scale, shift)


def num_motion_planes(block: FrameBlock, channels: int) -> int:
    """How many planes `mcvd.diffusion.motion.motion_planes` makes.

    Raises:
        ValueError: neither side of the block has the two frames that show motion.
    """
    sides = (block.past >= 2) + (block.future >= 2)
    if not sides:
        raise ValueError(f"tell_motion needs a block with two frames of the past or the future, got {block}")
    return sides * (block.current * channels + 1) + 1


def num_low_planes(block: FrameBlock, channels: int) -> int:
    """How many planes `mcvd.diffusion.super_resolution.low_planes` makes: the frames, and the level of their noise."""
    return block.current * channels + 1


def context_planes(context: Context, told: AbstractConditioning) -> Tensor:
    """Context frames as planes (B, Q, H, W), frame after frame, then what is told of them as constant planes.

    ``tell_mask`` adds a plane for each frame, ``tell_noise`` one more; Q = `AbstractConditioning.num_planes`.
    """
    frames, size = context.frames, context.frames.shape[3:]
    planes = [rearrange(frames, "b t c h w -> b (t c) h w")]
    if told.tell_mask:
        planes.append(context.keep.to(frames.dtype)[:, :, None, None].expand(-1, -1, *size))
    if told.tell_noise and frames.shape[1]:
        planes.append(context.level.to(frames.dtype)[:, None, None, None].expand(-1, 1, *size))
    return torch.cat(planes, dim=1)
