"""The published code's last sampling call, for parity with it only."""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule, noise_from_clean
from mcvd.samplers.base import AbstractGridSampler, Denoise


class AbstractPublishedSampler(AbstractGridSampler):
    """A sampler that can end with the last call of the published samplers, with its wrong label.

    The finished sample has sigma(1 / num_steps) times a noise estimate subtracted, and the network is told the label
    ``num_steps - 1`` of the full schedule: nearly pure noise when steps are skipped. It shrinks the video towards grey.
    """

    published_final_denoise: bool

    @property
    def num_extra_calls(self) -> int:
        """The published last one."""
        return int(self.published_final_denoise)

    def call_times(self, grid: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
        """The published last call is told a time of its own."""
        return torch.cat([grid[:-1], self._told_time(schedule).expand(self.num_extra_calls)])

    def finish(self, x: Tensor, denoise: Denoise, schedule: AbstractNoiseSchedule) -> Tensor:
        """The finished sample x, after the published last call if there is one."""
        if not self.published_final_denoise:
            return x
        last = schedule(torch.tensor(1 / self.num_steps, dtype=torch.float64)).sigma
        told = self._told_time(schedule)
        return x - last * noise_from_clean(x, denoise(x, told.to(x).expand(x.shape[0])), schedule(told))

    def _told_time(self, schedule: AbstractNoiseSchedule) -> Tensor:
        return torch.tensor(1 - (self.num_steps - 1) / schedule.num_steps, dtype=torch.float64)
