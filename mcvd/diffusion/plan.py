"""Which frames are made when: integers only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mcvd.frames import FrameBlock


@dataclass(frozen=True)
class Window:
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
) -> Iterator[Window]:
    """The blocks that fill a gap of ``num_frames`` between given frames, in the order in which they are made.

    Index 0 is the first given past frame; the gap is ``[num_past, num_past + num_frames)``, the given future follows.
    With a past alone blocks slide forward; with a future alone backward; with neither, forward from nothing. With both,
    forward and backward blocks alternate until what is left fits into one block, which sees both sides.

    ``overlap`` is how many known frames at most, the nearest ones, a block sees on each side; None is as many as it has
    slots for.

    Raises:
        ValueError: a number is out of range.

    Examples:
        >>> [window.current for window in plan(FrameBlock(2, 5), num_past=2, num_future=0, num_frames=8)]
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

    def window(start: int) -> Window:
        stop = start + block.current
        return Window(
            past=range(max(0, start - reach_past), start) if low >= start > 0 else range(start, start),
            current=range(start, stop),
            future=range(stop, min(end, stop + reach_future)) if high <= stop < end else range(stop, stop),
        )

    def context(candidate: Window) -> tuple[int, int]:
        """How much a window that contains the gap sees, and how well it is centred."""
        off_centre = abs((candidate.current.start + candidate.current.stop) - (low + high))
        return len(candidate.past) + len(candidate.future), -off_centre

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
