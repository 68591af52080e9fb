"""What a student that takes one step where its teacher takes several has to answer: on tensors, deterministic.

Legend (Salimans and Ho 2022 -> here): z_t -> noisy, x-tilde -> the target, x-hat -> a clean estimate, N -> calls of
the student's sampler. The student's steps are those of `DDIM`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mcvd.diffusion.task_samplers import MAX_CALLS
from mcvd.noise import AbstractNoiseSchedule, Coefficients, noisy_from_clean
from mcvd.samplers import DDIM
from mcvd.samplers.base import Denoise
from mcvd.samplers.spacing import log_snr

Method = Literal["progressive", "consistency"]


@dataclass(frozen=True)
class Distillation:
    """How a student learns the steps of its own sampler from a teacher that takes shorter ones.

    Each step of the student, from one of its times to the next, is divided into equal parts. The *landing* is where it
    should end, and the target is the clean estimate with which one step of `DDIM` lands there.

    - "progressive": from the beginning of the step the teacher walks all parts (Salimans and Ho 2022, arXiv
      2202.00512, algorithm 2, where there are two of order 1).
    - "consistency": from the beginning of any part the teacher walks that one, and the student's own estimate there
      tells where the step lands (Song et al. 2023, arXiv 2303.01469; of several steps: Heek et al. 2024,
      arXiv 2403.06807). One call of the teacher, however many parts there are.

    Args:
        sampler: the student's, deterministic.
        parts: how many steps of the teacher one of the student's is worth, 2 or more.
        method: "progressive" or "consistency".
        order: of the teacher's steps: 1, those of `DDIM`, as published; or 2, which from the second part on extrapolate
            from the last clean estimate ("2M" of Lu et al. 2022, arXiv 2211.01095), so that as many parts end nearer to
            where ever more of them would. First-order steps end too near to the mean: samples differ too little. Of a
            network that was itself taught to land, order 1: its estimates do not lie on a smooth flow.

    Raises:
        ValueError: the sampler draws fresh noise, there are too few parts or too many, or the order is not to be had.
    """

    sampler: DDIM
    parts: int = 2
    method: Method = "progressive"
    order: int = 1

    def __post_init__(self) -> None:
        if self.sampler.eta or self.sampler.published_final_denoise:
            raise ValueError(f"a student follows a deterministic sampler, got {self.sampler}")
        if self.parts < 2:
            raise ValueError(f"a step of the student is worth 2 of the teacher's or more, got {self.parts}")
        if self.sampler.num_steps * self.parts > MAX_CALLS:
            raise ValueError(
                f"the teacher would stand for calls * parts = {self.sampler.num_steps * self.parts} calls, expected "
                f"{MAX_CALLS} at most"
            )
        if self.method not in ("progressive", "consistency"):
            raise ValueError(f"method must be 'progressive' or 'consistency', got {self.method!r}")
        if self.order not in (1, 2):
            raise ValueError(f"the teacher's steps are of order 1 or 2, got {self.order}")
        if self.order == 2 and self.method == "consistency":
            raise ValueError("with method consistency the teacher walks one part alone, whose order is 1, got 2")

    def times(self, uniform: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
        """Where the teacher stops: from the time that the student is asked at to the end of its step.

        Args:
            uniform: (B,) in [0, 1), draws the step, and for "consistency" the part.
            schedule: of teacher and student.

        Returns:
            float64 (B, parts + 1), falling; for "consistency" from the drawn part on, and then the end over and over.
        """
        grid = self.sampler.spacing.divided(self.sampler.num_steps, self.parts, schedule).to(uniform.device)
        place = uniform.double() * self.sampler.num_steps
        step = place.long().clamp(max=self.sampler.num_steps - 1)
        numbers = torch.arange(self.parts + 1, device=uniform.device).expand(len(uniform), -1)
        if self.method == "consistency":
            # A step that its spacing does not divide has one part alone, and the end over and over.
            num_parts = (grid.diff(dim=1) < 0).sum(1)[step]
            part = torch.minimum(((place - step) * num_parts).long(), num_parts - 1)
            numbers = (numbers + part[:, None]).clamp(max=self.parts)
        return grid[step].gather(1, numbers)

    def start(
        self, clean: Tensor, noise: Tensor, times: Tensor, schedule: AbstractNoiseSchedule
    ) -> tuple[Tensor, Tensor]:
        """The noisy state (B, ...) at the first of the times, and the `weight` of an error there, which broadcasts."""
        at = schedule(times[:, 0]).like(clean)
        return noisy_from_clean(clean, noise, at), weight(at)

    def target(
        self, noisy: Tensor, times: Tensor, teacher: Denoise, student: Denoise, schedule: AbstractNoiseSchedule
    ) -> Tensor:
        """The clean estimate that the student should have at the first of its times.

        Args:
            noisy: float (B, ...), the state at ``times[:, 0]``.
            times: of `times`.
            teacher: its clean estimate.
            student: its own, asked by "consistency" alone; no gradient should flow through it.
            schedule: of both.

        Returns:
            float (B, ...).
        """
        first, last = times[:, 0], times[:, -1]
        if self.method == "progressive":
            landed, before = noisy, None
            for start, end in zip(times[:, :-1].unbind(1), times[:, 1:].unbind(1), strict=True):
                landed, estimate = self._step(teacher, landed, start, end, schedule, before)
                before = (start, estimate) if self.order == 2 else None
        else:
            second = times[:, 1]
            landed, _ = self._step(teacher, noisy, first, second, schedule)
            landed, _ = self._step(student, landed, second, last, schedule)
        return clean_that_lands(noisy, landed, schedule(first).like(noisy), schedule(last).like(noisy))

    def _step(
        self,
        denoise: Denoise,
        x: Tensor,
        start: Tensor,
        end: Tensor,
        schedule: AbstractNoiseSchedule,
        before: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """One step, each sample between times of its own (B,); what has arrived stays.

        Args:
            denoise: the clean estimate.
            x: (B, ...), the state at ``start``.
            start: float64 (B,).
            end: float64 (B,), at most ``start``.
            schedule: of the noise.
            before: the time of the step before and the clean estimate there, to extrapolate from.

        Returns:
            the state at ``end`` and the clean estimate at ``start``.
        """
        is_there = (start <= end).view(-1, *[1] * (x.ndim - 1))
        # The network is never asked at 0: where nothing is left to go it is asked somewhere, and the answer not used.
        asked = torch.where(start <= end, 1.0, start)
        here, there = schedule(asked).like(x), schedule(end).like(x)
        clean, noise = self.sampler.estimate(denoise, x, asked.to(x), here)
        ahead = torch.zeros_like(clean)
        if before is not None:
            ahead = _middle(before[0], asked, end, schedule).to(x).view_as(here.alpha) * (clean - before[1])
        landed = there.alpha * (clean + ahead) + there.sigma * (noise - here.alpha / here.sigma * ahead)
        return torch.where(is_there, x, landed), clean


def _middle(before: Tensor, start: Tensor, end: Tensor, schedule: AbstractNoiseSchedule) -> Tensor:
    """How far the middle of a step lies ahead of its start, in lengths of the step before; in log-SNR, float64 (B,).

    It is 0 where either step is infinitely long, as those from pure noise and to no noise are.
    """
    first, second, third = (log_snr(time.double(), schedule) for time in (before, start, end))
    share = (third - second) / (second - first) / 2
    return torch.where(share.isfinite(), share, 0.0)


def clean_that_lands(noisy: Tensor, landed: Tensor, here: Coefficients, there: Coefficients) -> Tensor:
    """The clean estimate with which a step of DDIM goes from one state to another: the inverse of the step."""
    shrink = there.sigma / here.sigma
    return (landed - shrink * noisy) / (there.alpha - shrink * here.alpha)


def weight(at: Coefficients) -> Tensor:
    """Weight of the squared error of a clean estimate: the signal-to-noise ratio, and 1, so that pure noise counts too.

    It is the error of the velocity (Salimans and Ho 2022, section 4, "SNR+1"), whatever the network predicts.
    """
    return (at.alpha / at.sigma).square() + 1
