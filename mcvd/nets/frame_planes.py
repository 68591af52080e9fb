"""Planes that tell each frame that is made of itself alone, for networks in which frames stay frames."""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.frames import FrameBlock
from mcvd.nets.conditioning import AbstractConditioning
from mcvd.nets.context import Context


def num_frame_planes(block: FrameBlock, channels: int, told: AbstractConditioning) -> int:
    """How many planes `frame_planes` makes for each frame."""
    sides = (block.past >= 2) + (block.future >= 2)
    return told.tell_motion * (sides * (channels + 1) + 1) + told.tell_low * (channels + 1)


def frame_planes(context: Context, block: FrameBlock, channels: int) -> Tensor:
    """What the context's planes of motion and of smaller frames tell of each frame: float (B, N, Q, H, W).

    Each gets what is told of it, and all of them what is told of the block: how well motion is explained, the scale,
    the level of noise.
    """
    num_frames, found = block.current, []
    length = num_frames * channels
    if context.motion is not None:
        *sides, scale = context.motion.split([length + 1] * (context.motion.shape[1] // (length + 1)) + [1], dim=1)
        for side in sides:
            found += [_of_each(side[:, :length], num_frames), _of_all(side[:, length:], num_frames)]
        found.append(_of_all(scale, num_frames))
    if context.low is not None:
        found += [_of_each(context.low[:, :length], num_frames), _of_all(context.low[:, length:], num_frames)]
    return torch.cat(found, dim=2)


def _of_each(planes: Tensor, num_frames: int) -> Tensor:
    """(B, N * C, H, W) -> (B, N, C, H, W)."""
    return planes.unflatten(1, (num_frames, -1))


def _of_all(planes: Tensor, num_frames: int) -> Tensor:
    """(B, 1, H, W) -> (B, N, 1, H, W)."""
    return planes[:, None].expand(-1, num_frames, -1, -1, -1)
