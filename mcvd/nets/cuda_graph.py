"""A network replayed as a CUDA graph, and when that pays."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from mcvd.nets.compiled import Compile


class CUDAGraphNet:
    """Calls a network on a GPU by replaying its kernels as one CUDA graph, so that launching them costs nothing.

    A graph belongs to one ``condition`` and one shape: the first call with them is an ordinary one, the second records
    the graph, which takes about as long, and all further ones replay it. Nothing is compiled. Where recording fails the
    network works on without, and a warning says so once. It is called without autograd, and its weights must not change
    meanwhile.
    """

    def __init__(self, net: nn.Module):
        self.net = net
        self._seen: tuple[Any, ...] | None = None  # condition and shapes of the last call
        self._recorded: tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor] | None = None
        self._is_current = False  # whether the graph is one of what was seen
        self._pool: Any = None
        self._works = True

    def __call__(self, noisy: Tensor, label: Tensor, condition: Any) -> Tensor:
        """What ``net(noisy, label, condition)`` answers."""
        shapes = (noisy.shape, noisy.dtype, label.shape, label.stride())
        if not self._works or self._seen is None or self._seen[0] is not condition or self._seen[1:] != shapes:
            self._seen, self._is_current = (condition, *shapes), False
            return self.net(noisy, label, condition)
        if not self._is_current:
            try:
                self._recorded = self._record(noisy, label, condition)
                self._is_current = True
            except RuntimeError as error:
                warnings.warn(f"the network works without CUDA graphs: {str(error)[:200]}", stacklevel=2)
                self._works = False
                return self.net(noisy, label, condition)
        assert self._recorded is not None
        graph, its_noisy, its_label, answer = self._recorded
        its_noisy.copy_(noisy)
        its_label.copy_(label if label.stride(0) else label[:1])
        graph.replay()
        return answer.clone()  # the next replay overwrites it

    def _record(
        self, noisy: Tensor, label: Tensor, condition: Any
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
                answer = self.net(its_noisy, its_label.expand(label.shape), condition)
            finally:
                graph.capture_end()
        here.wait_stream(aside)
        return graph, its_noisy, its_label, answer

    def reset(self) -> None:
        """Let go of the condition that was seen; further calls begin anew."""
        self._seen, self._is_current = None, False


def should_graph(compile: Compile, device: torch.device) -> bool:
    """Whether to replay the network from CUDA graphs where it is not compiled."""
    return device.type == "cuda" and compile != "never"
