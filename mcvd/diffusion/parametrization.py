"""What the output of the network means, and what follows from that: its target, its clean estimate, its weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from mcvd.noise import Coefficients, clean_from_noise, clean_from_velocity, velocity_from_clean

Prediction = Literal["eps", "x0", "v", "edm"]

SIGMA_DATA = 0.5  # typical standard deviation of video in [-1, 1] (EDM, table 1)


class AbstractParametrization(ABC):
    """A meaning of the network's output. All tensors are (B, ...), coefficients broadcast against them.

    ``sigma_data`` is the standard deviation of the clean frames for which the network's input is scaled to unit size;
    None leaves the input as it is where the schedule preserves variance. ``needs_signal`` says that the output
    determines the clean frames only where the noisy ones hold any signal.
    """

    sigma_data: float | None = None
    needs_signal = False

    @abstractmethod
    def target(self, clean: Tensor, noise: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        """What the network should answer for noisy frames, ``noisy = alpha * clean + sigma * noise``."""

    @abstractmethod
    def clean(self, output: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        """The clean frames that an output of the network means."""

    def min_snr_weight(self, at: Coefficients, max_snr: float) -> Tensor:
        """Weight of the squared error of the output: that of the clean frames, the signal-to-noise ratio but at most
        ``max_snr``, times how far they follow the output (Hang et al. 2023, arXiv 2303.09556)."""
        of_clean = (at.alpha / at.sigma).square().clamp(max=max_snr)
        # The clean frames are linear in output and noisy frames: how far they follow the output is what 1 and 0 give.
        follows = self.clean(torch.ones_like(at.sigma), torch.zeros_like(at.sigma), at)
        return of_clean * follows.square()


class _Noise(AbstractParametrization):
    """The noise (DDPM)."""

    needs_signal = True

    def target(self, clean: Tensor, noise: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        return noise

    def clean(self, output: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        return clean_from_noise(noisy, output, at)


class _Clean(AbstractParametrization):
    """The clean frames."""

    def target(self, clean: Tensor, noise: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        return clean

    def clean(self, output: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        return output


class _Velocity(AbstractParametrization):
    """The velocity, ``alpha * noise - sigma * clean`` (Salimans and Ho 2022, arXiv 2202.00512)."""

    def target(self, clean: Tensor, noise: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        return velocity_from_clean(clean, noise, at)

    def clean(self, output: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        return clean_from_velocity(noisy, output, at)


class _EDM(AbstractParametrization):
    """What is missing from the noisy frames, at unit size at every noise level (Karras et al. 2022, section 5)."""

    sigma_data = SIGMA_DATA

    def target(self, clean: Tensor, noise: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        skip, out = self._coefficients(at)
        return (clean - skip * noisy) / out

    def clean(self, output: Tensor, noisy: Tensor, at: Coefficients) -> Tensor:
        skip, out = self._coefficients(at)
        return skip * noisy + out * output

    @staticmethod
    def _coefficients(at: Coefficients) -> tuple[Tensor, Tensor]:
        """(c_skip, c_out) of table 1, for ``noisy = alpha * clean + sigma * noise``: finite also where alpha is 0."""
        size = noisy_std(at, SIGMA_DATA)
        return at.alpha * (SIGMA_DATA / size) ** 2, at.sigma * SIGMA_DATA / size


PARAMETRIZATIONS: dict[str, AbstractParametrization] = {
    "eps": _Noise(),
    "x0": _Clean(),
    "v": _Velocity(),
    "edm": _EDM(),
}


def noisy_std(at: Coefficients, sigma_data: float) -> Tensor:
    """Standard deviation of noisy frames whose clean ones have this one."""
    return ((at.alpha * sigma_data) ** 2 + at.sigma**2).sqrt()
