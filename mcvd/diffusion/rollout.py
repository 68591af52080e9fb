"""Long videos from short blocks: the one loop that follows the `plan`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mcvd.diffusion.plan import Window, plan
from mcvd.frames import Condition, FrameBlock


def rollout(
    sample_block: Callable[[Condition, int, bool], Tensor],
    block: FrameBlock,
    past: Tensor,
    future: Tensor,
    num_frames: int,
    num_samples: int = 1,
    overlap: int | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Fill the gap between given frames by following the `plan`; given frames are never rewritten.

    Args:
        sample_block: ``sample_block(condition, number, sees_generated)`` returns the current frames of a block, float
            (B * K, N, C, H, W). The condition has B samples as long as it holds given frames alone, and B * K as soon
            as generated ones are in it (``sees_generated``).
        block: of the model.
        past: float (B, P, C, H, W), the given frames before, any number of them, 0 too.
        future: float (B, F, C, H, W), the given frames after.
        num_frames: length of the gap.
        num_samples: K videos for each given one, adjacent in the batch.
        overlap: see `plan`.

    Yields:
        (start, frames) as they are made: index of the first frame in the gap (0 is its first frame) and float
        (B * K, n, C, H, W), exactly as ``sample_block`` returned them. Memory stays that of a few blocks.
    """
    num_past, num_future = past.shape[1], future.shape[1]
    low, high = num_past, num_past + num_frames  # the gap that is left
    reach = block.current + max(block.past, block.future)  # how far from the gap a known frame can still be seen
    known = {i: past[:, i] for i in range(max(0, low - reach), low)}
    known |= {high + i: future[:, i] for i in range(min(reach, num_future))}

    for number, window in enumerate(plan(block, num_past, num_future, num_frames, overlap)):
        sees_generated = any(num_past <= i < num_past + num_frames for i in (*window.past, *window.future))
        generated = sample_block(_condition(known, window, block, past, num_samples), number, sees_generated)
        new = [i for i in window.current if low <= i < high]
        frames = generated[:, new[0] - window.current.start : new[-1] + 1 - window.current.start]
        known |= {i: frames[:, k] for k, i in enumerate(new)}
        if new[0] == low:
            low = new[-1] + 1
        else:
            high = new[0]
        known = {i: frame for i, frame in known.items() if low - reach <= i < low or high <= i < high + reach}
        yield new[0] - num_past, frames


def _condition(
    known: dict[int, Tensor], window: Window, block: FrameBlock, like: Tensor, num_samples: int
) -> Condition:
    """The context of a window, padded on the far sides with masked frames; repeated per sample only if it must be."""
    batch, shape = like.shape[0], like.shape[2:]
    shown = [known[i] for i in (*window.past, *window.future)]
    if any(frame.shape[0] != batch for frame in shown):
        shown = [f.repeat_interleave(num_samples, 0) if f.shape[0] == batch else f for f in shown]
        batch *= num_samples
    empty = like.new_zeros(batch, *shape)
    pad_past, pad_future = block.past - len(window.past), block.future - len(window.future)
    frames = [empty] * pad_past + shown + [empty] * pad_future
    stack = torch.stack(frames, 1) if frames else like.new_zeros(batch, 0, *shape)
    flags = [False] * pad_past + [True] * len(shown) + [False] * pad_future
    keep = torch.tensor(flags, dtype=torch.bool, device=like.device).expand(batch, -1)
    (past, future), (keep_past, keep_future) = (each.split([block.past, block.future], 1) for each in (stack, keep))
    return Condition(past, future, keep_past, keep_future)
