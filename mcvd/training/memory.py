"""How much memory a training step takes, known before the first: a step run on fake tensors."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mcvd.diffusion.denoiser import Denoiser
from mcvd.frames import Condition
from mcvd.models.mcvd import MCVD
from mcvd.runtime.device import size_text

TOLERANCE = 0.2  # how far an estimate may be from the measured peak
OVERHEAD = 128 << 20  # bytes beside tensors: libraries loaded late, workspace of kernels
LARGE = 64  # a batch in which the weights hide nothing


@dataclass(frozen=True)
class MemoryEstimate:
    """The peak memory of a training step, found by running a step on fake tensors, which have shapes and types alone.

    Nothing is computed and no memory is taken. What kernels use inside and what the allocator loses between tensors is
    not seen; see `TOLERANCE`.

    Args:
        model: its weights are read for their shapes.
        device: where it will train.
        autocast: the context of the forward pass.
        num_copies: of the weights, beside gradients and the optimiser's: 1 with averages, 1 more with several
            processes, which collect gradients in memory of their own.
        num_shards: over how many processes these copies, the gradients and what the optimiser keeps are shared out;
            in a step weights and gradients are whole all the same, and once more while they are exchanged.
    """

    model: MCVD
    device: torch.device
    autocast: Callable[[], AbstractContextManager] = nullcontext
    num_copies: int = 1
    num_shards: int = 1

    def at(self, batch_size: int) -> int:
        """Bytes for a batch of so many clips.

        Raises:
            RuntimeError: the network does what fake tensors cannot, such as deciding by the value of a tensor.
        """
        weights = sum(weight.nbytes for weight in self.model.parameters())
        copies = self.num_copies + _moments(self.model.optimizer)
        if self.num_shards > 1:
            copies = 1 + (copies + 1) / self.num_shards
        return OVERHEAD + round(copies * weights) + self._peak(batch_size)

    def largest_batch(self, free: int, most: int = 1 << 20) -> int:
        """The largest power of two up to ``most`` whose batch surely fits into these bytes; 0 if one clip does not."""
        surely = free / (1 + TOLERANCE)
        # In large batches memory grows by the same for each clip; in small ones the weights' gradients may hide that.
        many, more = self.at(LARGE), self.at(2 * LARGE)
        each = max(1, (more - many) // LARGE)
        fitting = min(most, LARGE + math.floor((surely - many) / each))
        batch_size = 1 << (fitting.bit_length() - 1) if fitting > 0 else 0
        while batch_size and self.at(batch_size) > surely:
            batch_size //= 2
        return batch_size

    def refusal(self, batch_size: int, need: int, free: int) -> str:
        """Why a batch that needs so many bytes does not fit, and what to do; empty where it may fit.

        Args:
            batch_size: clips in it; 0 where not even one fits.
            need: `at` that size, at least one clip.
            free: bytes that are free.
        """
        if batch_size and need / (1 + TOLERANCE) <= free:
            return ""
        fitting = self.largest_batch(free) if batch_size else 0
        instead = (
            f"--data.batch_size {fitting} fits (with --trainer.accumulate_grad_batches, steps of as many clips)"
            if fitting
            else "not even one clip fits: take --model.net.init_args.gradient_checkpointing true, "
            "--trainer.precision bf16-mixed, smaller frames or a narrower network"
        )
        batch = f"--data.batch_size {batch_size}" if batch_size else "a single clip"
        return (
            f"training with {batch} needs about {size_text(need)} of memory, and {size_text(free)} are free: {instead}"
        )

    def _peak(self, batch_size: int) -> int:
        """Bytes that live at once in a step, weights and gradients among them."""
        model, denoiser = self.model, self.model.denoiser
        was_training, loss = denoiser.training, _Loss(denoiser.train())
        with FakeTensorMode(allow_non_fake_inputs=True), _LiveBytes() as live:
            weights = {
                name: torch.zeros(each.shape, dtype=each.dtype, device=self.device, requires_grad=each.requires_grad)
                for name, each in loss.named_parameters()
            }
            # As in Lightning's loop: the gradients of the last step live until the next backward pass.
            for weight in weights.values():
                weight.grad = torch.zeros_like(weight)
            planes = model.codec.planes(model.channels)
            size = model.codec.frame_size(model.size)
            video = torch.zeros(batch_size, model.net_block.num_frames, planes, *size, device=self.device)
            past, current, future = model.net_block.split(video)
            time = torch.zeros(batch_size, device=self.device)
            condition = Condition.visible(past, future)
            if model.signals is not None:
                told = torch.zeros(batch_size, model.block.num_frames, model.signals.size, device=self.device)
                condition = replace(condition, signals=told)
            if model.super_resolution is not None:
                condition = replace(condition, low=model.super_resolution.reduced(current))
            of_context = torch.zeros_like(condition.frames) if denoiser.diffuses_context else None
            arguments = (current, condition, time, torch.zeros_like(current), None, of_context)
            with self.autocast():
                mean = functional_call(loss, weights, arguments).mean()
            for weight in weights.values():
                weight.grad = None
            mean.backward()
        denoiser.train(was_training)
        return live.peak


def _moments(optimizer: Callable[[Iterable], Optimizer]) -> float:
    """How many numbers an optimiser keeps for each weight: 2 for Adam."""
    weight = nn.Parameter(torch.zeros(32, 32))
    trial = optimizer([weight])
    weight.grad = torch.zeros_like(weight)
    trial.step()
    return sum(each.nbytes for each in trial.state[weight].values() if torch.is_tensor(each)) / weight.nbytes


class _Loss(nn.Module):
    """The loss as a call, for `functional_call`."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, *arguments: Any) -> Tensor:
        return self.denoiser.loss(*arguments)


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive inside the ``with``, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and (storage := each.untyped_storage()) not in self._seen:
                self._seen.add(storage)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._end, storage.nbytes())
                self.peak = max(self.peak, self.now)
        return result

    def _end(self, num_bytes: int) -> None:
        self.now -= num_bytes
