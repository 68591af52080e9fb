"""What a visitor can ask for: the tasks of `mcvd.diffusion.tasks`, and those that upsample a whole stretch of video."""

from __future__ import annotations

from dataclasses import dataclass

from mcvd.apps.studio.clip import Reading
from mcvd.diffusion.tasks import GENERATE, INTERPOLATE, TASKS, Task
from mcvd.models.video_model import VideoModel


@dataclass(frozen=True)
class UpsamplingTask:
    """A stretch of video is given, all of it, and comes back with more or with larger frames.

    Args:
        name: as the page calls it.
        title: for people.
        sampled_as: the task whose sampler it takes.
        num_given: frames that a stretch needs at least.
    """

    name: str
    title: str
    sampled_as: Task
    num_given: int

    def marked(self, stretch: range, num_frames: int) -> range:
        """The stretch itself.

        Raises:
            ValueError: it is outside of a video of so many frames, or too short.
        """
        if not num_frames:
            raise ValueError("click an example or drop a video first")
        if not 0 <= stretch.start < stretch.stop <= num_frames:
            raise ValueError(f"mark frames between 0 and {num_frames - 1} on the film strip")
        if len(stretch) < self.num_given:
            raise ValueError(f"mark at least {self.num_given} frames: new ones come between them")
        return stretch


UPSAMPLE = UpsamplingTask("upsample", "more frames a second", INTERPOLATE, 2)
ENLARGE = UpsamplingTask("enlarge", "larger frames", GENERATE, 1)
UPSAMPLING = {task.name: task for task in (UPSAMPLE, ENLARGE)}

STUDIO_TASKS: dict[str, Task | UpsamplingTask] = {**TASKS, **UPSAMPLING}
_FIRST_MARKED = 12  # frames of a stretch to be upsampled: some seconds of work


def possible_tasks(model: VideoModel) -> list[Task | UpsamplingTask]:
    """Those that a model can do."""
    refusals = model.facts().tasks
    can = {name: refusal is None for name, refusal in refusals.items()}
    can |= {
        UPSAMPLE.name: can[INTERPOLATE.name] and model.takes_single_frames,
        ENLARGE.name: model.low_size is not None,
    }
    return [task for name, task in STUDIO_TASKS.items() if can[name]]


def sampled_as(task: Task | UpsamplingTask) -> Task:
    """The task whose sampler it takes."""
    return task.sampled_as if isinstance(task, UpsamplingTask) else task


def reading_for(task: Task | UpsamplingTask, model: VideoModel) -> Reading:
    """How a video is read for a task: `mcvd upsample` takes every frame, and small ones to make them larger."""
    return Reading(task in UPSAMPLING.values(), model.low_size if task is ENLARGE else None)


def first_stretch(num_frames: int) -> range:
    """What is marked for upsampling when a video or a task is new: some frames in the middle."""
    start = max(0, (num_frames - _FIRST_MARKED) // 2)
    return range(start, min(num_frames, start + _FIRST_MARKED))
