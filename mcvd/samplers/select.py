"""A sampler from its name and its number of steps, as a person chooses one."""

from __future__ import annotations

from dataclasses import fields, replace
from inspect import isabstract

from mcvd import samplers
from mcvd.samplers.base import AbstractSampler
from mcvd.samplers.sa_solver import SASolver
from mcvd.samplers.unipc import UniPC


def sampler_names() -> list[str]:
    """Names of all samplers, in alphabetical order."""
    return sorted(name for name in samplers.__all__ if not isabstract(getattr(samplers, name)))


def takes_steps(name: str) -> bool:
    """Whether the number of steps can be chosen; the others find it themselves."""
    return "num_steps" in {field.name for field in fields(getattr(samplers, name))}


def sampler_by_name(name: str, num_steps: int | None = None) -> AbstractSampler:
    """The sampler of `mcvd.samplers` whose class has this name, with its own default if there is no ``num_steps``.

    Raises:
        ValueError: there is none of this name, or it chooses its steps itself.

    Examples:
        >>> sampler_by_name("DDPM", 5).num_steps
        5
    """
    if name not in sampler_names():
        raise ValueError(f"there is no sampler {name}; there are {', '.join(sampler_names())}")
    kind = getattr(samplers, name)
    if num_steps is None:
        return kind()
    if not takes_steps(name):
        raise ValueError(f"{name} chooses its steps itself: leave their number (--steps) out")
    return kind(num_steps=num_steps)


# Chosen by measurement: docs/choosing-a-sampler.md
_GIVEN_FRAMES = SASolver(num_steps=20)
_FROM_NOTHING = UniPC(num_steps=10)


def default_sampler(from_nothing: bool = False, num_steps: int | None = None) -> AbstractSampler:
    """The sampler for given frames or ``from_nothing``, if wanted with another number of network calls for each block.

    Examples:
        >>> default_sampler().num_calls, default_sampler(num_steps=8).num_calls
        (20, 8)
    """
    sampler = _FROM_NOTHING if from_nothing else _GIVEN_FRAMES
    return sampler if num_steps is None else replace(sampler, num_steps=num_steps)
