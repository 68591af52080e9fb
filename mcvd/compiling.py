"""A network called through `torch.compile`, or as it is from the moment that this fails."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch
from torch import Tensor, nn

Compile = Literal["auto", "always", "never"]

WORTH_CALLS = 10_000  # compiling takes one to four minutes; fewer calls do not win them back


class CompiledNet:
    """Calls a network through `torch.compile`.

    The first batch size is compiled as it is, the second one for all sizes (and a batch of one by itself): never again
    for each. Where compiling fails the network works on uncompiled, and a warning says so once.

    Args:
        net: called as ``net(noisy, label, prepared)``; its weights stay where they are and may change.
        **options: of `torch.compile`.
    """

    def __init__(self, net: nn.Module, **options: Any):
        self.net = net
        self._quick = torch.compile(net, **options)

    def __call__(self, noisy: Tensor, label: Tensor, prepared: Any) -> Tensor:
        """What ``net(noisy, label, prepared)`` answers."""
        if self._quick is self.net:
            return self.net(noisy, label, prepared)
        try:
            torch.compiler.cudagraph_mark_step_begin()
            return self._quick(noisy, label, prepared).clone()  # a CUDA graph's next call overwrites its answer
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join(str(error).split())[:200]
            warnings.warn(f"the network works uncompiled, as compiling it failed: {reason}", stacklevel=2)
            self._quick = self.net
            return self.net(noisy, label, prepared)


class GraphedNet:
    """Calls a network on a GPU by replaying its kernels as one CUDA graph, so that launching them costs nothing.

    A graph belongs to one ``prepared`` and one shape: the first call with them is an ordinary one, the second records
    the graph, which takes about as long, and all further ones replay it. Nothing is compiled. Where recording fails the
    network works on without, and a warning says so once.

    Args:
        net: called as ``net(noisy, label, prepared)``, without autograd; its weights must not change meanwhile.
    """

    def __init__(self, net: nn.Module):
        self.net = net
        self._seen: tuple[Any, ...] | None = None  # prepared and shapes of the last call
        self._recorded: tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor] | None = None
        self._is_current = False  # whether the graph is one of what was seen
        self._pool: Any = None
        self._works = True

    def __call__(self, noisy: Tensor, label: Tensor, prepared: Any) -> Tensor:
        """What ``net(noisy, label, prepared)`` answers."""
        shapes = (noisy.shape, noisy.dtype, label.shape, label.stride())
        if not self._works or self._seen is None or self._seen[0] is not prepared or self._seen[1:] != shapes:
            self._seen, self._is_current = (prepared, *shapes), False
            return self.net(noisy, label, prepared)
        if not self._is_current:
            try:
                self._recorded = self._record(noisy, label, prepared)
                self._is_current = True
            except RuntimeError as error:
                warnings.warn(f"the network works without CUDA graphs: {str(error)[:200]}", stacklevel=2)
                self._works = False
                return self.net(noisy, label, prepared)
        assert self._recorded is not None
        graph, its_noisy, its_label, answer = self._recorded
        its_noisy.copy_(noisy)
        its_label.copy_(label if label.stride(0) else label[:1])
        graph.replay()
        return answer.clone()  # the next replay overwrites it

    def _record(
        self, noisy: Tensor, label: Tensor, prepared: Any
    ) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]:
        its_noisy, its_label = noisy.clone(), label.clone() if label.stride(0) else label[:1].clone()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        # Not `torch.cuda.graph`, which empties the allocator's cache each time. The graph before lives until this one
        # is there, so that the pool's memory is used again. Other threads may use the GPU: only this one is watched.
        graph, here, aside = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                answer = self.net(its_noisy, its_label.expand(label.shape), prepared)
            finally:
                graph.capture_end()
        here.wait_stream(aside)
        return graph, its_noisy, its_label, answer

    def forget(self) -> None:
        """Let go of what was seen; further calls begin anew."""
        self._seen, self._is_current = None, False


def pays(compile: Compile, device: torch.device, num_calls: float) -> bool:
    """Whether to compile for so many calls: by itself only on a GPU (on a CPU it gains nothing), for long work.

    Raises:
        ValueError: ``compile`` is none of the three words.
    """
    if compile not in ("auto", "always", "never"):
        raise ValueError(f"compile must be 'auto', 'always' or 'never', got {compile!r}")
    return compile == "always" or (compile == "auto" and device.type == "cuda" and num_calls >= WORTH_CALLS)


def replays(compile: Compile, device: torch.device) -> bool:
    """Whether to replay the network from CUDA graphs where it is not compiled."""
    return device.type == "cuda" and compile != "never"
