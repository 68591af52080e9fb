"""Baselines, what a model must beat: videos made without one. uint8 or float in and out, any leading axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from mcvd.diffusion.tasks import task_of


def copy_last(past: Tensor, num_frames: int) -> Tensor:
    """The last given frame, repeated: nothing moves.

    Args:
        past: uint8 (..., T, C, H, W), oldest first, T 1 or more.
        num_frames: how many to make.

    Returns:
        uint8 (..., num_frames, C, H, W).

    Examples:
        >>> past = torch.tensor([10, 20], dtype=torch.uint8).view(2, 1, 1, 1)
        >>> copy_last(past, 3).flatten().tolist()
        [20, 20, 20]
    """
    last = _check(past, 1, "past")[..., -1:, :, :, :]
    return last.repeat_interleave(num_frames, -4)


def copy_first(future: Tensor, num_frames: int) -> Tensor:
    """The first of the frames given after, repeated: `copy_last` backward in time, with the same arguments."""
    return copy_last(_check(future, 1, "future").flip(-4), num_frames)


def extrapolate(past: Tensor, num_frames: int) -> Tensor:
    """Every pixel changes on as it did between the last two frames, until it is black or white.

    Values, floats, go on until they are as low or high as any of the given ones.

    Arguments and result as in `copy_last`, with T 2 or more. For backward prediction reverse the videos:
    ``extrapolate(future.flip(-4), num_frames).flip(-4)``.

    Examples:
        >>> past = torch.tensor([200, 220], dtype=torch.uint8).view(2, 1, 1, 1)
        >>> extrapolate(past, 3).flatten().tolist()
        [240, 255, 255]
    """
    both = _check(past, 2, "past")[..., -2:, :, :, :]
    steps = torch.arange(1, num_frames + 1, dtype=torch.int32, device=past.device).view(-1, 1, 1, 1)
    if past.is_floating_point():
        before, last = both.split(1, -4)
        known = past[~past.isnan()]
        if not len(known):
            return copy_last(past, num_frames)
        return (last + steps * (last - before)).clamp(known.min(), known.max())
    before, last = both.short().split(1, -4)
    return (last + steps * (last - before)).clamp(0, 255).to(torch.uint8)


def blend(past: Tensor, future: Tensor, num_frames: int) -> Tensor:
    """A cross-fade from the last frame before a gap to the first one after it.

    Args:
        past: uint8 (..., T, C, H, W), T 1 or more; its last frame counts.
        future: the same; its first frame counts.
        num_frames: length of the gap.

    Returns:
        uint8 (..., num_frames, C, H, W).

    Examples:
        >>> frame = torch.zeros(1, 1, 1, 1, dtype=torch.uint8)
        >>> blend(frame, frame + 40, 3).flatten().tolist()
        [10, 20, 30]
    """
    before = _check(past, 1, "past")[..., -1:, :, :, :].float()
    after = _check(future, 1, "future")[..., :1, :, :, :].float()
    weight = torch.arange(1, num_frames + 1, device=past.device).view(-1, 1, 1, 1) / (num_frames + 1)
    found = before + weight * (after - before)
    return found if past.is_floating_point() else found.round().to(torch.uint8)


def cross_faded(video: Tensor, factor: int) -> Tensor:
    """A whole video at ``factor`` times its frame rate: uint8 (T, C, H, W) -> ((T - 1) * factor + 1, C, H, W)."""
    between = blend(video[:-1, None], video[1:, None], factor - 1)
    return torch.cat([torch.cat([video[:-1, None], between], 1).flatten(0, 1), video[-1:]])


@dataclass(frozen=True)
class Baseline:
    """A video made without a model, as `evaluate` has it beside the model's.

    Args:
        title: what people call it.
        generate: (past, future, num_frames) -> the frames between them; past and future as in `blend`, the one that is
            not needed may be empty.
        num_given: how many frames it needs of a side that is given.
    """

    title: str
    generate: Callable[[Tensor, Tensor, int], Tensor]
    num_given: int = 1


def _extrapolate_either(past: Tensor, future: Tensor, num_frames: int) -> Tensor:
    if past.shape[-4]:
        return extrapolate(past, num_frames)
    return extrapolate(future.flip(-4), num_frames).flip(-4)


BASELINES = {
    "copy_last": Baseline("last frame repeated", lambda past, _, num_frames: copy_last(past, num_frames)),
    "copy_first": Baseline("first frame repeated", lambda _, future, num_frames: copy_first(future, num_frames)),
    "extrapolate": Baseline("linear extrapolation", _extrapolate_either, num_given=2),
    "blend": Baseline("cross-fade", blend),
}


def generate_baselines(
    names: Iterable[str],
    past: Tensor,
    future: Tensor,
    num_frames: int,
    others: Mapping[str, Baseline] = MappingProxyType({}),
) -> dict[str, Tensor]:
    """The baselines of a task, less those that need more frames than are given.

    Args:
        names: of `BASELINES`.
        past: uint8 (..., P, C, H, W), the frames given before; P may be 0.
        future: uint8 (..., F, C, H, W), the frames given after; F may be 0.
        num_frames: how many to make.
        others: more of them, by name.

    Returns:
        name -> uint8 (..., num_frames, C, H, W).
    """
    num_given = max(past.shape[-4], future.shape[-4])
    asked = {name: BASELINES[name] for name in names} | dict(others)
    found = {name: baseline for name, baseline in asked.items() if baseline.num_given <= num_given}
    return {name: baseline.generate(past, future, num_frames) for name, baseline in found.items()}


def simplest_baseline(past: Tensor, future: Tensor, num_frames: int) -> dict[str, Tensor]:
    """The baseline that needs one frame of each given side, by its title; none where nothing is given.

    Arguments as of `generate_baselines`.

    Examples:
        >>> frame = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
        >>> list(simplest_baseline(frame, frame, 5)), list(simplest_baseline(frame, frame[:0], 5))
        (['cross-fade'], ['last frame repeated'])
    """
    task = task_of(past.shape[-4], future.shape[-4])
    # Of two that need no more than that, the later one uses more of what is given: the cross-fade both sides of a gap.
    names = [name for name in task.baselines if BASELINES[name].num_given == 1][-1:]
    return {BASELINES[name].title: BASELINES[name].generate(past, future, num_frames) for name in names}


def _check(frames: Tensor, least: int, name: str) -> Tensor:
    is_video = frames.dtype == torch.uint8 or frames.is_floating_point()
    if not is_video or frames.ndim < 4 or frames.shape[-4] < least:
        raise ValueError(
            f"{name} must be uint8 or float (..., T, C, H, W) with T {least} or more, got {frames.dtype} "
            f"{tuple(frames.shape)}"
        )
    return frames
