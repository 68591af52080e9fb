"""Steering a sampler towards what a guide asks for, without training: the clean estimate is moved, nothing else.

Legend: alpha, sigma -> signal and noise of the state; energy -> minus the logarithm of how well clean frames fit.
By Tweedie's formula the clean estimate given a wish is ``clean - sigma^2 / alpha * gradient of its energy with respect
to the noisy state``: classifier guidance (Dhariwal and Nichol 2021, arXiv 2105.05233), reconstruction guidance (Ho et
al. 2022, arXiv 2204.03458, section 3.1), semantic guidance (Liu et al. 2021, arXiv 2112.05744).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import grad

from mcvd.diffusion.parametrization import SIGMA_DATA, noisy_std
from mcvd.noise import AbstractNoiseSchedule, Coefficients
from mcvd.samplers.base import Denoise

Guide = Callable[[Tensor, Tensor], Tensor]
"""``guide(clean, t) -> energy``: of clean frames, float (B, N, C, H, W) in the model's range, and times t (B,).

The energy (B,) is 0 where frames are as wished and above 0 elsewhere; it can be differentiated. Row b depends on frames
b alone, so that a video does not depend on its batch.
"""


class AbstractNoisyGuide(ABC):
    """A guide that looks at noisy frames, as a classifier that was trained on such does; see `guided_by_state`."""

    @abstractmethod
    def __call__(self, noisy: Tensor, at: Coefficients) -> Tensor:
        """The energy (B,) of noisy frames (B, N, C, H, W), ``alpha * frames + sigma * noise`` with coefficients (B,).

        It can be differentiated. Row b depends on frames b alone.
        """


REACH = 4.0  # how far a guide moves an estimate at most, in standard deviations of what the noise leaves open
_TINY = 1e-30


def guided(
    denoise: Denoise,
    guides: Sequence[tuple[Guide, float]],
    schedule: AbstractNoiseSchedule,
    min_snr: float = 0.0,
) -> Denoise:
    """A denoiser whose estimates follow guides; whatever takes a denoiser takes this one.

    A step can never be so long that sampling diverges, whatever the weight. It ends where the energy would be 0 if it
    were quadratic (Polyak's step length): for known frames of Gaussian data that is exactly the conditional mean. And
    it is at most `REACH` standard deviations of what the noise leaves open, as root mean square over all pixels.

    Args:
        denoise: differentiable; one call of it, and as many backward passes as there are guides, make a call of the
            result.
        guides: each with its weight, 0 or more: 1 takes the energy for a probability as it is, more follows it more
            closely, and infinity goes as far as a step may.
        schedule: of the denoiser.
        min_snr: from which signal-to-noise ratio, ``(alpha / sigma)^2``, the guides act; before it they cost nothing.

    Examples:
        >>> from mcvd.noise import Cosine
        >>> def darker(clean, t):
        ...     return (clean + 1).square().flatten(1).mean(1)
        >>> estimate = guided(lambda noisy, t: noisy, [(darker, 1.0)], Cosine())
        >>> estimate(torch.zeros(1, 2, 1, 4, 4), torch.full((1,), 0.5)).max().item() < 0
        True
    """

    def steered(noisy: Tensor, t: Tensor) -> Tensor:
        at = schedule(t).like(noisy)
        if min_snr and not (at.alpha**2 >= min_snr * at.sigma**2).any():
            return denoise(noisy, t)
        with torch.enable_grad():
            state = noisy.detach().requires_grad_()
            clean = denoise(state, t)
            energies = [guide(clean, t) for guide, _ in guides]
        open_std = at.sigma * SIGMA_DATA / noisy_std(at, SIGMA_DATA)
        estimate = clean.detach()
        for number, (energy, (_, weight)) in enumerate(zip(energies, guides, strict=True)):
            uphill = _uphill(energy, clean)
            # Of unit size on its way through the network, whose precision may be low.
            size = uphill.flatten(1).abs().amax(1).clamp(min=_TINY)
            uphill = uphill / _like(size, uphill)
            (step,) = grad(clean, state, uphill, retain_graph=number + 1 < len(guides))
            step = at.sigma**2 / at.alpha.clamp(min=1e-4) * step
            slope = (uphill * step).flatten(1).sum(1)
            enough = 2 * energy.detach().to(slope).clamp(min=0) / (size * slope).clamp(min=_TINY)
            length = torch.where(slope > 0, torch.minimum(weight * size, enough), 0)
            estimate = estimate - _bounded(_like(length, step) * step, open_std)
        return estimate

    return steered


def guided_by_state(
    denoise: Denoise, energy: Callable[[Tensor, Tensor], Tensor], weight: float, schedule: AbstractNoiseSchedule
) -> Denoise:
    """A denoiser whose estimates follow a guide that looks at the noisy state, not at what the denoiser makes of it.

    No gradient goes through the denoiser, so a call costs one of it, and a forward and backward pass of the guide.

    Args:
        denoise: of states (B, ...).
        energy: ``energy(noisy, t)``, (B,), of the state and times (B,); it can be differentiated.
        weight: 0 or more: 1 takes the energy for a probability as it is. A step is at most `REACH` standard deviations
            of what the noise leaves open, whatever the weight.
        schedule: of the denoiser.
    """

    def steered(noisy: Tensor, t: Tensor) -> Tensor:
        at = schedule(t).like(noisy)
        with torch.enable_grad():
            state = noisy.detach().requires_grad_()
            energies = energy(state, t)
        uphill = _uphill(energies, state)
        size = uphill.flatten(1).abs().amax(1).clamp(min=_TINY)  # a step of weight infinity has a direction too
        step = at.sigma**2 / at.alpha.clamp(min=1e-4) * uphill / _like(size, uphill)
        length = (weight * size).clamp(max=torch.finfo(step.dtype).max ** 0.25)
        return denoise(noisy, t) - _bounded(
            _like(length, step) * step, at.sigma * SIGMA_DATA / noisy_std(at, SIGMA_DATA)
        )

    return steered


def expected(denoise: Denoise, mean: Tensor, variance: Tensor, schedule: AbstractNoiseSchedule) -> Denoise:
    """A denoiser that has heard something of the result besides, with an error: Bayes' rule, pixel by pixel.

    The estimate, whose own error is what the noise leaves open, and what was heard are averaged by their precisions.
    For independent pixels of standard deviation 0.5 that is the exact conditional mean. No gradient is needed.

    Args:
        denoise: of states (B, ...).
        mean: what was heard, finite, of a shape that broadcasts to the states, in units of the clean estimate.
        variance: of its error, likewise; above 0, infinite where nothing was heard.
        schedule: of the denoiser.
    """

    def informed(noisy: Tensor, t: Tensor) -> Tensor:
        at = schedule(t).like(noisy)
        clean = denoise(noisy, t)
        left_open = (at.sigma * SIGMA_DATA / noisy_std(at, SIGMA_DATA)) ** 2
        return clean + left_open / (left_open + variance) * (mean - clean)

    return informed


def replaced(denoise: Denoise, frames: Tensor, keep: Tensor) -> Denoise:
    """A denoiser that knows part of the result: there its estimate is what is known.

    Args:
        denoise: of states (B, ...).
        frames: what is known, of a shape that broadcasts to the states, in their units.
        keep: bool, likewise; True where it is known.
    """
    return lambda noisy, t: torch.where(keep, frames, denoise(noisy, t))


def conditioned(denoise: Denoise, frames: Tensor, keep: Tensor) -> Denoise:
    """A denoiser that is shown part of the frames as they are: at time 0, without noise, among those that have noise.

    Args:
        denoise: of states (B, N, ...) at times (B, N).
        frames: float (B, N, ...), what is known, in units of the states.
        keep: bool (B, N), which frames are known.
    """

    def shown(noisy: Tensor, t: Tensor) -> Tensor:
        # One row for all where that is so, which the network embeds once.
        one_row = t.stride(0) == 0 and keep.stride(0) == 0
        rows = slice(0, 1) if one_row else slice(None)
        times = torch.where(keep[rows], 0.0, t[rows, None]).expand(len(t), -1)
        return denoise(torch.where(keep.view(*keep.shape, *(1,) * (noisy.ndim - 2)), frames, noisy), times)

    return shown


def _uphill(energy: Tensor, x: Tensor) -> Tensor:
    """The gradient of energies (B,) with respect to what they are of.

    Raises:
        ValueError: there is none.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError(
            "guides, known frames and loops follow gradients, which there are none of in torch.inference_mode(): call "
            "the model outside of it; torch.no_grad() does no harm"
        )
    found = None
    if energy.requires_grad:
        (found,) = grad(energy, x, torch.ones_like(energy), retain_graph=True, allow_unused=True)
    if found is None:
        raise ValueError(
            "a guide's energy has no gradient with respect to the frames: compute it from them by torch alone, without "
            "torch.no_grad(), detach(), item(), numpy() or whole numbers (uint8) on the way"
        )
    return found


def _bounded(step: Tensor, open_std: Tensor) -> Tensor:
    """A step that is no longer than `REACH` standard deviations of what the noise leaves open."""
    rms = _like(step.square().flatten(1).mean(1).sqrt(), step)
    return step * (REACH * open_std / rms.clamp(min=_TINY)).clamp(max=1)


def _like(each: Tensor, x: Tensor) -> Tensor:
    """(B,) with x's number of axes."""
    return each.view(-1, *[1] * (x.ndim - 1))
