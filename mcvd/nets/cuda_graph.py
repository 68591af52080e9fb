"""A network replayed as a CUDA graph, and when that pays."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from mcvd.nets.compiled import Compile
from mcvd.nets.modulation import NormModulation

MAX_GRAPHS = 4  # batches of a video differ in size at its first block and in their last part

Shapes = tuple[Any, ...]
_NOTHING = object()  # no condition of anybody's, for which None may stand


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
        self._aside: torch.cuda.Stream | None = None
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

        replay, answer = self._capture(work, noisy.device)
        return _Recording(replay, its_noisy, its_label, its_condition, answer, condition)

    def _capture(self, work: Callable[[], Tensor], device: torch.device) -> tuple[Callable[[], None], Tensor]:
        """What repeats the kernels of some work on the tensors that it reads, and the tensor where its answer is."""
        # All of it names the device: it need not be the current one, whose kernels alone would be recorded.
        if self._aside is None:
            self._pool, self._aside = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)
        # Not `torch.cuda.graph`, which empties the allocator's cache each time. Graphs share a pool: one is replayed
        # after the other, and their answers are copied; memory is used again on the stream alone that it was taken for.
        # Other threads may use the GPU: only this one is watched.
        graph, here, aside = torch.cuda.CUDAGraph(), torch.cuda.current_stream(device), self._aside
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
            recording.holds = _NOTHING


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
        own, others = [*leaves(self.condition)], [*leaves(condition)]
        device = self.noisy.device
        if len(own) != len(others) or not all(alike(*pair, device) for pair in zip(own, others, strict=True)):
            return False
        copied = [pair for pair in zip(own, others, strict=True) if isinstance(pair[0], Tensor)]
        if not copied:  # a network that returns nothing may keep the condition itself
            return False
        for mine, other in copied:
            mine.copy_(other)
        self.holds = condition
        return True


def with_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same as ``value``, with what ``function`` makes of each tensor in it.

    It looks into dictionaries, lists, tuples, `NormModulation` and dataclasses that hold nothing but their fields; all
    else, and what is in it, stays as it is.
    """
    if isinstance(value, Tensor):
        return function(value)
    parts = _parts(value)
    if parts is None:
        return value
    made = {name: with_tensors(each, function) for name, each in parts.items()}
    if isinstance(value, dict):
        return made
    if isinstance(value, (tuple, list)):
        return type(value)(made.values())
    twin = copy.copy(value)
    for name, each in made.items():
        object.__setattr__(twin, name, each)  # a dataclass may be frozen
    return twin


def leaves(value: Any) -> Iterator[Any]:
    """All tensors in ``value``, in order, what else is in it, and how it is built of these."""
    parts = _parts(value)
    if parts is None:
        yield value
        return
    yield type(value)
    yield len(parts)
    for name, each in parts.items():
        yield name
        yield from leaves(each)


def _parts(value: Any) -> dict[Any, Any] | None:
    """What is in a container, by name or place; None of anything else."""
    if type(value) is dict:
        return value
    if type(value) in (tuple, list):
        return dict(enumerate(value))
    if isinstance(value, NormModulation):
        return vars(value)
    if is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in fields(value)]
        if {*getattr(value, "__dict__", ())} <= {*names}:  # what was made of the fields would stay as it is
            return {name: getattr(value, name) for name in names}
    return None


def alike(own: Any, other: Any, device: torch.device) -> bool:
    """Whether a graph of this device that has ``own`` can have ``other``: the same thing, or numbers to be copied.

    Numbers that are elsewhere were read when the graph was recorded. Of other objects nothing is known: they may have
    changed.
    """
    if isinstance(own, Tensor) and isinstance(other, Tensor):
        looks = [(each.shape, each.dtype, each.device, each.layout) for each in (own, other)]
        if looks[0] != looks[1] or own.layout != torch.strided:
            return False
        return own.device == device or torch.equal(own, other)
    if isinstance(own, MethodType) and isinstance(other, MethodType):
        return own == other and isinstance(own.__self__, nn.Module)
    if own is None or isinstance(own, (nn.Module, type, torch.dtype)):
        return own is other
    return isinstance(own, (int, float, str, torch.device)) and type(own) is type(other) and own == other


def should_graph(compile: Compile, device: torch.device) -> bool:
    """Whether to replay the network from CUDA graphs where it is not compiled."""
    return device.type == "cuda" and compile != "never"
