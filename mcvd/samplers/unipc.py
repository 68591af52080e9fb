"""Predictor and corrector from the same network calls (UniPC: Zhao et al. 2023, arXiv 2302.04867)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw
from mcvd.samplers.multistep import exact_weights, extrapolated_weights, step
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing


@dataclass(frozen=True)
class UniPC(AbstractGridSampler):
    """Repeats each step with the estimate at its end, which the next step needs anyway: no extra network call.

    Args:
        num_steps: network calls.
        order: of the predictor, 1 to 3; the corrector is one higher. The first steps and the last one use less.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.

    This is the data prediction variant with ``B(h) = exp(h) - 1`` ("bh2" in the authors' code). The last step has no
    corrector, because the network is never called at t = 0.
    """

    num_steps: int = 20
    order: int = 2
    clip: bool = True
    spacing: AbstractSpacing = LOG_SNR

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise ValueError(f"order must be 1, 2 or 3, got {self.order}")

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`; draws nothing."""
        steps = self.grid(schedule, noise)
        times = steps.half_log_snrs
        x, predicted, used = noise, noise, 0
        cleans: list[Tensor] = []  # the latest first
        for i in range(self.num_steps):
            cleans = [self.clean(denoise, predicted, steps.t[i]), *cleans[: self.order]]
            if i > 0:
                # x is still the state at i - 1: make the last step again, now knowing the estimate at its end.
                weights = corrector_weights(times, i, used)
                x = step(x, steps.at(i - 1), steps.at(i), cleans[: used + 1], weights)
            used = min(self.order, i + 1) if steps.sigma[i + 1] > 0 else 1
            weights = extrapolated_weights(times, i, used)
            predicted = step(x, steps.at(i), steps.at(i + 1), cleans[:used], weights)
        return predicted


def corrector_weights(half_log_snrs: Tensor, i: int, order: int) -> Tensor:
    """Weights for the step from time i - 1 to i by the estimates at i, i - 1, ..., i - order.

    Args:
        half_log_snrs: of all times, float64.
        i: where the step ends.
        order: of the predictor that made it.

    Returns:
        float64 (order + 1,), the exact ones of the polynomial (the paper's system R a = b, in which B(h) drops out),
        but for order 1 the published short form, the mean of both ends.
    """
    if order == 1:
        return torch.full((2,), 0.5, dtype=torch.float64)
    h = half_log_snrs[i] - half_log_snrs[i - 1]
    nodes = (half_log_snrs[i - order : i + 1].flip(0) - half_log_snrs[i - 1]) / h
    return exact_weights(h, nodes)
