"""Long videos from short blocks: the one loop that follows the `plan`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from mcvd.diffusion.keyframes import Keyframes, KnownPart
from mcvd.diffusion.plan import Window, plan
from mcvd.diffusion.signals import SignalTrack
from mcvd.diffusion.super_resolution import LowTrack
from mcvd.diffusion.told_times import WindowTimes
from mcvd.frames import Condition, FrameBlock


def windows(
    block: FrameBlock,
    num_past: int,
    num_future: int,
    num_frames: int,
    overlap: int | None = None,
    keyframes: Collection[int] = (),
    loop: bool = False,
) -> Iterator[Window]:
    """The `plan` of a `rollout`; ``keyframes`` are the places of those that are known beforehand."""
    total = num_frames + loop * _num_closing(block, num_past)
    return plan(block, num_past, num_future, total, overlap, {*keyframes, *range(num_frames, total)})


def rollout(
    sample_block: Callable[[Condition, int, bool, KnownPart | None], Tensor],
    block: FrameBlock,
    past: Tensor,
    future: Tensor,
    num_frames: int,
    num_samples: int = 1,
    overlap: int | None = None,
    keyframes: Keyframes | None = None,
    loop: bool = False,
    signals: SignalTrack | None = None,
    smaller: LowTrack | None = None,
    times: WindowTimes | None = None,
    memory: bool = False,
) -> Iterator[tuple[int, Tensor]]:
    """Fill the gap between given frames by following the `plan`; given frames are never rewritten.

    Args:
        sample_block: ``sample_block(condition, number, sees_generated, known)`` returns the current frames of a block,
            float (B * K, N, C, H, W). The condition has B samples as long as it holds given frames alone, and B * K as
            soon as generated ones are in it (``sees_generated``). ``known`` is what is known of the current frames
            themselves, for B * K samples: None unless there are keyframes.
        block: of the model.
        past: float (B, P, C, H, W), the given frames before, any number of them, 0 too.
        future: float (B, F, C, H, W), the given frames after.
        num_frames: length of the gap.
        num_samples: K videos for each given one, adjacent in the batch.
        overlap: see `plan`.
        keyframes: what is known of the frames of the gap, which come out so.
        loop: the frames after the last one are the first ones of the video, those of the past if there are any. There
            must be no future, and more frames than a block has if there is no past.
        signals: of the B videos, by the places of their frames; each block is told those of its own.
        smaller: the B videos at a smaller size, likewise.
        times: what blocks are told of time; None: frames come one after the other.
        memory: conditions with generated frames tell how much the given ones move (`Condition.motion`).

    Yields:
        (start, frames) as they are made: index of the first frame in the gap (0 is its first frame) and float
        (B * K, n, C, H, W), exactly as ``sample_block`` returned them. Memory stays that of a few blocks.
    """
    num_past, num_future = past.shape[1], future.shape[1]
    num_closing = loop * _num_closing(block, num_past)  # keyframes after the last frame, which are not yielded
    low, high = num_past, num_past + num_frames + num_closing  # the gap that is left
    reach = block.current + max(block.past, block.future)  # how far from the gap a known frame can still be seen
    first = range(times is not None and times.farthest is not None)  # the frame that is always seen, if there is one
    known = {i: past[:, i] for i in range(low) if i in first or i >= low - reach}
    known |= {high + i: future[:, i] for i in range(min(reach, num_future))}
    if loop or keyframes is not None:
        keyframes = Keyframes({}, {}) if keyframes is None else keyframes
        keyframes = keyframes.also({num_frames + i: past[:, i] for i in range(min(num_closing, num_past))})
    places = () if keyframes is None else keyframes.frames
    motion = motion_of(past, future) if memory else None

    for number, window in enumerate(windows(block, num_past, num_future, num_frames, overlap, places, loop)):
        sees_generated = any(num_past <= i < num_past + num_frames for i in (*window.past, *window.future))
        current, new, of_current = window.current, window.new, None
        if keyframes is not None:
            of_gap = {i - num_past: frame for i, frame in known.items()}
            rows = past.shape[0] * num_samples
            of_current = keyframes.within(range(current.start - num_past, current.stop - num_past), of_gap, rows)
        condition = condition_of(known, window, block, past, num_samples, signals, smaller, times)
        if motion is not None and sees_generated:
            per_sample = condition.batch_size // len(motion)
            condition = replace(condition, motion=motion.repeat_interleave(per_sample))
        generated = sample_block(condition, number, sees_generated, of_current)
        if of_current is not None:
            generated = torch.where(of_current.keep, of_current.frames, generated)
        frames = generated[:, new.start - current.start : new.stop - current.start]
        known |= {i: frames[:, k] for k, i in enumerate(new)}
        if num_closing and not num_past and keyframes is not None:
            beginning = [i for i in new if i < num_closing]
            keyframes = keyframes.also({num_frames + i: known[i] for i in beginning})
        if new.start == low:
            low = new.stop
        else:
            high = new.start
        seen = (*first, *range(low - reach, low), *range(high, high + reach))
        known = {i: frame for i, frame in known.items() if i in seen}
        start = new.start - num_past
        if start < num_frames:
            yield start, frames[:, : num_frames - start]


def _num_closing(block: FrameBlock, num_past: int) -> int:
    """How many frames of the beginning a loop ends with: half a block, so that the other half leads to them."""
    return min(num_past or block.current, max(1, block.current // 2))


def motion_of(past: Tensor, future: Tensor) -> Tensor | None:
    """Mean squared difference (B,) of the two given frames (B, T, C, H, W) at the beginning of the gap, else of those
    at its end; None where no two of a side are given."""
    side = past[:, -2:] if past.shape[1] > 1 else future[:, :2]
    return (side[:, 1] - side[:, 0]).square().flatten(1).mean(1) if side.shape[1] > 1 else None


def condition_of(
    known: dict[int, Tensor],
    window: Window,
    block: FrameBlock,
    like: Tensor,
    num_samples: int,
    signals: SignalTrack | None = None,
    smaller: LowTrack | None = None,
    times: WindowTimes | None = None,
) -> Condition:
    """The context of a window, padded on the far sides with masked frames; repeated per sample only if it must be."""
    batch, shape = like.shape[0], like.shape[2:]
    hidden_past, hidden_future = block.past - len(window.past), block.future - len(window.future)
    slots: list[int | None] = [*[None] * hidden_past, *window.past, *window.future, *[None] * hidden_future]
    sees_first = times is not None and times.shows_first(window)
    if sees_first:
        slots[0] = 0
    shown = {i: known[i] for i in slots if i is not None}
    if any(frame.shape[0] != batch for frame in shown.values()):
        shown = {i: f.repeat_interleave(num_samples, 0) if f.shape[0] == batch else f for i, f in shown.items()}
        batch *= num_samples
    empty = like.new_zeros(batch, *shape)
    frames = [empty if i is None else shown[i] for i in slots]
    stack = torch.stack(frames, 1) if frames else like.new_zeros(batch, 0, *shape)
    flags = [i is not None for i in slots]
    keep = torch.tensor(flags, dtype=torch.bool, device=like.device).expand(batch, -1)
    (past, future), (keep_past, keep_future) = (each.split([block.past, block.future], 1) for each in (stack, keep))
    at = None if times is None else times.told(window, block)
    at = None if at is None else at.to(like.device).expand(batch, -1)
    condition = Condition(past, future, keep_past, keep_future, times=at)
    if smaller is not None:
        low = smaller.at(window.current)
        condition = replace(condition, low=low.repeat_interleave(batch // len(low), 0))
    if signals is None:
        return condition
    places = range(window.current.start - block.past, window.current.stop + block.future)
    told, is_told = (each.repeat_interleave(batch // len(each), 0) for each in (signals.at(places), signals.is_told))
    if sees_first:
        told = torch.cat([signals.at(range(1)).repeat_interleave(batch // len(signals.values), 0), told[:, 1:]], 1)
    return replace(condition, signals=told, keep_signals=is_told)
