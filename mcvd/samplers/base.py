"""What all samplers share: the call, the times, and the exact noisy step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule, Coefficients, noise_from_clean
from mcvd.samplers.spacing import AbstractSpacing

Denoise = Callable[[Tensor, Tensor], Tensor]
"""``denoise(noisy, t) -> clean estimate``, (B, ...) and (B,) to (B, ...): all that a sampler ever sees.

It may have a method ``clip(clean) -> clean`` that makes of a clean estimate what can be clean; without one, that is
between -1 and 1. See `clipped`.
"""

Draw = Callable[[Tensor], Tensor]
"""``draw(x)`` returns fresh standard normal noise of x's shape."""


class AbstractSampler(ABC):
    """Turns noise into a sample by asking ``denoise(noisy, t)`` for the clean estimate, a number of times.

    A sampler knows nothing of video, networks or conditions; it works on tensors of any shape (B, ...). ``order`` says
    how fast the error falls: like ``num_calls ** -order``, once there are enough of them; 0 where something else bounds
    it. That is the error of the state down to the last noise, also with the sampler's default spacing. The last step,
    from there to no noise, is one clean estimate for all samplers: it leaves what this estimate is off by, 0.001 (an
    eighth of a grey level) for Gaussian data after ``LogSNR(sigma_min=0.03)``, where it does not fall with the calls,
    and after `Uniform`, whose last noise gets less with the calls, it makes the whole of first order.
    """

    clip: bool
    order: int

    @property
    @abstractmethod
    def num_calls(self) -> int:
        """How often it will call ``denoise``; for adaptive samplers, at most."""

    @property
    def label(self) -> str:
        """What pages and cards call it."""
        return type(self).__name__

    def times(self, schedule: AbstractNoiseSchedule) -> Tensor | None:
        """All times at which it may call ``denoise``, float64 (T,) on the CPU, in any order; or None, not to tell.

        A sampler that tells saves the network a little work in each call (`Denoiser.modulation`).
        """
        return None

    @abstractmethod
    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """Sample.

        Args:
            denoise: called with noisy (B, ...) and t (B,) in noise's dtype; returns the unclipped clean estimate.
            noise: float (B, ...), the state at t = 1: standard normal times sigma(1).
            schedule: the one that the denoiser was trained with.
            draw: ``draw(x)`` returns fresh standard normal noise of x's shape; replay it to replay the sample.

        Returns:
            float (B, ...), the state at t = 0.
        """

    def clean(self, denoise: Denoise, x: Tensor, t: Tensor) -> Tensor:
        """The clean estimate at a time of shape () or (B,), clipped if this sampler clips."""
        clean = denoise(x, t.expand(x.shape[0]))
        return clipped(clean, denoise) if self.clip else clean

    def estimate(self, denoise: Denoise, x: Tensor, t: Tensor, at: Coefficients) -> tuple[Tensor, Tensor]:
        """The (clean, noise) estimates at t, of shape (): the noise follows the unclipped clean one, as published."""
        clean = denoise(x, t.expand(x.shape[0]))
        noise = noise_from_clean(x, clean, at)
        return (clipped(clean, denoise) if self.clip else clean), noise


class AbstractGridSampler(AbstractSampler):
    """A sampler that walks down a grid of times, all known beforehand, with at least one call of the network a step.

    A subclass has ``num_steps`` and ``spacing`` as fields and writes ``_walk``; one that calls the network more than
    once a step, or at other times than the grid's, says so in ``num_extra_calls`` and `call_times`.
    """

    num_steps: int
    spacing: AbstractSpacing

    @property
    def num_calls(self) -> int:
        """One a step, and the extra ones."""
        return self.num_steps + self.num_extra_calls

    def times(self, schedule: AbstractNoiseSchedule) -> Tensor:
        """Those of the grid that `call_times` takes, or others."""
        return self.call_times(self.spacing(self.num_steps, schedule), schedule)

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`; ValueError if there are no steps."""
        return self._walk(denoise, noise, TimeGrid(self.num_steps, self.spacing, schedule, noise), draw)

    @abstractmethod
    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        """Hook: from the state x at the first time to the one at t = 0."""

    @property
    def num_extra_calls(self) -> int:
        """Hook: how many calls are more than one a step."""
        return 0

    def call_times(self, grid: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
        """Hook: the times of the calls, of those of the grid (num_steps + 1,), which ends at 0."""
        return grid[:-1]


class TimeGrid:
    """The times of a sampling run, from noise to 0, with their coefficients, all computed before the first step.

    ``t`` (num_steps + 1,) has dtype and device of the state x. ``alpha`` and ``sigma`` stay on the CPU in float64: as
    factors of shape () they keep the state's dtype, and nothing in the loop waits for the device.
    """

    def __init__(self, num_steps: int, spacing: AbstractSpacing, schedule: AbstractNoiseSchedule, x: Tensor):
        if num_steps < 1:
            raise ValueError(f"num_steps must be at least 1, got {num_steps}")
        times = spacing(num_steps, schedule)
        coefficients = schedule(times)
        # Filled in one by one: a GPU that is sent numbers makes the host wait, and cannot record that for a replay.
        self.schedule, self.t = schedule, torch.stack([x.new_full((), time) for time in times.tolist()])
        self.alpha, self.sigma = coefficients.alpha, coefficients.sigma

    def at(self, i: int) -> Coefficients:
        """Coefficients at time i, of shape ()."""
        return Coefficients(self.alpha[i], self.sigma[i])

    @property
    def half_log_snrs(self) -> Tensor:
        """``log(alpha / sigma)`` at all times, float64; infinite at t = 0, finite even where no signal is left."""
        return self.alpha.clamp(min=1e-16).log() - self.sigma.log()


def clipped(clean: Tensor, denoise: Denoise) -> Tensor:
    """A clean estimate within the bounds of what can be clean: [-1, 1], or what the denoiser says."""
    own = getattr(denoise, "clip", None)
    return clean.clamp(-1, 1) if own is None else own(clean)


def added_sigma(noisier: Coefficients, cleaner: Coefficients) -> Tensor:
    """Standard deviation of the noise that forward diffusion adds between two times."""
    kept = noisier.alpha / cleaner.alpha * cleaner.sigma
    return (noisier.sigma**2 - kept**2).clamp(min=0).sqrt()


def posterior(noisier: Coefficients, cleaner: Coefficients) -> tuple[Tensor, Tensor, Tensor]:
    """The cleaner state given the noisier one and the clean video (DDPM, eq. 6 and 7, in alpha and sigma).

    It is also the exact solution of the reverse diffusion while the clean estimate stays the same.

    Returns:
        (a, b, sigma): the cleaner state is normal around ``a * clean + b * noisier`` with that standard deviation.
    """
    added, lower = added_sigma(noisier, cleaner), cleaner.sigma / noisier.sigma
    of_clean = cleaner.alpha * (added / noisier.sigma) ** 2
    return of_clean, noisier.alpha / cleaner.alpha * lower**2, added * lower
