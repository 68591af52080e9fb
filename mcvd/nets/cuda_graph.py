"""A network replayed as a CUDA graph, and when that pays."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from mcvd.nets.compiled import Compile
from mcvd.nets.modulation import NormModulation

MAX_GRAPHS = 4  # batches of a video differ in size at its first block and in their last part

Shapes = tuple[Any, ...]


class CUDAGraphNet:
    """Calls a network on a GPU by replaying its kernels as one CUDA graph, so that launching them costs nothing.

    A graph belongs to one shape of calls, and to conditions that differ in their numbers alone: the first call is an
    ordinary one, the second, with the same ``condition``, records the graph, which takes about as long, and all further
    ones replay it. Another condition, such as that of the next block of a video, is copied into the recorded one.
    Nothing is compiled. Where recording fails the network works on without, and a warning says so once. It is called
    without autograd, and its weights must not change meanwhile.
    """

    def __init__(self, net: nn.Module):
        self.net = net
        self._seen: tuple[Any, Shapes] | None = None  # condition and shapes of the last call
        self._recorded: dict[Shapes, _Recording] = {}
        self._pool: Any = None
        self._works = True

    def __call__(self, noisy: Tensor, label: Tensor, condition: Any) -> Tensor:
        """What ``net(noisy, label, condition)`` answers."""
        shapes = (noisy.shape, noisy.dtype, label.shape, label.stride())
        if not self._works:
            return self.net(noisy, label, condition)
        recording = self._recorded.get(shapes)
        if recording is None or not recording.takes(condition):
            if self._seen is None or self._seen[0] is not condition or self._seen[1] != shapes:
                self._seen = condition, shapes
                return self.net(noisy, label, condition)
            try:
                recording = self._record(noisy, label, condition)
            except RuntimeError as error:
                warnings.warn(f"the network works without CUDA graphs: {str(error)[:200]}", stacklevel=2)
                self._works = False
                self._recorded.clear()
                return self.net(noisy, label, condition)
            self._recorded.pop(shapes, None)
            if len(self._recorded) == MAX_GRAPHS:
                self._recorded.pop(next(iter(self._recorded)))
            self._recorded[shapes] = recording
        recording.noisy.copy_(noisy)
        recording.label.copy_(label if label.stride(0) else label[:1])
        recording.replay()
        return recording.answer.clone()  # the next replay overwrites it

    def _record(self, noisy: Tensor, label: Tensor, condition: Any) -> _Recording:
        its_noisy, its_label = noisy.clone(), label.clone() if label.stride(0) else label[:1].clone()
        its_condition = with_tensors(condition, torch.clone)
        device = noisy.device.type
        # Weights that autocast has cast and keeps are gone at the end of a block, and the graph would read what is
        # there then: it casts them itself.
        casting = torch.autocast(
            device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device), cache_enabled=False
        )

        def work() -> Tensor:
            with casting:
                answer: Tensor = self.net(its_noisy, its_label.expand(label.shape), its_condition)
            return answer

        replay, answer = self._capture(work)
        return _Recording(replay, its_noisy, its_label, its_condition, answer, condition)

    def _capture(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """What repeats the kernels of some work on the tensors that it reads, and the tensor where its answer is."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        # Not `torch.cuda.graph`, which empties the allocator's cache each time. Graphs share a pool: one is replayed
        # after the other, and their answers are copied. Other threads may use the GPU: only this one is watched.
        graph, here, aside = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                answer = work()
            finally:
                graph.capture_end()
        here.wait_stream(aside)
        return graph.replay, answer

    def reset(self) -> None:
        """Let go of conditions that were seen; what was recorded stays, for others."""
        self._seen = None
        for recording in self._recorded.values():
            recording.holds = None


@dataclass
class _Recording:
    """A graph, the tensors that it reads, the one it writes, and the condition whose numbers are in them."""

    replay: Callable[[], None]
    noisy: Tensor
    label: Tensor
    condition: Any
    answer: Tensor
    holds: Any

    def takes(self, condition: Any) -> bool:
        """Bring the numbers of a condition into the graph; False if it differs in more than these."""
        if condition is self.holds:
            return True
        pairs = [*zip(leaves(self.condition), leaves(condition), strict=False)]
        if len([*leaves(self.condition)]) != len([*leaves(condition)]) or not all(_alike(*pair) for pair in pairs):
            return False
        for own, other in pairs:
            if isinstance(own, Tensor):
                own.copy_(other)
        self.holds = condition
        return True


def with_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same as ``value``, with what ``function`` makes of each tensor in it."""
    if isinstance(value, Tensor):
        return function(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{each.name: with_tensors(getattr(value, each.name), function) for each in fields(value)}
        )
    if isinstance(value, NormModulation):
        twin = copy.copy(value)
        vars(twin).update({name: with_tensors(each, function) for name, each in vars(value).items()})
        return twin
    if isinstance(value, Mapping):
        return {key: with_tensors(each, function) for key, each in value.items()}
    if type(value) in (tuple, list):
        return type(value)(with_tensors(each, function) for each in value)
    return value


def leaves(value: Any) -> Iterator[Any]:
    """All tensors in ``value``, in order, and what else is in it."""
    if isinstance(value, Mapping):
        yield from value  # its keys
        value = [*value.values()]
    if is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, each.name) for each in fields(value)]
    elif isinstance(value, NormModulation):
        value = [*vars(value).values()]
    if type(value) in (tuple, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def _alike(own: Any, other: Any) -> bool:
    """Whether one can stand for the other: the same thing, or numbers to be copied."""
    if isinstance(own, Tensor) and isinstance(other, Tensor):
        return own.shape == other.shape and own.dtype == other.dtype and own.device == other.device
    return own is other or (isinstance(own, (int, float, str, MethodType)) and own == other)


def should_graph(compile: Compile, device: torch.device) -> bool:
    """Whether to replay the network from CUDA graphs where it is not compiled."""
    return device.type == "cuda" and compile != "never"
