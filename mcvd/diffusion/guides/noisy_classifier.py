"""What a classifier of noisy frames should see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mcvd.diffusion.guidance import AbstractNoisyGuide
from mcvd.noise import Coefficients


@dataclass(frozen=True)
class NoisyClassifier(AbstractNoisyGuide):
    """The probability that a classifier trained on noisy frames gives a label (Dhariwal and Nichol 2021, section 4).

    Args:
        logits: a network in evaluation mode, ``logits(noisy, at)``: of frames (B, N, C, H, W) under noise, with the
            coefficients (B,) of that, the logits (B, L) of L labels; such as `mcvd.models.classifier.LabelClassifier`.
        label: which label is wished for, 0 to L - 1.
    """

    logits: Callable[[Tensor, Coefficients], Tensor]
    label: int

    def __call__(self, noisy: Tensor, at: Coefficients) -> Tensor:
        """The energy (B,): minus the logarithm of the label's probability."""
        return -self.logits(noisy, at).float().log_softmax(1)[:, self.label]
