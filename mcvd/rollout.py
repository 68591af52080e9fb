"""Long videos from short blocks: which frames are made when (`plan`), and the one loop that fills them (`rollout`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.frames import Condition, FrameBlock
from mcvd.masking import Masking


@dataclass(frozen=True)
class Step:
    """One block of a plan, as half-open ranges of absolute frame indices.

    Args:
        past: known frames shown before the block; shorter than the block's past where there are no more.
        current: frames that are sampled; those that are known or out of range are discarded.
        future: known frames shown after the block.
    """

    past: range
    current: range
    future: range


def plan(
    block: FrameBlock, num_past: int, num_future: int, num_frames: int, overlap: int | None = None
) -> Iterator[Step]:
    """The blocks that fill a gap of ``num_frames`` between given frames, in the order in which they are made.

    Index 0 is the first given past frame; the gap is ``[num_past, num_past + num_frames)``, the given future follows.
    With a past alone blocks slide forward; with a future alone backward; with neither, forward from nothing. With both,
    forward and backward blocks alternate until what is left fits into one block, which sees both sides.

    Args:
        block: of the model.
        num_past: given frames before the gap.
        num_future: given frames after it.
        num_frames: length of the gap.
        overlap: how many known frames at most a block shares with what is known on each side, its nearest ones; None
            is as many as it has slots for.

    Example:
        >>> [step.current for step in plan(FrameBlock(2, 5), num_past=2, num_future=0, num_frames=8)]
        [range(2, 7), range(7, 12)]
    """
    if min(num_past, num_future) < 0 or num_frames < 1:
        raise ValueError(f"num_frames must be at least 1 and nothing negative, got {num_past, num_future, num_frames}")
    if overlap is not None and not 1 <= overlap <= max(block.past, block.future):
        longest = max(block.past, block.future)
        raise ValueError(f"overlap must be 1 to {longest} frames, the longest context of {block}, got {overlap}")
    low, high = num_past, num_past + num_frames
    end = high + num_future
    reach_past, reach_future = (slot if overlap is None else min(slot, overlap) for slot in (block.past, block.future))

    def window(start: int) -> Step:
        stop = start + block.current
        return Step(
            past=range(max(0, start - reach_past), start) if low >= start > 0 else range(start, start),
            current=range(start, stop),
            future=range(stop, min(end, stop + reach_future)) if high <= stop < end else range(stop, stop),
        )

    def context(step: Step) -> tuple[int, int]:
        """How much a window that contains the gap sees, and how well it is centred."""
        off_centre = abs((step.current.start + step.current.stop) - (low + high))
        return len(step.past) + len(step.future), -off_centre

    forward = True
    while low < high:
        if num_past and num_future:
            if high - low <= block.current:
                yield max((window(start) for start in range(high - block.current, low + 1)), key=context)
                return
        else:
            forward = not num_future
        if forward:
            yield window(low)
            low += block.current
        else:
            yield window(high - block.current)
            high -= block.current
        forward = not forward


def check_task(
    block: FrameBlock,
    masking: Masking,
    num_past: int,
    num_future: int,
    num_frames: int,
    overlap: int | None = None,
) -> None:
    """Refuse, before any work, what a model was not trained for.

    Raises:
        ValueError: the block has no slot for a given side, or a step of the plan needs masks that training never drew.
    """
    if num_future and not block.future:
        raise ValueError(
            f"this model has no future slot ({block}): it cannot look at frames after a gap; "
            "train one with block.future > 0"
        )
    if num_past and not block.past:
        raise ValueError(f"this model has no past slot ({block}): train one with block.past > 0")
    for step in plan(block, num_past, num_future, num_frames, overlap):
        sides = {"past": (len(step.past), block.past), "future": (len(step.future), block.future)}
        shown = {name: bool(given) if slot else None for name, (given, slot) in sides.items()}
        if not masking.allows(shown["past"], shown["future"]):
            words = [f"the {name} {'shown' if is_shown else 'hidden'}" for name, is_shown in shown.items()]
            raise ValueError(f"this needs {' and '.join(words)}, which {masking} never drew: train with other masks")
        for name, (given, slot) in sides.items():
            part_is_known = masking.p_partial > 0 or masking.allows(
                *(False if side == name else None for side in sides)
            )
            if 0 < given < slot and not part_is_known:
                raise ValueError(f"this model needs {slot} {name} frames, got {given}, and was never trained without")


def rollout(
    make: Callable[[Condition, int, bool], Tensor],
    block: FrameBlock,
    past: Tensor,
    future: Tensor,
    num_frames: int,
    num_samples: int = 1,
    overlap: int | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Fill the gap between given frames by following the `plan`; given frames are never rewritten.

    Args:
        make: ``make(condition, step_number, sees_made)`` returns the current frames of a block, float
            (B * K, N, C, H, W). The condition has B samples as long as it holds given frames alone, and B * K as soon
            as made ones are in it (``sees_made``).
        block: of the model.
        past: float (B, P, C, H, W), the given frames before, any number of them, 0 too.
        future: float (B, F, C, H, W), the given frames after.
        num_frames: length of the gap.
        num_samples: K videos for each given one, adjacent in the batch.
        overlap: see `plan`.

    Yields:
        (start, frames) as they are made: index of the first frame in the gap (0 is its first frame) and float
        (B * K, n, C, H, W), exactly as ``make`` returned them. Memory stays that of a few blocks.
    """
    num_past, num_future = past.shape[1], future.shape[1]
    low, high = num_past, num_past + num_frames  # the gap that is left
    reach = block.current + max(block.past, block.future)  # how far from the gap a known frame can still be seen
    known = {i: past[:, i] for i in range(max(0, low - reach), low)}
    known |= {high + i: future[:, i] for i in range(min(reach, num_future))}

    for number, step in enumerate(plan(block, num_past, num_future, num_frames, overlap)):
        sees_made = any(num_past <= i < num_past + num_frames for i in (*step.past, *step.future))
        made = make(_condition(known, step, block, past, num_samples), number, sees_made)
        new = [i for i in step.current if low <= i < high]
        frames = made[:, new[0] - step.current.start : new[-1] + 1 - step.current.start]
        known |= {i: frames[:, k] for k, i in enumerate(new)}
        if new[0] == low:
            low = new[-1] + 1
        else:
            high = new[0]
        known = {i: frame for i, frame in known.items() if low - reach <= i < low or high <= i < high + reach}
        yield new[0] - num_past, frames


def _condition(known: dict[int, Tensor], step: Step, block: FrameBlock, like: Tensor, num_samples: int) -> Condition:
    """The context of a step, padded on the far sides with masked frames; repeated per sample only if it must be."""
    batch, shape = like.shape[0], like.shape[2:]
    shown = [known[i] for i in (*step.past, *step.future)]
    if any(frame.shape[0] != batch for frame in shown):
        shown = [f.repeat_interleave(num_samples, 0) if f.shape[0] == batch else f for f in shown]
        batch *= num_samples
    empty = like.new_zeros(batch, *shape)
    pad_past, pad_future = block.past - len(step.past), block.future - len(step.future)
    frames = [empty] * pad_past + shown + [empty] * pad_future
    stack = torch.stack(frames, 1) if frames else like.new_zeros(batch, 0, *shape)
    flags = [False] * pad_past + [True] * len(shown) + [False] * pad_future
    keep = torch.tensor(flags, dtype=torch.bool, device=like.device).expand(batch, -1)
    (past, future), (keep_past, keep_future) = (each.split([block.past, block.future], 1) for each in (stack, keep))
    return Condition(past, future, keep_past, keep_future)
