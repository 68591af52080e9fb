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
_MOST_DIGITS = 9  # of a number of steps


def takes_steps(name: str) -> bool:
    """Whether the number of steps can be chosen; the others find it themselves."""
    return has_steps(getattr(samplers, name))


def has_steps(sampler: AbstractSampler | type[AbstractSampler]) -> bool:
    """Whether a sampler, or all of its kind, has a number of steps to choose."""
    return "num_steps" in {field.name for field in fields(sampler)}  # type: ignore[arg-type]


def split_steps(name: str, num_steps: int | None = None) -> tuple[str, int | None]:
    """A name and the number of steps, which may stand behind it: ``UniPC:6``.

    Raises:
        ValueError: what stands there is no number of steps, or another one is asked for beside it.

    Examples:
        >>> split_steps("UniPC:6"), split_steps("UniPC", 6)
        (('UniPC', 6), ('UniPC', 6))
    """
    plain, colon, count = name.partition(":")
    if not colon:
        return name, num_steps
    is_number = count.isascii() and count.isdigit() and len(count) <= _MOST_DIGITS and int(count) > 0
    if not (plain and is_number):
        raise ValueError(f"sampler {name[:80]}: a name, a colon and the number of steps are wanted, as in UniPC:6")
    if num_steps not in (None, int(count)):
        raise ValueError(f"sampler {name} with {num_steps} steps: say only once how many")
    return plain, int(count)


def short_name(sampler: AbstractSampler) -> str:
    """How a person asks for it on the command line, as far as its kind and number of steps go: ``UniPC:6``.

    Examples:
        >>> from mcvd.samplers import AdaptiveSDE, UniPC
        >>> short_name(UniPC(6)), short_name(AdaptiveSDE())
        ('UniPC:6', 'AdaptiveSDE')
    """
    if not has_steps(sampler):
        return sampler.label
    return f"{sampler.label}:{sampler.num_steps}"  # type: ignore[attr-defined]


def sampler_by_name(name: str, num_steps: int | None = None) -> AbstractSampler:
    """The sampler of `mcvd.samplers` whose class has this name, with its own default if there is no ``num_steps``.

    Upper and lower case, ``-`` and ``_`` do not count. ``diffusers.NAME`` is `mcvd.samplers.Diffusers` with that
    scheduler, whose name is taken as it is. The number of steps may stand behind a name: ``UniPC:6``.

    Raises:
        ValueError: there is none of this name, it chooses its steps itself, or they are told twice.
        ImportError: it is one of diffusers, which is not installed.

    Examples:
        >>> sampler_by_name("DDPM", 5).num_steps, sampler_by_name("ddpm:5").num_steps
        (5, 5)
    """
    name, num_steps = split_steps(name, num_steps)
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
    if not has_steps(sampler):
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
