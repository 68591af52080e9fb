"""Few-step deterministic sampling (DPM-Solver++: Lu et al. 2022, arXiv 2211.01095)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from torch import Tensor

from mcvd.samplers.base import Denoise
from mcvd.samplers.multistep import AbstractMultistep
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing


@dataclass(frozen=True)
class DPMSolverPP(AbstractMultistep):
    """Extrapolates from the last clean estimates instead of calling the network more often; 10 to 20 steps are enough.

    Args:
        num_steps: network calls.
        order: 2 (algorithm 2, "2M") or 3; as many estimates are used.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.
        threshold: a quantile between 0 and 1, such as 0.995, for dynamic thresholding instead of the clip
            (`thresholded`).

    The third order integrates the parabola through three estimates exactly; it is reached because a run begins in
    nearly pure noise, where the estimate hardly changes. It gains with an accurate network; with few steps order 2 is
    the safer one.
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

    def clean(self, denoise: Denoise, x: Tensor, t: Tensor) -> Tensor:
        """The clean estimate, with dynamic thresholding if there is a threshold."""
        return super().clean(denoise if self.threshold is None else thresholded(denoise, self.threshold), x, t)


def thresholded(denoise: Denoise, quantile: float) -> Denoise:
    """Dynamic thresholding (Imagen, section 2.3): videos that reach beyond [-1, 1] are scaled back as a whole.

    Each estimate is clipped at this quantile of its absolute values, and divided by it if it is above 1.

    Raises:
        ValueError: when called for a model whose samples do not lie in [-1, 1], such as residuals.
    """

    def limited(noisy: Tensor, t: Tensor) -> Tensor:
        if not getattr(denoise, "is_in_range", True):
            raise ValueError("threshold scales frames in [-1, 1], and this model diffuses something else: leave it out")
        clean = denoise(noisy, t)
        values = clean.flatten(1).abs()
        bound = values.kthvalue(ceil(quantile * values.shape[1]), 1).values.clamp(min=1)
        bound = bound.view(-1, *(1,) * (clean.ndim - 1))
        return clean.clamp(-bound, bound) / bound

    return limited
