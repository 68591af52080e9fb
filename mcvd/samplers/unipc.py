"""Predictor and corrector from the same network calls (UniPC: Zhao et al. 2023, arXiv 2302.04867)."""

from __future__ import annotations

from dataclasses import dataclass

from mcvd.samplers.multistep import AbstractMultistep
from mcvd.samplers.spacing import LOG_SNR, AbstractSpacing


@dataclass(frozen=True)
class UniPC(AbstractMultistep):
    """Repeats each step with the estimate at its end, which the next step needs anyway: no extra network call.

    Args:
        num_steps: network calls.
        order: of the predictor, 1 to 3; the corrector is one higher. The first steps and the last one use less.
        clip: clip clean estimates to [-1, 1].
        spacing: where the steps lie.

    This is the data prediction variant with ``B(h) = exp(h) - 1`` ("bh2" in the authors' code).
    """

    num_steps: int = 20
    order: int = 2
    clip: bool = True
    spacing: AbstractSpacing = LOG_SNR
    corrector_order = 3

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise ValueError(f"order must be 1, 2 or 3, got {self.order}")
