"""The published code's last sampling call, for parity with it only."""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule, noise_from_clean
from mcvd.samplers.base import Denoise


def published_final_time(schedule: AbstractNoiseSchedule, num_steps: int) -> Tensor:
    """The time, float64 (), that the last call of the published samplers is told: of label ``num_steps - 1``."""
    return torch.tensor(1 - (num_steps - 1) / schedule.num_steps, dtype=torch.float64)


def published_final_denoise(x: Tensor, denoise: Denoise, schedule: AbstractNoiseSchedule, num_steps: int) -> Tensor:
    """The last call of the published samplers, with its wrong label; only to repeat published numbers.

    The finished sample has sigma(1 / num_steps) times a noise estimate subtracted, and the network is told the label
    ``num_steps - 1`` of the full schedule: nearly pure noise when steps are skipped. It shrinks the video towards grey.
    """
    last = schedule(torch.tensor(1 / num_steps, dtype=torch.float64)).sigma
    told = published_final_time(schedule, num_steps)
    clean = denoise(x, told.to(x).expand(x.shape[0]))
    return x - last * noise_from_clean(x, clean, schedule(told))
