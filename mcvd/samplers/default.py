"""What samples where nobody chose."""

from __future__ import annotations

from dataclasses import replace

from mcvd.samplers.base import AbstractSampler
from mcvd.samplers.sa_solver import SASolver
from mcvd.samplers.unipc import UniPC

# Chosen by measurement: docs/choosing-a-sampler.md
_GIVEN_FRAMES = SASolver(num_steps=20)
_FROM_NOTHING = UniPC(num_steps=10)


def default_sampler(from_nothing: bool = False, num_steps: int | None = None) -> AbstractSampler:
    """The sampler of a task.

    Args:
        from_nothing: whether no frame is given.
        num_steps: another number of network calls for each block.

    Example:
        >>> default_sampler().num_calls, default_sampler(num_steps=8).num_calls
        (20, 8)
    """
    sampler = _FROM_NOTHING if from_nothing else _GIVEN_FRAMES
    return sampler if num_steps is None else replace(sampler, num_steps=num_steps)
