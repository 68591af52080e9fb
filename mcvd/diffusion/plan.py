"""Which frames are made when: integers only."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from mcvd.frames import FrameBlock


@dataclass(frozen=True)
class Window:
    """One block of a plan, as half-open ranges of absolute frame indices.

    Args:
        past: known frames shown before the block; shorter than the block's past where there are no more.
        current: frames that are sampled.
        new: those of them that are kept; the others are known, out of range, or better sampled with a later window.
        future: known frames shown after the block.
    """

    past: range
    current: range
    new: range
    future: range


def plan(
    block: FrameBlock,
    num_past: int,
    num_future: int,
    num_frames: int,
    overlap: int | None = None,
    keyframes: Collection[int] = (),
) -> Iterator[Window]:
    """The blocks that fill a gap of ``num_frames`` between given frames, in the order in which they are made.

    Index 0 is the first given past frame; the gap is ``[num_past, num_past + num_frames)``, the given future follows.
    With a past alone blocks slide forward; with a future alone backward; with neither, forward from nothing. With both,
    forward and backward blocks alternate until what is left fits into one block, which sees both sides.

    ``overlap`` is how many known frames at most, the nearest ones, a block sees on each side; None is as many as it has
    slots for. More than that on every side that is seen is refused.

    ``keyframes`` are places in the gap, from 0, that are known beforehand: a window that holds none of them keeps fewer
    frames, if then the next window ends with one, so that a keyframe acts on as many frames before it as there can be.

    Raises:
        ValueError: a number is out of range.

    Examples:
        >>> [window.current for window in plan(FrameBlock(2, 5), num_past=2, num_future=0, num_frames=8)]
        [range(2, 7), range(7, 12)]
    """
    if min(num_past, num_future) < 0 or num_frames < 1:
        given = f" after {num_past} given frames and before {num_future}" if min(num_past, num_future) < 0 else ""
        raise ValueError(f"num_frames must be at least 1, got {num_frames}{given}")
    if overlap is not None:
        _check_overlap(overlap, block, bool(num_past), bool(num_future))
    low, high = num_past, num_past + num_frames
    end = high + num_future
    known = {num_past + place for place in keyframes}
    reach_past, reach_future = (slot if overlap is None else min(slot, overlap) for slot in (block.past, block.future))

    def window(start: int) -> Window:
        stop = start + block.current
        return Window(
            past=range(max(0, start - reach_past), start) if low >= start > 0 else range(start, start),
            current=range(start, stop),
            new=range(max(start, low), min(stop, high)),
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
        whole = window(low if forward else high - block.current)
        new = _before_keyframes(whole.new, known, block.current, forward) if known else whole.new
        yield replace(whole, new=new)
        if forward:
            low = new.stop
        else:
            high = new.start
        forward = not forward


def contexts(
    block: FrameBlock, num_past: int, num_future: int, num_frames: int, overlap: int | None = None
) -> dict[tuple[int, int], None]:
    """How many past and future frames the windows of a `plan` see: each pair once, in order, however long the gap.

    Windows amid a long gap all see the same, so that one which is shorter by whole blocks stands for it.

    Examples:
        >>> [*contexts(FrameBlock(2, 5), num_past=0, num_future=0, num_frames=10**12)]
        [(0, 0), (2, 0)]
    """
    long = 4 * (block.past + block.current + block.future)
    if num_frames > long:
        num_frames = long + (num_frames - long) % block.current
    windows = plan(block, num_past, num_future, num_frames, overlap)
    return dict.fromkeys((len(window.past), len(window.future)) for window in windows)


def _check_overlap(overlap: int, block: FrameBlock, has_past: bool, has_future: bool) -> None:
    """Refuse what no window could show: of a side that none sees, too."""
    longest = max(block.past if has_past or not has_future else 0, block.future if has_future else 0)
    if not 1 <= overlap <= longest:
        few = f"must be 1 to {longest} frames" if longest else "cannot be told"
        raise ValueError(f"overlap {few}, {longest} being the longest context that {block} sees here, got {overlap}")


def _before_keyframes(new: range, known: set[int], length: int, forward: bool) -> range:
    """The part of a window's new frames after which the next window ends with keyframes; all of them if none are near.

    Of keyframes in a row the next window takes half its length at most: the others follow from them.
    """
    if known & {*new}:
        return new
    ahead = range(new.stop, new.stop + length) if forward else range(new.start - 1, new.start - 1 - length, -1)
    first = next((place for place in ahead if place in known), None)
    if first is None:
        return new
    step, most = ahead.step, max(1, length // 2)
    row = next((n for n in range(1, most) if first + step * n not in known), most)
    end = first + step * row  # of the next window, exclusive
    if forward:
        return range(new.start, max(new.start + 1, min(new.stop, end - length)))
    return range(min(new.stop - 1, max(new.start, end + 1 + length)), new.stop)
