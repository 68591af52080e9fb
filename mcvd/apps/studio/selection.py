"""What a stretch marked on a film strip means: which frames are given, and which are generated."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from mcvd.diffusion.tasks import Task
from mcvd.frames import FrameBlock


@dataclass(frozen=True)
class Selection:
    """Half-open ranges of frame numbers of a video; those to be generated may lie beyond its ends.

    Args:
        past: context before the generated frames.
        generated: frames to be generated.
        future: context after them.
        keyframes: numbers of frames among the generated ones that are given too.
    """

    past: range
    generated: range
    future: range
    keyframes: tuple[int, ...] = ()

    @property
    def context(self) -> list[int]:
        """The given frames, before and after."""
        return [*self.past, *self.future]

    @property
    def given(self) -> list[int]:
        """All given frames: the context, and the keyframes."""
        return sorted([*self.context, *self.keyframes])

    @property
    def shown(self) -> range:
        """All of them: what the result consists of."""
        start = self.past.start if self.past else self.generated.start
        return range(start, self.future.stop if self.future else self.generated.stop)

    def target(self, num_frames: int) -> range:
        """Those of the generated frames that a video of so many frames has; none where nothing was given."""
        if not self.context:
            return range(0)
        start = max(self.generated.start, 0)
        return range(start, max(start, min(self.generated.stop, num_frames)))


def selection_of(task: Task, block: FrameBlock, marked: range, length: int, num_frames: int) -> Selection:
    """The meaning of a marked stretch.

    Args:
        task: prediction: the stretch is given and what follows is generated; backward: it is given and what came before
            is generated; interpolation: it is generated anew; from nothing: nothing is marked.
        block: of the model: it sees no more given frames than it has slots for, the nearest ones.
        marked: the stretch.
        length: how many frames to generate; for interpolation the stretch itself says it.
        num_frames: of the video.

    Raises:
        ValueError: the stretch is empty or outside of the video, or a gap has nothing on one side.

    Examples:
        >>> selection_of(PREDICT, FrameBlock(2, 5), range(3, 8), 4, num_frames=20)
        Selection(past=range(6, 8), generated=range(8, 12), future=range(0, 0))
    """
    nothing = range(0)
    if not task.has_context:
        return Selection(nothing, range(length), nothing)
    if not num_frames:
        raise ValueError("click an example or drop a video first, or let the model generate one from nothing")
    if not 0 <= marked.start < marked.stop <= num_frames:
        raise ValueError(f"mark frames between 0 and {num_frames - 1} on the film strip")
    if not task.gives_future:
        past = range(max(marked.start, marked.stop - block.past), marked.stop)
        return Selection(past, range(marked.stop, marked.stop + length), nothing)
    if not task.gives_past:
        future = range(marked.start, min(marked.stop, marked.start + block.future))
        return Selection(nothing, range(marked.start - length, marked.start), future)
    past = range(max(0, marked.start - block.past), marked.start)
    future = range(marked.stop, min(num_frames, marked.stop + block.future))
    if not past or not future:
        raise ValueError("the gap needs frames on both sides: mark it inside the video, or choose another task")
    return Selection(past, marked, future)


def with_keyframes(selection: Selection, numbers: Collection[int], num_frames: int) -> Selection:
    """The selection with those frames given that are to be generated and that a video of so many frames has.

    Examples:
        >>> with_keyframes(Selection(range(2), range(2, 6), range(0)), [1, 3, 5, 8], num_frames=5).given
        [0, 1, 3]
    """
    return replace(selection, keyframes=tuple(sorted({*numbers} & {*selection.target(num_frames)})))


def first_marked(task: Task, block: FrameBlock, num_frames: int) -> range:
    """What is marked when a video or a task is new: some ground truth to compare with is left."""
    if not task.has_context:
        return range(0)
    if not task.gives_future:
        stop = max(min(block.past, num_frames), num_frames // 3)
        return range(max(0, stop - block.past), stop)
    if not task.gives_past:
        start = min(max(0, num_frames - block.future), 2 * num_frames // 3)
        return range(start, min(num_frames, start + block.future))
    start = max(min(1, num_frames), (num_frames - block.current) // 2)
    return range(start, max(start, min(start + block.current, num_frames - 1)))
