"""The course of the learning rate in a training: it rises, stays, and falls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def scheduled(
    optimizer: Optimizer, warmup_steps: int, cooldown_steps: int = 0, num_steps: Callable[[], float] | None = None
) -> dict[str, Any]:
    """An optimiser and the course of its learning rate, as Lightning takes them from ``configure_optimizers``.

    Update n (from 0) has ``lr * min(n / warmup_steps, 1)``, the published warm-up; over the last ``cooldown_steps`` of
    a training it falls linearly, ``lr * (num_steps - n) / cooldown_steps``.

    Args:
        optimizer: its learning rate is the one between the two.
        warmup_steps: 0 is none.
        cooldown_steps: 0 is none, as published.
        num_steps: tells the steps of the whole training; asked if there is a cooldown.
    """
    last = num_steps() if cooldown_steps and num_steps is not None else 0

    def share(step: int) -> float:
        rising = step / warmup_steps if warmup_steps else 1.0
        falling = (last - step) / cooldown_steps if cooldown_steps else 1.0
        return max(min(rising, falling, 1.0), 0.0)

    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, share), "interval": "step"}}
