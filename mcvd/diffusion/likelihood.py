"""How probable a model finds a video: the density of its probability flow (Song et al. 2021, section 4.3)."""

from __future__ import annotations

from math import log, pi

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers.base import Denoise
from mcvd.samplers.spacing import LogSNR


def log_density(
    denoise: Denoise, clean: Tensor, schedule: AbstractNoiseSchedule, probe: Tensor, num_steps: int = 100
) -> Tensor:
    """Logarithm of the density of what a denoiser samples without fresh noise, at given places.

    The flow is followed from the cleanest trained time to noise, in the video scaled so that it keeps its size; there
    ``d y / d u = y - clean estimate`` with u the logarithm of the noise over the signal. On the way volumes grow by the
    trace of its derivative, which one probe estimates without bias (Hutchinson). Both are integrated to second order in
    equal parts of u.

    Args:
        denoise: differentiable; called at times (B,) for states (B, ...).
        clean: float (B, ...), the places, in the units of the samples.
        schedule: of the denoiser.
        probe: of clean's shape: 1 or -1 with equal probability for each number.
        num_steps: of the integration; there is one more call of ``denoise``, with a backward pass each.

    Returns:
        float64 (B,), in nats. At the cleanest trained time, where it begins, samples still carry that noise: densities
        are those of data with so much noise.

    Raises:
        ValueError: there are no steps.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    times = LogSNR(sigma_min=0.0)(num_steps + 1, schedule)[:-1].flip(0)  # cleanest first
    at = schedule(times)
    noise_to_signal = (at.sigma / at.alpha).log()
    size = clean[0].numel()

    def look(y: Tensor, i: int) -> tuple[Tensor, Tensor]:
        """The clean estimate at step i, and the estimated trace of its derivative, float64 (B,)."""
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            estimate = denoise(at.alpha[i].to(y) * y, times[i].to(y).expand(len(y)))
            (pulled,) = torch.autograd.grad(estimate, y, probe)
        return estimate.detach(), (pulled * probe).flatten(1).double().sum(1)

    y, grown = clean, torch.zeros(len(clean), dtype=torch.float64, device=clean.device)
    estimate, trace = look(y, 0)
    for i in range(num_steps):
        h = noise_to_signal[i + 1] - noise_to_signal[i]
        there, trace_there = look(_moved(y, estimate, h), i + 1)
        y = _moved(y, (estimate + there) / 2, h)
        grown += h.item() * (size - (trace + trace_there) / 2)
        estimate, trace = there, trace_there
    last = at.alpha[-1].item()
    variance = last**2 + at.sigma[-1].item() ** 2
    square = (last * y).double().square().flatten(1).sum(1)
    return -(square / variance + size * log(2 * pi * variance)) / 2 + size * log(last) + grown


def _moved(y: Tensor, estimate: Tensor, h: Tensor) -> Tensor:
    """Along the flow of a constant clean estimate."""
    return estimate + h.exp().to(y) * (y - estimate)
