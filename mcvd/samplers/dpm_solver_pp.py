"""Few-step deterministic sampling (DPM-Solver++: Lu et al. 2022, arXiv 2211.01095)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw
from mcvd.samplers.multistep import extrapolated_weights, step
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing


@dataclass(frozen=True)
class DPMSolverPP(AbstractGridSampler):
    """Extrapolates from the last clean estimates instead of calling the network more often; 10 to 20 steps are enough.

    Args:
        num_steps: network calls.
        order: 2 (algorithm 2, "2M") or 3; as many estimates are used.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.
        threshold: a quantile between 0 and 1, such as 0.995, for dynamic thresholding instead of the clip
            (`thresholded`).

    The first steps use the estimates there are, one or two, and the last one, to t = 0, only one. The third order
    integrates the parabola through three estimates exactly; it is reached because a run begins in nearly pure noise,
    where the estimate hardly changes. It gains with an accurate network; with few steps order 2 is the safer one.
    """

    num_steps: int = 20
    order: int = 2
    clip: bool = True
    spacing: AbstractSpacing = LOG_SNR
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.order not in (2, 3):
            raise ValueError(f"order must be 2 or 3, got {self.order}; first order is mcvd.samplers.DDIM")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be a quantile between 0 and 1, or None, got {self.threshold}")

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`; draws nothing."""
        if self.threshold is not None:
            denoise = thresholded(denoise, self.threshold)
        x, steps = noise, self.grid(schedule, noise)
        times = steps.half_log_snrs
        cleans: list[Tensor] = []  # the latest first
        for i in range(self.num_steps):
            cleans = [self.clean(denoise, x, steps.t[i]), *cleans[: self.order - 1]]
            order = min(self.order, i + 1) if steps.sigma[i + 1] > 0 else 1
            x = step(x, steps.at(i), steps.at(i + 1), cleans[:order], extrapolated_weights(times, i, order))
        return x


def thresholded(denoise: Denoise, quantile: float) -> Denoise:
    """Dynamic thresholding (Imagen, section 2.3): videos that reach beyond [-1, 1] are scaled back as a whole.

    Args:
        denoise: what is limited.
        quantile: of the absolute values of each estimate; it is clipped there, and divided by it if it is above 1.
    """

    def limited(noisy: Tensor, t: Tensor) -> Tensor:
        clean = denoise(noisy, t)
        values = clean.flatten(1).abs()
        bound = values.kthvalue(ceil(quantile * values.shape[1]), 1).values.clamp(min=1)
        bound = bound.view(-1, *(1,) * (clean.ndim - 1))
        return clean.clamp(-bound, bound) / bound

    return limited
