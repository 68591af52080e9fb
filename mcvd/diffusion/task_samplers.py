"""The samplers that belong to a model: which one, with how many network calls, does each of its tasks best."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mcvd.diffusion.tasks import Task
from mcvd.samplers import AbstractSampler
from mcvd.samplers.select import default_sampler, with_steps

MAX_CALLS = 10_000  # a model may come from anybody: what it brings ends


@dataclass(frozen=True)
class TaskSamplers:
    """A sampler for each task, or None, for which that of `mcvd.samplers.select.default_sampler` stands in.

    The best sampler is a property of a model: `mcvd tune-sampler` measures it, and `mcvd distill` trains for one.

    Args:
        predict: for prediction.
        backward: for prediction of what came before.
        interpolate: for the frames of a gap.
        generate: where nothing is given.

    Raises:
        ValueError: one calls the network never, or more than `MAX_CALLS` times for a block.

    Examples:
        >>> from mcvd.diffusion.tasks import INTERPOLATE, PREDICT
        >>> from mcvd.samplers import UniPC
        >>> samplers = TaskSamplers(predict=UniPC(num_steps=8))
        >>> samplers.of(PREDICT).num_calls, samplers.of(INTERPOLATE).num_calls, samplers.of(PREDICT, 4).num_calls
        (8, 20, 4)
    """

    predict: AbstractSampler | None = None
    backward: AbstractSampler | None = None
    interpolate: AbstractSampler | None = None
    generate: AbstractSampler | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            sampler = getattr(self, field.name)
            if sampler is not None and not isinstance(sampler, AbstractSampler):
                raise ValueError(
                    f"the sampler for {field.name} must be one of mcvd.samplers, such as mcvd.samplers.UniPC(), got "
                    f"{sampler!r}"
                )
            if sampler is not None and not 1 <= sampler.num_calls <= MAX_CALLS:
                raise ValueError(
                    f"the sampler for {field.name} calls the network {sampler.num_calls} times for a block: "
                    f"expected 1 to {MAX_CALLS}"
                )

    def own(self, task: Task) -> AbstractSampler | None:
        """The one of the model alone."""
        found: AbstractSampler | None = getattr(self, task.name)
        return found

    def of(self, task: Task, num_steps: int | None = None) -> AbstractSampler:
        """The sampler of a task, if wanted with another number of steps.

        Raises:
            ValueError: it chooses its steps itself.
        """
        own = self.own(task)
        if own is None:
            return default_sampler(not task.has_context, num_steps)
        return own if num_steps is None else with_steps(own, num_steps)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(getattr(self, field.name) is not None for field in fields(self))
