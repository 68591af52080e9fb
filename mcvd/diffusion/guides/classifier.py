"""What a classifier should see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Classifier:
    """The probability that a classifier gives a label (classifier guidance; Dhariwal and Nichol 2021, algorithm 1).

    Args:
        logits: a network in evaluation mode, ``logits(clean, t)``: of clean estimates (B, N, C, H, W) in the model's
            range at times t (B,), the logits (B, L) of L labels. It sees clean estimates, not noisy frames, which are
            blurred where much is open: train it on such, or on real frames (`NoisyClassifier` sees the noisy ones).
        label: which label is wished for, 0 to L - 1.
    """

    logits: Callable[[Tensor, Tensor], Tensor]
    label: int

    def __call__(self, clean: Tensor, t: Tensor) -> Tensor:
        """The energy (B,): minus the logarithm of the label's probability."""
        return -self.logits(clean, t).float().log_softmax(1)[:, self.label]
