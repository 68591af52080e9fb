"""What a stretch marked on a film strip means: which frames are given, and which are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcvd.frames import FrameBlock

Task = Literal["predict", "backward", "interpolate", "generate"]


@dataclass(frozen=True)
class Selection:
    """Half-open ranges of frame numbers of a video; those made may lie beyond its ends.

    Args:
        past: given frames before those made.
        made: frames to be made.
        future: given frames after them.
    """

    past: range
    made: range
    future: range

    @property
    def shown(self) -> range:
        """All of them: what the result consists of."""
        return range(
            self.past.start if self.past else self.made.start, self.future.stop if self.future else self.made.stop
        )

    def truth(self, num_there: int) -> range:
        """Those of the made frames that a video of so many frames has; none where nothing was given."""
        if not self.past and not self.future:
            return range(0)
        start = max(self.made.start, 0)
        return range(start, max(start, min(self.made.stop, num_there)))


def selection_of(task: Task, block: FrameBlock, marked: range, length: int, num_there: int) -> Selection:
    """The meaning of a marked stretch.

    Args:
        task: "predict": the stretch is given and what follows is made; "backward": it is given and what came before
            is made; "interpolate": it is made anew; "generate": nothing is marked.
        block: of the model: it sees no more given frames than it has slots for, the nearest ones.
        marked: the stretch.
        length: how many frames to make; for "interpolate" the stretch itself says it.
        num_there: frames of the video.

    Raises:
        ValueError: the stretch is empty or outside of the video, or a gap has nothing on one side.

    Example:
        >>> selection_of("predict", FrameBlock(2, 5), range(3, 8), 4, num_there=20)
        Marks(past=range(6, 8), made=range(8, 12), future=range(0, 0))
    """
    nothing = range(0)
    if task == "generate":
        return Selection(nothing, range(length), nothing)
    if not num_there:
        raise ValueError("drop a video first, or let the model generate one from nothing")
    if not 0 <= marked.start < marked.stop <= num_there:
        raise ValueError(f"mark frames between 0 and {num_there - 1} on the film strip")
    if task == "predict":
        past = range(max(marked.start, marked.stop - block.past), marked.stop)
        return Selection(past, range(marked.stop, marked.stop + length), nothing)
    if task == "backward":
        future = range(marked.start, min(marked.stop, marked.start + block.future))
        return Selection(nothing, range(marked.start - length, marked.start), future)
    past = range(max(0, marked.start - block.past), marked.start)
    future = range(marked.stop, min(num_there, marked.stop + block.future))
    if not past or not future:
        raise ValueError("the gap needs frames on both sides: mark it inside the video, or choose another task")
    return Selection(past, marked, future)


def first_marked(task: Task, block: FrameBlock, num_there: int) -> range:
    """What is marked when a video or a task is new: some truth to compare with is left."""
    if task == "predict":
        stop = max(min(block.past, num_there), num_there // 3)
        return range(max(0, stop - block.past), stop)
    if task == "backward":
        start = min(max(0, num_there - block.future), 2 * num_there // 3)
        return range(start, min(num_there, start + block.future))
    if task == "interpolate":
        start = max(min(1, num_there), (num_there - block.current) // 2)
        return range(start, max(start, min(start + block.current, num_there - 1)))
    return range(0)
