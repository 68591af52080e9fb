"""Adversarial score matching (Jolicoeur-Martineau et al. 2021, arXiv 2009.05475, section 4): clean estimates that a
discriminator takes for true frames, beside the regression loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam

from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.parametrization import PARAMETRIZATIONS
from mcvd.frames import Condition
from mcvd.nets.discriminator import Discriminator
from mcvd.nets.layers import without_autocast

LEARNING_RATE, BETAS = 2e-4, (0.5, 0.9)


class Adversary:
    """A discriminator that learns along with a denoiser, by least squares (LSGAN), and is thrown away afterwards.

    It is no part of the model that it belongs to: its weights are neither exported nor averaged, and have an optimiser
    of their own. All of it computes in float32.

    Args:
        num_planes: channels of all frames of a block together.
        size: height and width of the frames.
        bound: between minus this and this clean frames lie; estimates are clipped to it, as by samplers.
        seed: of its first weights.
    """

    def __init__(self, num_planes: int, size: tuple[int, int], bound: float = 1.0, seed: int = 0) -> None:
        self.bound, num_levels = bound, max(1, min(3, min(size).bit_length() - 2))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.discriminator = Discriminator(num_planes, num_levels=num_levels)
        self.optimizer = Adam(self.discriminator.parameters(), lr=LEARNING_RATE, betas=BETAS)

    def __deepcopy__(self, memo: dict[int, Any]) -> Adversary:
        return self  # of a model that is copied with its averages

    def to(self, device: torch.device) -> None:
        """Compute there from now on."""
        self.discriminator.to(device)
        for state in self.optimizer.state.values():
            state.update({name: value.to(device) for name, value in state.items() if torch.is_tensor(value)})

    def loss(self, estimate: Tensor, condition: Condition) -> Tensor:
        """How far the denoiser's frames are from being taken for true: float (B,), 0 where they are.

        Args:
            estimate: float (B, N, C, H, W), clean estimates as frames, with their gradient; clipped here.
            condition: the frames around them, as the denoiser sees them.
        """
        frozen = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        with without_autocast(estimate):
            judged = functional_call(self.discriminator, frozen, (self._planes(estimate, condition),))
        return (judged - 1).square().flatten(1).mean(1)

    def learn(self, true: Tensor, estimate: Tensor, condition: Condition) -> Tensor:
        """A step of the discriminator; its loss before, float ().

        A step whose gradients are not finite is left out. Where `torch.distributed` runs, processes share gradients.
        """
        with torch.enable_grad(), without_autocast(true):
            both = torch.cat([self._planes(frames.detach(), condition) for frames in (true, estimate)])
            of_true, of_estimate = self.discriminator(both).chunk(2)
            loss = (of_true - 1).square().mean() + (of_estimate + 1).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
        weights = list(self.discriminator.parameters())
        _share([weight.grad for weight in weights if weight.grad is not None])
        if clip_grad_norm_(weights, 1.0).isfinite():
            self.optimizer.step()
        return loss.detach()

    def _planes(self, frames: Tensor, condition: Condition) -> Tensor:
        """Context and current frames as channels, float32 (B, (P + N + F) * C, H, W)."""
        current = frames.clamp(-self.bound, self.bound)
        return torch.cat([condition.past, current, condition.future], dim=1).flatten(1, 2).float()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of `state_dict`."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])


def _share(gradients: list[Tensor]) -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for gradient in gradients:
            torch.distributed.all_reduce(gradient)
            gradient.div_(torch.distributed.get_world_size())


def loss_and_frames(
    denoiser: Denoiser,
    clean: Tensor,
    condition: Condition,
    t: Tensor,
    noise: Tensor,
    weight: Tensor | None = None,
    context_noise: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`Denoiser.loss`, and the clean estimate that it is of, as frames (B, N, C, H, W), not clipped."""
    output, target, noisy, at, residual = denoiser.answer(clean, condition, t, noise, context_noise)
    estimate = PARAMETRIZATIONS[denoiser.predicts].clean(output, noisy, at)
    frames = estimate if residual is None else residual.to_frames(estimate)
    return denoiser.weighed(output - target, t, at, weight, residual), frames
