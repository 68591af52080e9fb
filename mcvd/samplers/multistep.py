"""Steps of the probability flow that reuse earlier clean estimates, exact for the linear part of the equation.

Legend (DPM-Solver++ -> here): lambda = log(alpha / sigma), half the log-SNR -> half_log_snrs, x_theta -> clean.
In lambda the flow reads ``d(x / sigma) = exp(lambda) * clean * d lambda``, so a step from s to r is
``x_r = sigma_r / sigma_s * x_s + sigma_r * integral of exp(lambda) * clean * d lambda`` (proposition 4.1), and only
``clean`` needs an approximation: a polynomial through estimates, given by the weight of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1, factorial

import torch
from torch import Tensor

from mcvd.noise import Coefficients
from mcvd.samplers.base import AbstractGridSampler, Denoise, Draw, TimeGrid


class AbstractMultistep(AbstractGridSampler):
    """Steps towards estimates extrapolated from the last ones, perhaps made again when that at their end is there.

    A subclass says as field or constant: ``order``, how many estimates are extrapolated; ``corrector_order``, up to
    which steps are made again (`corrector_weights`), 0 for never; ``eta``, how much fresh noise there is
    (`noisy_step`). The first steps use the estimates there are, and the last one, to t = 0, only one; it is not made
    again, because the network is never called at t = 0.
    """

    corrector_order = 0
    eta = 0.0

    def __post_init__(self) -> None:
        if self.eta < 0:
            raise ValueError(f"eta must not be negative, got {self.eta}")

    def _walk(self, denoise: Denoise, x: Tensor, steps: TimeGrid, draw: Draw) -> Tensor:
        times, predicted, used = steps.half_log_snrs, x, 0
        added: Tensor | float = 0.0  # the fresh noise of the last step
        cleans: list[Tensor] = []  # the latest first
        for i in range(self.num_steps):
            cleans = [self.clean(denoise, predicted, steps.t[i]), *cleans[: self.order]]
            if i == 0 or self.corrector_order == 0:
                x = predicted
            else:  # x is still the state at i - 1: make the last step again, now knowing the estimate at its end
                weights = corrector_weights(times, i, min(used, self.corrector_order))
                x = noisy_step(x, steps.at(i - 1), steps.at(i), cleans[: len(weights)], weights, self.eta)[0] + added
            used = min(self.order, i + 1) if steps.sigma[i + 1] > 0 else 1
            weights = extrapolated_weights(times, i, used)
            predicted, fresh = noisy_step(x, steps.at(i), steps.at(i + 1), cleans[:used], weights, self.eta)
            if fresh > 0:
                added = fresh * draw(x)
                predicted = predicted + added
        return predicted


def noisy_step(
    x: Tensor, here: Coefficients, there: Coefficients, cleans: Sequence[Tensor], weights: Tensor, eta: float
) -> tuple[Tensor, Tensor]:
    """Move the state with a mixture of clean estimates, of which a constant one is followed exactly.

    With ``eta`` times the noise of the reverse diffusion (1 is that of `DDPM`, 0 the probability flow) the state
    forgets ``exp(-eta * h)`` of itself besides, which the clean estimate makes up for:
    ``alpha_r * (1 - exp(-(1 + eta) * h))`` of it (SA-Solver, arXiv 2309.05019, whose tau^2 is eta).

    Args:
        x: the state at ``here``, (B, ...).
        here: coefficients where the step starts, of shape ().
        there: and where it ends; at sigma = 0 the mixture is the result.
        cleans: estimates (B, ...).
        weights: one for each, on the CPU, which add to 1.
        eta: share of fresh noise, 0 or more.

    Returns:
        (x, fresh): the state (B, ...) before its fresh noise, and that noise's standard deviation, of shape ().
    """
    remembered = ((here.alpha * there.sigma) / (there.alpha * here.sigma)) ** eta  # exp(-eta * h), 0 if h is infinite
    shrink = there.sigma / here.sigma * remembered
    mixture = sum(weight * clean for weight, clean in zip(weights, cleans, strict=True))
    fresh = there.sigma * (1 - remembered**2).clamp(min=0).sqrt()
    # alpha_r * (1 - exp(-(1 + eta) * h)) of the paper, which is also finite at sigma_r = 0.
    return shrink * x + (there.alpha - here.alpha * shrink) * mixture, fresh


def extrapolated_weights(half_log_snrs: Tensor, i: int, order: int) -> Tensor:
    """Weights for the step from time i to i + 1 by the last estimates, the latest first.

    Args:
        half_log_snrs: of all times, float64 (num_steps + 1,); the last one may be infinite.
        i: number of the step.
        order: how many estimates, at times i, i - 1, and so on; 1 where the step ends at infinity.

    Returns:
        float64 (order,), which add to 1. The second order is the published short form: the estimate at the middle of
        the step (DPM-Solver++, algorithm 2; UniPC with B(h) = exp(h) - 1, which is the same), the others are exact.
    """
    if order == 1:
        return torch.ones(1, dtype=torch.float64)
    h = half_log_snrs[i + 1] - half_log_snrs[i]
    nodes = (half_log_snrs[i - order + 1 : i + 1].flip(0) - half_log_snrs[i]) / h
    if order == 2:
        slope = 1 / (2 * nodes[1])
        return torch.stack([1 - slope, slope])
    return exact_weights(h, nodes)


def corrector_weights(half_log_snrs: Tensor, i: int, order: int) -> Tensor:
    """Weights for the step from time i - 1 to i by the estimates at i, i - 1, ..., i - order, float64 (order + 1,).

    They are the exact ones of the polynomial (UniPC's system R a = b, in which B(h) drops out), but for order 1 the
    published short form, the mean of both ends.
    """
    if order == 1:
        return torch.full((2,), 0.5, dtype=torch.float64)
    h = half_log_snrs[i] - half_log_snrs[i - 1]
    nodes = (half_log_snrs[i - order : i + 1].flip(0) - half_log_snrs[i - 1]) / h
    return exact_weights(h, nodes)


def exact_weights(h: Tensor, nodes: Tensor) -> Tensor:
    """The weights that integrate ``exp(lambda)`` times the polynomial through the estimates exactly.

    Args:
        h: length of the step in half the log-SNR, shape ().
        nodes: where the estimates were made, counted in h from the start of the step, float64 (n,).

    Returns:
        float64 (n,), which add to 1; the error of one step is of order n + 1 in h.
    """
    # Mean of u^k under the density exp(h * (u - 1)) on [0, 1]. Integration by parts gives each from the one before but
    # loses the digits of a short step; there the series integral = sum_j (-h)^j * k! / (k + j + 1)! is exact.
    num, length = len(nodes), float(h)
    if length > 1:
        integrals = [-expm1(-length) / length]
        for k in range(1, num):
            integrals.append((1 - k * integrals[-1]) / length)
    else:
        integrals = [sum((-length) ** j * (factorial(k) / factorial(k + j + 1)) for j in range(18)) for k in range(num)]
    moments = torch.tensor(integrals, dtype=torch.float64) / integrals[0]
    return torch.linalg.solve(nodes ** torch.arange(num, dtype=torch.float64)[:, None], moments)
