"""A sampler from its name and its number of steps, as a person chooses one."""

from __future__ import annotations

from dataclasses import fields, replace
from difflib import get_close_matches
from inspect import isabstract

from mcvd import samplers
from mcvd.samplers.base import AbstractSampler
from mcvd.samplers.diffusers_scheduler import Diffusers
from mcvd.samplers.sa_solver import SASolver
from mcvd.samplers.unipc import UniPC


def sampler_names() -> list[str]:
    """Names of all samplers, in alphabetical order."""
    found = ((name, getattr(samplers, name)) for name in samplers.__all__)
    return sorted(name for name, cls in found if issubclass(cls, AbstractSampler) and not isabstract(cls))


FROM_DIFFUSERS = "diffusers."
"""What a name begins with that is a scheduler's of diffusers, such as ``diffusers.EulerDiscreteScheduler``."""


def takes_steps(name: str) -> bool:
    """Whether the number of steps can be chosen; the others find it themselves."""
    return "num_steps" in {field.name for field in fields(getattr(samplers, name))}


def sampler_by_name(name: str, num_steps: int | None = None) -> AbstractSampler:
    """The sampler of `mcvd.samplers` whose class has this name, with its own default if there is no ``num_steps``.

    Upper and lower case, ``-`` and ``_`` do not count. ``diffusers.NAME`` is `mcvd.samplers.Diffusers` with that
    scheduler, whose name is taken as it is.

    Raises:
        ValueError: there is none of this name, or it chooses its steps itself.
        ImportError: it is one of diffusers, which is not installed.

    Examples:
        >>> sampler_by_name("DDPM", 5).num_steps
        5
    """
    if name.startswith(FROM_DIFFUSERS):
        scheduler = name.removeprefix(FROM_DIFFUSERS)
        return Diffusers(scheduler) if num_steps is None else Diffusers(scheduler, num_steps)
    known = {each.lower(): each for each in sampler_names()}
    if name.endswith("Scheduler"):
        raise ValueError(f"there is no sampler {name}; did you mean {FROM_DIFFUSERS}{name}?")
    if (plain := name.replace("-", "").replace("_", "").lower()) not in known:
        near = [_ELSEWHERE[plain]] if plain in _ELSEWHERE else [known[each] for each in get_close_matches(plain, known)]
        guess = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known.values())}"
        raise ValueError(f"there is no sampler {name}; {guess}")
    name = known[plain]
    sampler = getattr(samplers, name)()
    return sampler if num_steps is None else with_steps(sampler, num_steps)


def with_steps(sampler: AbstractSampler, num_steps: int) -> AbstractSampler:
    """The sampler with another number of steps.

    Raises:
        ValueError: it chooses its steps itself.
    """
    if "num_steps" not in {field.name for field in fields(sampler)}:  # type: ignore[arg-type]
        name = type(sampler).__name__
        raise ValueError(f"{name} chooses its steps itself: leave their number (steps) out")
    return replace(sampler, num_steps=num_steps)  # type: ignore[type-var]


# What other programs call it, in lower case without - and _.
_ELSEWHERE = {
    "dpm++": "DPMSolverPP",
    "dpmpp": "DPMSolverPP",
    "dpmpp2m": "DPMSolverPP",
    "dpmsolver": "DPMSolverPP",
    "dpmsolver++": "DPMSolverPP",
    "dpmppsde": "SDEDPMSolverPP",
    "fpndm": "PNDM",
    "plms": "PNDM",
    "edm": "Heun",
    "euler": "DDIM",
    "langevin": "AnnealedLangevin",
    "cas": "ConsistentAnnealedLangevin",
    "consistentannealedsampling": "ConsistentAnnealedLangevin",
    "pc": "PredictorCorrector",
    "ancestral": "DDPM",
}

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
