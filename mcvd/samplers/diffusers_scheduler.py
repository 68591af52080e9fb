"""The schedulers of the package diffusers as samplers: an adapter, for comparison with other work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mcvd.noise import AbstractNoiseSchedule, Coefficients, LinearBeta, noise_from_clean
from mcvd.samplers.base import AbstractSampler, Denoise, Draw

Option = bool | int | float | str | None

MAX_BETA = 0.999  # of a step, as diffusers bounds its own: a schedule that ends without signal has one of 1
MIN_BETA = 1e-6  # their tables are float32, and some take the logarithm of the first noise
TRAILING = "trailing"  # a spacing that starts from pure noise; the others of diffusers do not
_MAX_NUMBER = 10_000  # of an option; a config may come from anybody
_NEEDS = {"trained_betas", "prediction_type"}  # what a scheduler must take to be told our noise and our estimates
_OURS = {*_NEEDS, "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "clip_sample"}
_PREDICT_NOISE = {  # these take no clean estimate
    "EulerAncestralDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "PNDMScheduler",
}


@dataclass(frozen=True)
class Diffusers(AbstractSampler):
    """Runs a scheduler of diffusers, told the noise of the model's own schedule; ``pip install "mcvd[diffusers]"``.

    Args:
        scheduler: name of its class, such as ``"EulerDiscreteScheduler"``: one that is made for a network of discrete
            times and takes ``trained_betas``. Those for flow matching, tokens and inversion are refused.
        num_steps: of the scheduler; those with two calls a step call the network about twice as often.
        clip: clip clean estimates to [-1, 1].
        options: arguments of its constructor, such as ``{"use_karras_sigmas": True}``. Where there is a
            ``timestep_spacing`` it is "trailing" if nothing else is said, which starts from pure noise as
            `mcvd.samplers.Uniform` does; the others are those of diffusers.

    The scheduler counts in the times of the training, so there are at most as many steps as the schedule has, and it
    computes its tables in float32. All schedules serve: it is told the signal-to-noise ratio of each time, and the
    network gets its state at the schedule's own size. Fresh noise comes from ``draw`` alone. ``order`` is 0, because
    the times of the training bound the error, and some schedulers stop before all noise is gone.

    Raises:
        ImportError: diffusers is not installed; says how to.
        ValueError: there is no such scheduler, or it cannot be told the noise, or has no such option.

    Examples:
        >>> Diffusers("UniPCMultistepScheduler", num_steps=10).num_calls
        10
    """

    scheduler: str = "DPMSolverMultistepScheduler"
    num_steps: int = 20
    clip: bool = True
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    order = 0

    def __post_init__(self) -> None:
        accepted = _accepted(_class_of(self.scheduler))
        for name, value in self.options.items():
            if name in _OURS & accepted.keys():
                raise ValueError(f"{self.scheduler}: {name} follows from the model, leave it out of options")
            if name not in accepted:
                raise ValueError(f"{self.scheduler} has no option {name}{_meant(name, accepted.keys() - _OURS)}")
            if isinstance(value, int | float) and _MAX_NUMBER < abs(value) < float("inf"):
                raise ValueError(f"{self.scheduler}: {name} must be at most {_MAX_NUMBER}, got {value}")
        if self.num_steps >= 1:
            _ = self.num_calls

    @classmethod
    def of(cls, scheduler: Any, num_steps: int = 20, clip: bool = True) -> Diffusers:
        """The sampler that a scheduler object is: its class, and those of its options that are not the defaults.

        Args:
            scheduler: such as ``pipe.scheduler``. What it says of noise is left out: that is the model's.
            num_steps: see the class.
            clip: see the class.
        """
        name = type(scheduler).__name__
        defaults = {each: parameter.default for each, parameter in _accepted(_class_of(name)).items()}
        told = {each: scheduler.config[each] for each in defaults if each not in _OURS}
        if "timestep_spacing" in defaults:
            defaults["timestep_spacing"] = TRAILING
        return cls(name, num_steps, clip, {each: value for each, value in told.items() if value != defaults[each]})

    @property
    def label(self) -> str:
        """Its name in diffusers."""
        return f"diffusers.{self.scheduler}"

    @cached_property
    def num_calls(self) -> int:  # type: ignore[override]
        """One for each of the scheduler's timesteps."""
        return len(self._scheduler(LinearBeta(num_steps=max(1000, self.num_steps))).timesteps)

    def times(self, schedule: AbstractNoiseSchedule) -> Tensor:
        """Those of the scheduler's timesteps."""
        return _times(self._scheduler(schedule), schedule)

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`; ValueError if there are no steps, or more than the schedule has."""
        scheduler = self._scheduler(schedule)
        times = _times(scheduler, schedule)
        at, start = schedule(times), schedule(torch.ones((), dtype=torch.float64))
        # The scheduler's own state keeps the variance: ours divided by the root of alpha^2 + sigma^2.
        size = (at.alpha**2 + at.sigma**2).sqrt()
        x = noise / start.sigma * scheduler.init_noise_sigma
        for i, step in enumerate(scheduler.timesteps):
            state = scheduler.scale_model_input(x, step)
            estimate = self.clean(denoise, (size[i] * state).to(noise), times[i].to(noise))
            if self.scheduler in _PREDICT_NOISE:
                estimate = noise_from_clean(state, estimate, Coefficients(at.alpha[i] / size[i], at.sigma[i] / size[i]))
            with _Drawing(draw, noise):
                x = scheduler.step(estimate, step, x).prev_sample
        return x.to(noise)

    def _scheduler(self, schedule: AbstractNoiseSchedule) -> Any:
        """A new one, which holds the state of one run."""
        if not 1 <= self.num_steps <= schedule.num_steps:
            raise ValueError(
                f"num_steps must be 1 to {schedule.num_steps}, the times of training, got {self.num_steps}"
            )
        kind = _class_of(self.scheduler)
        accepted = _accepted(kind)
        told = {
            "num_train_timesteps": schedule.num_steps,
            "trained_betas": betas_of(schedule).numpy(),
            "prediction_type": "epsilon" if self.scheduler in _PREDICT_NOISE else "sample",
            "clip_sample": False,
            "timestep_spacing": TRAILING,
        }
        try:
            made = kind(**{name: value for name, value in told.items() if name in accepted} | dict(self.options))
            made.set_timesteps(self.num_steps)
        except Exception as error:  # of any type, for options that do not fit each other
            reason = " ".join(str(error).split())
            raise ValueError(f"{self.scheduler} with {self.num_steps} steps: {reason}") from error
        if made.timesteps[0] < made.timesteps[-1]:
            raise ValueError(f"{self.scheduler} goes from clean frames to noise: it is no sampler")
        return made


def betas_of(schedule: AbstractNoiseSchedule) -> Tensor:
    """The variances that each training step adds, float64 (N,), of the variance preserving twin of a schedule.

    That is the one with the same signal-to-noise ratios.

    Examples:
        >>> betas_of(LinearBeta())[[0, -1]].tolist()
        [0.0001, 0.02]
    """
    at = schedule(torch.arange(1, schedule.num_steps + 1, dtype=torch.float64) / schedule.num_steps)
    noise = at.sigma**2 / (at.alpha**2 + at.sigma**2)  # 1 - alpha-bar
    before = torch.cat([noise.new_zeros(1), noise[:-1]])
    return ((noise - before) / (1 - before)).clamp(MIN_BETA, MAX_BETA)


class _Drawing(TorchFunctionMode):
    """While it lasts, torch.randn gives the noise of ``draw``: a scheduler has no other door for it."""

    def __init__(self, draw: Draw, like: Tensor):
        super().__init__()
        self.draw, self.like = draw, like

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.randn:
            return func(*args, **(kwargs or {}))
        return self.draw(self.like).to((kwargs or {}).get("dtype") or self.like.dtype)


def _times(scheduler: Any, schedule: AbstractNoiseSchedule) -> Tensor:
    """Timestep k is the time (k + 1) / N, whole or not; float64."""
    return (scheduler.timesteps.double().clamp(min=0) + 1) / schedule.num_steps


def _class_of(name: str) -> Any:
    """A scheduler's class, if it can be told our noise."""
    try:
        import diffusers
    except ImportError as error:
        raise ImportError('samplers of diffusers need the package (pip install "mcvd[diffusers]")') from error
    names = [each for each in dir(diffusers) if each.endswith("Scheduler") and not each.startswith("Flax")]
    if name not in names:
        meant = _near(name, names) or f"; there are {len(names)}, such as EulerDiscreteScheduler and DDIMScheduler"
        raise ValueError(f"diffusers has no scheduler {name}{meant}")
    kind = getattr(diffusers, name)
    needed = [each.name for each in signature(kind.step).parameters.values() if each.default is Parameter.empty]
    if not _accepted(kind).keys() >= _NEEDS or needed != ["self", "model_output", "timestep", "sample"]:
        raise ValueError(
            f"diffusers.{name} cannot be told a network's own noise: take one that has trained_betas and "
            "prediction_type, such as EulerDiscreteScheduler"
        )
    return kind


def _accepted(kind: Any) -> dict[str, Parameter]:
    return {name: each for name, each in signature(kind.__init__).parameters.items() if name != "self"}


def _meant(name: str, known: Iterable[str]) -> str:
    return _near(name, known) or f"; there are {', '.join(sorted(known, key=str.lower))}"


def _near(name: str, known: Iterable[str]) -> str:
    lower = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), lower, 1)
    return f"; did you mean {lower[near[0]]}?" if near else ""
