"""What a model must beat: videos made without one. uint8 in and out, (..., T, C, H, W) with any leading axes."""

from __future__ import annotations

import torch
from torch import Tensor


def copy_last(past: Tensor, num_frames: int) -> Tensor:
    """The last given frame, repeated: nothing moves.

    Args:
        past: uint8 (..., T, C, H, W), oldest first, T 1 or more.
        num_frames: how many to make.

    Returns:
        uint8 (..., num_frames, C, H, W).

    Example:
        >>> past = torch.tensor([10, 20], dtype=torch.uint8).view(2, 1, 1, 1)
        >>> copy_last(past, 3).flatten().tolist()
        [20, 20, 20]
    """
    last = _check(past, 1, "past")[..., -1:, :, :, :]
    return last.repeat_interleave(num_frames, -4)


def copy_first(future: Tensor, num_frames: int) -> Tensor:
    """The first of the frames that come after, repeated: `copy_last` backward in time."""
    return copy_last(_check(future, 1, "future").flip(-4), num_frames)


def extrapolate(past: Tensor, num_frames: int) -> Tensor:
    """Every pixel goes on as it changed between the last two frames, until it is black or white.

    Arguments and result as in `copy_last`, with T 2 or more. For what came before, turn the videos round:
    ``extrapolate(future.flip(-4), num_frames).flip(-4)``.

    Example:
        >>> past = torch.tensor([200, 220], dtype=torch.uint8).view(2, 1, 1, 1)
        >>> extrapolate(past, 3).flatten().tolist()
        [240, 255, 255]
    """
    before, last = _check(past, 2, "past")[..., -2:, :, :, :].short().split(1, -4)
    steps = torch.arange(1, num_frames + 1, dtype=torch.int32, device=past.device).view(-1, 1, 1, 1)
    return (last + steps * (last - before)).clamp(0, 255).to(torch.uint8)


def blend(past: Tensor, future: Tensor, num_frames: int) -> Tensor:
    """A cross-fade from the last frame before a gap to the first one after it.

    Args:
        past: uint8 (..., T, C, H, W), T 1 or more; its last frame counts.
        future: the same; its first frame counts.
        num_frames: length of the gap.

    Returns:
        uint8 (..., num_frames, C, H, W).

    Example:
        >>> frame = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
        >>> blend(frame, frame + 40, 3).flatten().tolist()
        [10, 20, 30]
    """
    before = _check(past, 1, "past")[..., -1:, :, :, :].float()
    after = _check(future, 1, "future")[..., :1, :, :, :].float()
    weight = torch.arange(1, num_frames + 1, device=past.device).view(-1, 1, 1, 1) / (num_frames + 1)
    return (before + weight * (after - before)).round().to(torch.uint8)


def _check(frames: Tensor, least: int, name: str) -> Tensor:
    if frames.dtype != torch.uint8 or frames.ndim < 4 or frames.shape[-4] < least:
        raise ValueError(
            f"{name} must be uint8 (..., T, C, H, W) with T {least} or more, got {frames.dtype} {tuple(frames.shape)}"
        )
    return frames
