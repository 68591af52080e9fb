"""Optimiser steps whose gradients are not finite are skipped and counted: they change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from mcvd.runtime.fsdp import full_tensor


class NotFiniteError(FloatingPointError):
    """Training produced NaN or infinity."""


class NonFiniteSkipper:
    """Skips the optimiser steps whose gradients hold NaN or infinity, and counts them.

    A skipped step leaves weights and optimiser as they were. `Muon` and fused optimisers (``Adam(fused=True)``) skip on
    the device, where the counts are kept too, so that no step waits; any other needs the answer before it may step.

    Args:
        device: of the weights.
    """

    def __init__(self, device: torch.device):
        self._in_a_row = torch.zeros((), dtype=torch.int64, device=device)
        self._longest = self._in_a_row.clone()
        self._total = self._in_a_row.clone()

    def skip_if_not_finite(self, optimizer: Any, weights: Iterable[nn.Parameter]) -> None:
        """To be called when all gradients are there, before they are clipped."""
        weights = [weight for weight in weights if weight.grad is not None]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        skipped = ~torch.isfinite(full_tensor(get_total_norm(gradients))).to(self._total.device)
        self._total = self._total + skipped
        self._in_a_row = torch.where(skipped, self._in_a_row + 1, 0)
        self._longest = torch.maximum(self._longest, self._in_a_row)
        is_fused = all(group.get("fused") for group in optimizer.param_groups)
        if is_fused or getattr(optimizer, "skips_on_device", False):
            optimizer.found_inf = skipped.float()  # as torch.amp.GradScaler does
        elif skipped:
            for weight in weights:
                weight.grad = None

    @property
    def total(self) -> int:
        """Steps skipped so far; reading it waits for the device."""
        return int(self._total)

    @property
    def longest(self) -> int:
        """Most steps skipped one after the other; reading it waits for the device."""
        return int(self._longest)

    def state_dict(self) -> dict[str, int]:
        """The counts, for a checkpoint."""
        return {"in_a_row": int(self._in_a_row), "longest": self.longest, "total": self.total}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from these counts."""
        counts: list[Tensor] = [self._total.new_tensor(state[name]) for name in ("in_a_row", "longest", "total")]
        self._in_a_row, self._longest, self._total = counts
