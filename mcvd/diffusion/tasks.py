"""The four tasks of one model: what is given, what they are called, and why a model may be unable to do one."""

from __future__ import annotations

from dataclasses import dataclass

from mcvd.diffusion.masking import Masking
from mcvd.diffusion.plan import contexts
from mcvd.frames import FrameBlock
from mcvd.runtime.suggest import did_you_mean


@dataclass(frozen=True)
class Task:
    """Which frames are given as context; all other frames of a video are generated.

    Args:
        name: as commands and result cards call it.
        title: for people.
        gives_past: whether the frames before the generated ones are given.
        gives_future: whether those after them are.
        baselines: of `mcvd.evaluation.baselines`, what a model has to beat.
    """

    name: str
    title: str
    gives_past: bool
    gives_future: bool
    baselines: tuple[str, ...] = ()

    @property
    def has_context(self) -> bool:
        """Whether any frame is given; without one, no generated frame has a ground truth."""
        return self.gives_past or self.gives_future

    def context_length(self, block: FrameBlock) -> tuple[int, int]:
        """How many past and future frames are given to a model of this block: as many as it has slots for.

        Examples:
            >>> PREDICT.context_length(FrameBlock(past=2, current=5, future=3))
            (2, 0)
        """
        return block.past * self.gives_past, block.future * self.gives_future

    def refusal(
        self,
        block: FrameBlock,
        masking: Masking,
        num_past: int | None = None,
        num_future: int | None = None,
        num_frames: int | None = None,
        overlap: int | None = None,
    ) -> str | None:
        """Why a model cannot do this, or None if it can; found without any work.

        Args:
            block: of the model.
            masking: that it was trained with.
            num_past: given frames before; None is as many as the block has slots for, but one at least.
            num_future: given frames after, likewise.
            num_frames: to be generated; None is one block.
            overlap: see `mcvd.diffusion.plan.plan`.

        Returns:
            The block has no slot for a given side, or a window of the plan needs masks that training never drew.

        Raises:
            ValueError: no model could: ``num_frames`` or ``overlap`` is out of range.

        Examples:
            >>> GENERATE.refusal(FrameBlock(2, 5), Masking(p_past=0.5)) is None
            True
        """
        num_past = max(1, block.past) * self.gives_past if num_past is None else num_past
        num_future = max(1, block.future) * self.gives_future if num_future is None else num_future
        if num_future and not block.future:
            return (
                f"this model has no future slot ({block}): it cannot look at frames after a gap; "
                "train one with block.future > 0"
            )
        if num_past and not block.past:
            return f"this model has no past slot ({block}): train one with block.past > 0"
        num_frames = block.current if num_frames is None else num_frames
        for num_before, num_after in contexts(block, num_past, num_future, num_frames, overlap):
            sides = {"past": (num_before, block.past), "future": (num_after, block.future)}
            shown = {name: bool(given) if slots else None for name, (given, slots) in sides.items()}
            if not masking.allows(shown["past"], shown["future"]):
                words = [f"the {name} {'shown' if is_shown else 'hidden'}" for name, is_shown in shown.items()]
                return f"this needs {' and '.join(words)}, which {masking} never drew: train with other masks"
            for name, (given, slots) in sides.items():
                part_is_known = max(masking.p_partial, masking.p_any) > 0 or masking.allows(
                    *(False if side == name else None for side in sides)
                )
                if 0 < given < slots and not part_is_known:
                    return f"this model needs {slots} {name} frames, got {given}, and was never trained without"
        return None


PREDICT = Task("predict", "prediction", True, False, ("copy_last", "extrapolate"))
BACKWARD = Task("backward", "backward prediction", False, True, ("copy_first", "extrapolate"))
INTERPOLATE = Task("interpolate", "interpolation", True, True, ("copy_last", "blend"))
GENERATE = Task("generate", "generation from nothing", False, False)

TASKS = {task.name: task for task in (PREDICT, BACKWARD, INTERPOLATE, GENERATE)}


def task_by_name(name: str) -> Task:
    """The task that commands and result cards call so.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    if name not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {name!r}{did_you_mean(name, TASKS)}")
    return TASKS[name]


def task_of(num_past: int, num_future: int) -> Task:
    """The task that so many given frames make.

    Examples:
        >>> task_of(2, 0).name
        'predict'
    """
    (task,) = (
        task for task in TASKS.values() if (task.gives_past, task.gives_future) == (num_past > 0, num_future > 0)
    )
    return task
