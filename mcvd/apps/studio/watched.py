"""A sampler that can be watched and stopped while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers import AbstractSampler
from mcvd.samplers.base import Denoise, Draw


class Cancelled(Exception):
    """Raised by ``before_call`` to stop: nobody waits for the result any more."""


@dataclass(frozen=True)
class WatchedSampler(AbstractSampler):
    """Samples as another sampler does.

    Args:
        sampler: the other one.
        before_call: called before each call of the network; what it raises ends the sampling.
    """

    sampler: AbstractSampler
    before_call: Callable[[], None]

    @property
    def clip(self) -> bool:  # type: ignore[override]
        """The other's."""
        return self.sampler.clip

    @property
    def order(self) -> int:  # type: ignore[override]
        """The other's."""
        return self.sampler.order

    @property
    def num_calls(self) -> int:
        """The other's."""
        return self.sampler.num_calls

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`."""

        def watched(noisy: Tensor, t: Tensor) -> Tensor:
            self.before_call()
            return denoise(noisy, t)

        return self.sampler(watched, noise, schedule, draw)
