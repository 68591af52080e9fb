"""Making what a visitor asked for, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcvd.apps.studio.clip import Clip, Limits
from mcvd.apps.studio.selection import Selection, Task
from mcvd.apps.studio.watched import WatchedSampler
from mcvd.diffusion.plan import plan
from mcvd.models.mcvd import MCVD
from mcvd.samplers import AbstractSampler


@dataclass(frozen=True)
class GenerationRequest:
    """How videos are to be made; see `mcvd.diffusion.options.SamplingOptions`."""

    task: Task
    sampler: AbstractSampler
    num_samples: int = 1
    guidance: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class PartialResult:
    """Videos that are being made.

    Args:
        frames: uint8 (K, T, C, H, W); grey where nothing was made yet.
        is_made: bool (T,), which of the frames are there.
    """

    frames: Tensor
    is_made: Tensor


def make(
    model: MCVD,
    clip: Clip,
    marks: Selection,
    wish: GenerationRequest,
    limits: Limits,
    tell: Callable[[float], None] = lambda _: None,
) -> Iterator[PartialResult]:
    """Make videos; the same ones that `mcvd.predict` and its sisters would.

    Args:
        model: on its device.
        clip: where the given frames are.
        marks: which frames are given and made.
        wish: how.
        limits: what is refused.
        tell: called before each call of the network with the part of the work that is done, 0 to 1; what it raises
            stops the work.

    Yields:
        After each block what there is by then.

    Raises:
        ValueError: the wish is beyond the limits, or the model cannot do it.
    """
    length = len(marks.made)
    wanted = {"frames": length, "samples": wish.num_samples, "steps": wish.sampler.num_calls}
    for name, number in wanted.items():
        if not 1 <= number <= getattr(limits, name):
            raise ValueError(f"{number} {name} were asked for, the studio makes 1 to {getattr(limits, name)}")
    num_blocks = sum(1 for _ in plan(model.block, len(marks.past), len(marks.future), length))
    blocks = calls = 0

    def before_call() -> None:
        nonlocal calls
        tell((blocks + min(1.0, calls / wish.sampler.num_calls)) / num_blocks)
        calls += 1

    options: dict[str, Any] = {
        "sampler": WatchedSampler(wish.sampler, before_call),
        "guidance": wish.guidance,
        "seed": wish.seed,
    }
    past, future = (clip.frames[side.start : side.stop][None] for side in (marks.past, marks.future))
    if wish.task == "generate":  # as model.generate does: videos of their own, not samples of one
        past, future = (side.expand(wish.num_samples, -1, -1, -1, -1) for side in (past, future))
    else:
        options["num_samples"] = wish.num_samples
    frames = torch.full((wish.num_samples, length, *clip.frames.shape[1:]), 128, dtype=torch.uint8)
    is_made = torch.zeros(length, dtype=torch.bool)
    for start, block in model.stream(past, length, future=future, progress=False, **options):
        new = block.reshape(wish.num_samples, -1, *frames.shape[2:])
        frames[:, start : start + new.shape[1]] = new
        is_made[start : start + new.shape[1]] = True
        blocks, calls = blocks + 1, 0
        yield PartialResult(frames.clone(), is_made.clone())
