"""A sampler from its name and its number of steps, as a person chooses one."""

from __future__ import annotations

from dataclasses import fields

from mcvd import samplers
from mcvd.samplers.base import AbstractSampler


def sampler_names() -> list[str]:
    """Names of all samplers, in alphabetical order."""
    return sorted(set(samplers.__all__) - {"AbstractSampler"})


def takes_steps(name: str) -> bool:
    """Whether the number of steps can be chosen; the others find it themselves."""
    return "num_steps" in {field.name for field in fields(getattr(samplers, name))}


def named_sampler(name: str, num_steps: int | None = None) -> AbstractSampler:
    """Make a sampler of `mcvd.samplers`.

    Args:
        name: of its class.
        num_steps: None is its own default.

    Raises:
        ValueError: there is none of this name, or it chooses its steps itself.

    Example:
        >>> named_sampler("DDPM", 5).num_steps
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
