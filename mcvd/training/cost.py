"""What a training will cost, before it is begun: its memory, and the time of a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from mcvd.models.load import build
from mcvd.models.mcvd import MCVD
from mcvd.runtime.device import free_bytes, size_text
from mcvd.runtime.yaml_file import read_yaml
from mcvd.training.memory import MemoryEstimate

DEFAULT_BATCH = 8
_NUM_TIMED = 2


@dataclass(frozen=True)
class TrainingEstimate:
    """A training as its config file describes it.

    Args:
        model: untrained.
        batch_size: clips in a batch.
        autocast: the context of the forward pass.
        num_steps: how many, or None where the file does not say.
    """

    model: MCVD
    batch_size: int
    autocast: Callable[[], AbstractContextManager]
    num_steps: int | None

    def cost(self, clips: Sequence[Tensor]) -> tuple[list[str], str]:
        """Lines that tell memory and time, and what stops the training, or nothing.

        Args:
            clips: some of its clips, uint8 (T, C, H, W) each.
        """
        device = self.model.device
        memory = MemoryEstimate(self.model, device, self.autocast)
        needed, free = memory.at(self.batch_size), free_bytes(device)
        lines = [
            f"training: needs about {size_text(needed)} for batches of {self.batch_size}, {size_text(free)} are free "
            f"on this {device.type}"
        ]
        if refusal := memory.refusal(self.batch_size, needed, free):
            return lines, refusal
        seconds = self._step_seconds(clips)
        in_all = f", {self.num_steps} steps {_hours(seconds * self.num_steps)}" if self.num_steps else ""
        return [*lines, f"training: a step takes about {seconds:.2g} s{in_all}, reading aside"], ""

    def _step_seconds(self, clips: Sequence[Tensor]) -> float:
        """Of forward and backward pass, from the faster of two steps of few clips."""
        few = torch.stack([clips[i % len(clips)] for i in range(min(_NUM_TIMED, self.batch_size))])
        batch, taken = {"video": few.to(self.model.device), "index": [*range(len(few))]}, []
        if self.model.signals is not None:  # what they say costs nothing
            batch["signals"] = torch.zeros(*few.shape[:2], self.model.signals.size, device=self.model.device)
        for _ in range(2):
            begin = time.perf_counter()
            with self.autocast():
                loss = self.model.loss(batch).mean()
            loss.backward()
            loss.item()  # waits for the device
            taken.append(time.perf_counter() - begin)
        self.model.zero_grad()
        return min(taken) * self.batch_size / len(few)


def training_estimate(config: str | Path, batch_size: int | None, device: torch.device) -> TrainingEstimate:
    """The training of a YAML for ``mcvd fit`` with a section ``model:``; ``batch_size`` overrides its own.

    Raises:
        ValueError: it has no model, or one that cannot be built.
        FileNotFoundError: it is not there.
    """
    sections = read_yaml(config)
    model, data, trainer = (sections.get(name) or {} for name in ("model", "data", "trainer"))
    if not model:
        raise ValueError(f"{config} has no section model:, which says what is to be trained")
    built = build({name: value for name, value in model.items() if name != "optimizer"}, trust=True)  # as mcvd fit
    own = data.get("batch_size")
    is_bf16 = str(trainer.get("precision", "")).startswith("bf16")
    return TrainingEstimate(
        built.train().requires_grad_(True).to(device),
        batch_size or (own if isinstance(own, int) else DEFAULT_BATCH),
        partial(torch.autocast, device.type, torch.bfloat16) if is_bf16 else nullcontext,
        trainer.get("max_steps"),
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2g} h" if seconds >= 3600 else f"{seconds / 60:.2g} min"
