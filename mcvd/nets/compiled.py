"""A network called through `torch.compile`, or as it is from the moment that this fails."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mcvd.runtime.error_text import one_line

Compile = Literal["auto", "always", "never"]

WORTH_CALLS = 10_000  # compiling takes one to four minutes; fewer calls do not win them back


class CompiledNet:
    """Calls a network through `torch.compile`.

    The first batch size is compiled as it is, the second one for all sizes (and a batch of one by itself): never again
    for each. Where compiling fails the network works on uncompiled, and a warning says so once. Its weights stay where
    they are and may change. The options are those of `torch.compile`.
    """

    def __init__(self, net: nn.Module, **options: Any):
        self.net = net
        self._compiled = torch.compile(net, **options)

    def __call__(self, noisy: Tensor, label: Tensor, condition: Any) -> Tensor:
        """What ``net(noisy, label, condition)`` answers."""
        if self._compiled is self.net:
            return self.net(noisy, label, condition)
        try:
            torch.compiler.cudagraph_mark_step_begin()
            return self._compiled(noisy, label, condition).clone()  # a CUDA graph's next call overwrites its answer
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = one_line(error)[:200]
            warnings.warn(f"the network works uncompiled, as compiling it failed: {reason}", stacklevel=2)
            self._compiled = self.net
            return self.net(noisy, label, condition)


def should_compile(compile: Compile, device: torch.device, num_calls: float) -> bool:
    """Whether to compile for so many calls: by itself only on a GPU (on a CPU it gains nothing), for long work.

    Raises:
        ValueError: ``compile`` is none of the three words.
    """
    if compile not in ("auto", "always", "never"):
        raise ValueError(f"compile must be 'auto', 'always' or 'never', got {compile!r}")
    return compile == "always" or (compile == "auto" and device.type == "cuda" and num_calls >= WORTH_CALLS)
