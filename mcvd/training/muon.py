"""An optimiser for networks of convolutions: the step of a weight matrix is equally long in all of its directions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adamw import adamw

from mcvd.runtime.device import has_fast_bf16
from mcvd.runtime.fsdp import full_tensor

COEFFICIENTS = 3.4445, -4.7750, 2.0315  # of Jordan et al.: they lift small singular values the fastest
NUM_ROUNDS = 5


class Muon(Optimizer):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): momentum, made orthogonal.

    The weight of a convolution counts as a matrix from its inputs, channels times places of the kernel, to its outputs.
    The momentum of a matrix is replaced by the nearest one with orthogonal rows or columns before it is subtracted, so
    that also directions with small gradients are learned. Biases, scales of norms and matrices of one row or column are
    trained by AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101), with a learning rate of their own. `torch.optim.Muon`
    takes matrices alone.

    Only directions of gradients count, so the scale of the loss does not matter.

    As a fused optimiser, it leaves out a step on the device, without reading anything back, if ``found_inf`` is set: a
    float tensor of shape () that is not 0.

    Args:
        params: all parameters of a model.
        lr: learning rate of matrices. A step changes one of R rows and C columns by ``lr * sqrt(max(1, R / C))`` in its
            spectral norm, whatever the gradient is. About 0.02 for training from nothing; half of it or less for
            further training, where AdamW was measured to be as good.
        momentum: how much of the mean gradient is kept in a step, as Nesterov's.
        weight_decay: part of every weight that is taken away in a step, times its learning rate.
        adam_lr: learning rate of all other parameters.
        betas: of their moments.
        eps: added to the root of the second one.

    Raises:
        ValueError: a number is out of range, or parameters come in groups.
    """

    found_inf: Tensor | None = None
    skips_on_device = True  # what `found_inf` says, as optimisers with ``fused=True`` do

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        adam_lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ):
        for name, value in {"lr": lr, "adam_lr": adam_lr, "weight_decay": weight_decay, "eps": eps}.items():
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be 0 or more, got {value}")
        for name, value in {"momentum": momentum, "betas[0]": betas[0], "betas[1]": betas[1]}.items():
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value}")
        params = list(params)
        if not all(isinstance(each, Tensor) for each in params):
            raise ValueError("Muon finds the groups of parameters itself: give it model.parameters()")
        matrices = [each for each in params if _is_matrix(each)]
        others = [each for each in params if not _is_matrix(each)]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "lr": lr, "momentum": momentum},
            {"params": others, "lr": adam_lr, "betas": tuple(betas), "eps": eps},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [each for each in group["params"] if each.grad is not None]
            if params and "momentum" in group:
                self._step_matrices(params, group)
            elif params:
                self._step_others(params, group)
        return loss

    def _step_matrices(self, params: list[nn.Parameter], group: dict[str, Any]) -> None:
        alike: defaultdict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        skipped = self._found_inf(params[0])
        taken = 1 - skipped  # 1, or 0 for a step that changes nothing
        for param in params:
            state, gradient = self.state[param], param.grad
            assert gradient is not None
            if not state:
                state["momentum_buffer"] = torch.zeros_like(param)
            gradient = torch.where(skipped != 0, 0.0, gradient)
            mean = state["momentum_buffer"].lerp_(gradient, (1 - group["momentum"]) * taken)
            update = full_tensor(gradient.lerp(mean, group["momentum"])).flatten(1)
            alike[update.shape[0], update.shape[1]].append((param, update))
        for (rows, columns), members in alike.items():
            updates = orthogonalized(torch.stack([update for _, update in members]))
            rate = group["lr"] * max(1.0, rows / columns) ** 0.5
            updates = updates * (rate * taken)
            for (param, _), update in zip(members, updates, strict=True):
                if group["weight_decay"]:
                    param.mul_(1 - group["lr"] * group["weight_decay"] * taken)
                param.sub_(_shared_as(update.to(param.dtype).view(param.shape), param))

    def _step_others(self, params: list[nn.Parameter], group: dict[str, Any]) -> None:
        for param in params:
            if not self.state[param]:
                zero = torch.zeros_like(param)
                self.state[param].update(
                    step=torch.zeros((), device=param.device), exp_avg=zero, exp_avg_sq=zero.clone()
                )
        states = [self.state[param] for param in params]
        for param, state in zip(params, states, strict=True):  # checkpoints have steps that were counted on the CPU
            state["step"] = state["step"].to(param.device)
        adamw(
            list[Tensor](params),
            [param.grad for param in params if param.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
            fused=True,
            found_inf=self._found_inf(params[0]),
        )

    def _found_inf(self, like: Tensor) -> Tensor:
        """1 to leave this step out, 0 to take it, float () on the device of the parameters."""
        none_found = torch.zeros((), device=like.device)
        return none_found if self.found_inf is None else (self.found_inf != 0).to(none_found)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Matrices with the same singular vectors, whose singular values are near 1.

    By a polynomial of degree five, `NUM_ROUNDS` times: after that the values lie between about 0.7 and 1.2, but for
    those that were thousands of times smaller than the largest.

    Args:
        matrices: float (K, R, C).

    Returns:
        The same shape; bfloat16 where the device is fast in it, else float32.
    """
    dtype = torch.bfloat16 if has_fast_bf16(matrices.device) else torch.float32
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if is_tall else matrices).float()
    x = (x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-12)).to(dtype)
    a, b, c = COEFFICIENTS
    for _ in range(NUM_ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if is_tall else x


def _is_matrix(param: Tensor) -> bool:
    """Whether it maps several inputs to several outputs."""
    return param.ndim >= 2 and 1 < param.shape[0] < param.numel()


def _shared_as(x: Tensor, param: Any) -> Tensor:
    """A whole tensor, shared out as a parameter is."""
    if not hasattr(param, "device_mesh"):
        return x
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(x, param.device_mesh, param.placements, src_data_rank=None)
