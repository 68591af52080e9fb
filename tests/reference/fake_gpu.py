"""A GPU that is not there: tensors "on" it have shapes and no numbers, and what makes a host wait is written down.

A read from it (``.item()``, ``if tensor:``) raises `torch._subclasses.fake_tensor.DataDependentOutputException`. Where
ordinary memory is sent to it, for which PyTorch waits as well, is collected in `FakeGPU.sent`.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda")


class FakeGPU(TorchDispatchMode):
    """Inside the ``with`` of `on`, operations with its tensors give shapes, and those of the CPU alone compute."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []  # where numbers were sent, such as "noise.py:84"
        self._shapes = FakeTensorMode(allow_non_fake_inputs=True)

    def zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor on it."""
        with self._shapes:
            return torch.zeros(shape, dtype=dtype, device=CUDA)

    def move(self, module: nn.Module) -> nn.Module:
        """A module with all its tensors on it."""
        return module._apply(lambda each: self.zeros(*each.shape, dtype=each.dtype))

    @contextmanager
    def on(self, monkeypatch) -> Iterator[FakeGPU]:
        """Use it; autograd's state is that of the caller, but not inference mode, which hides what operations do."""
        monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
        with self._shapes, self:
            yield self

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_leaves((args, kwargs))
        tensors = [each for each in leaves if isinstance(each, Tensor)]
        names_gpu = any(isinstance(each, torch.device) and each.type == "cuda" for each in leaves)
        if not names_gpu and not any(isinstance(each, FakeTensor) for each in tensors):
            with unset_fake_temporarily():
                return function(*args, **kwargs)
        from_host = [each for each in tensors if each.device.type == "cpu"]
        copies = any(word in str(function) for word in ("_to_copy", "copy_", "lift_fresh"))
        if any(each.ndim for each in from_host) or (copies and from_host):
            self.sent.append(_place())
        return function(*args, **kwargs)


def _place() -> str:
    """The last line of mcvd's own that was running."""
    own = [frame for frame in traceback.extract_stack() if "mcvd" in Path(frame.filename).parts]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "elsewhere"
