"""Few-step sampling with fresh noise (SDE-DPM-Solver++(2M): Lu et al. 2022, arXiv 2211.01095)."""

from __future__ import annotations

from dataclasses import dataclass

from mcvd.samplers.multistep import AbstractMultistep
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing


@dataclass(frozen=True)
class SDEDPMSolverPP(AbstractMultistep):
    """Steps as `DDPM` does, but towards the clean estimate of the middle of the step, extrapolated from the last two.

    Args:
        num_steps: network calls.
        eta: how much fresh noise: 1 follows the reverse diffusion of `DDPM`, 0 draws nothing and is `DPMSolverPP`, and
            with a perfect network all have the same distribution.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.

    `DDPM` follows the estimate at the noisy end of a step. That one is too blurred for the rest of the step, and with
    few steps the samples vary too little. Extrapolated, the error of mean and variance falls with the square of the
    steps. The first step and the last one, to t = 0, have no second estimate to use.
    """

    num_steps: int = 20
    eta: float = 1.0
    clip: bool = True
    spacing: AbstractSpacing = LOG_SNR
    order = 2
