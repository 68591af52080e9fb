"""Stochastic sampling that chooses its own steps (Jolicoeur-Martineau et al. 2021, arXiv 2105.14080, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.noise import AbstractNoiseSchedule
from mcvd.samplers.base import AbstractSampler, Denoise, Draw, posterior

# The paper's constants: first length of a step, and how the next one follows from the error.
FIRST_LENGTH, SAFETY, EXPONENT = 0.01, 0.9, 0.9


@dataclass(frozen=True)
class AdaptiveSDE(AbstractSampler):
    """Makes steps as long as two estimates of where they lead agree, for each video on its own; two calls per step.

    Args:
        tolerance: allowed difference of the two, relative to the value of a pixel; 0.01 (careful) to 0.1 (fast).
        clip: clip clean estimates to [-1, 1].
        absolute_tolerance: and at least this much; the paper's value is one grey level of 256.
        max_steps: an error is raised instead of more steps, tried ones included.

    The lower of the embedded pair is the exact solution for a constant clean estimate, where the paper has an
    Euler-Maruyama step: it holds for every schedule and cannot overshoot. The higher one takes the mean of the clean
    estimates at both ends and is what is kept. Both use the same noise. A refused step is tried again, shorter, with
    fresh noise, as in the paper; over the many pixels of a video the decision hardly depends on the noise.

    The walk ends at the cleanest time that the network was trained at; the last call gives the video. Each iteration
    waits for the device once, to see whether a video is left. What a video becomes does not depend on its neighbours in
    the batch if ``draw`` gives each row noise of its own, as `mcvd.draws.RowNoise` does.
    """

    tolerance: float = 0.05
    clip: bool = True
    absolute_tolerance: float = 2 / 256
    max_steps: int = 1000
    order = 1

    def __post_init__(self) -> None:
        if not (self.tolerance > 0 and self.absolute_tolerance > 0 and self.max_steps > 0):
            raise ValueError(f"tolerance, absolute_tolerance and max_steps must be positive, got {self}")

    @property
    def num_calls(self) -> int:
        """The most it may need; how many it does need is known only afterwards."""
        return 2 * self.max_steps + 1

    def __call__(
        self, denoise: Denoise, noise: Tensor, schedule: AbstractNoiseSchedule, draw: Draw = torch.randn_like
    ) -> Tensor:
        """See `AbstractSampler`.

        Raises:
            RuntimeError: ``max_steps`` were not enough.
        """
        x = before = noise
        end = 1 / schedule.num_steps
        t = torch.ones(len(x), dtype=torch.float64, device=x.device)
        length = torch.full_like(t, FIRST_LENGTH)
        column = (-1, *(1,) * (x.ndim - 1))
        num_steps = 0
        while (t > end).any():
            if num_steps == self.max_steps:
                raise RuntimeError(
                    f"{self} has videos left at t = {t.max():.3g} after {num_steps} steps: raise tolerance or max_steps"
                )
            num_steps += 1
            there = (t - length).clamp(min=end)
            # In double precision: near the clean end the fresh noise is a small difference of large terms.
            of_clean, of_state, fresh = (
                factor.to(x).view(column) for factor in posterior(schedule(t), schedule(there))
            )
            clean = self.clean(denoise, x, t.to(x))
            low = of_clean * clean + of_state * x + fresh * draw(x)
            change = of_clean * (self.clean(denoise, low, there.to(x)) - clean) / 2

            allowed = (self.tolerance * torch.maximum(low.abs(), before.abs())).clamp(min=self.absolute_tolerance)
            error = (change / allowed).flatten(1).double().square().mean(1).sqrt()
            length = SAFETY * (t - there) * error.clamp(min=1e-3) ** -EXPONENT
            accepted = error <= 1
            x = torch.where(accepted.view(column), low + change, x)
            before = torch.where(accepted.view(column), low, before)
            t = torch.where(accepted, there, t)
        return self.clean(denoise, x, t.to(x))
