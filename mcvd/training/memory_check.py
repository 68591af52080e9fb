"""Before the first step of a training: how much memory it needs, whether that is free, and which batch fits."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from lightning import Callback, LightningModule, Trainer

from mcvd.data.datamodule import VideoData
from mcvd.models.mcvd import MCVD
from mcvd.runtime.device import free_bytes, size_text
from mcvd.runtime.fsdp import FSDP2Strategy
from mcvd.training.ema import EMA
from mcvd.training.memory import MemoryEstimate


class MemoryCheck(Callback):
    """Logs what the training needs, refuses what surely does not fit, and chooses the batch size if asked to.

    Args:
        choose: take the largest power of two whose batch fits into the memory that is free, but no more
            clips than there are; the same in all processes.
        chosen: called with that batch size, before the run's config is written.
        log: called with a line for the user.
    """

    def __init__(self, choose: bool, chosen: Callable[[int], None], log: Callable[[str], object]):
        self.choose = choose
        self.chosen = chosen
        self.report = log

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Estimate, choose, refuse, log: before the run's folder is made."""
        data, device = trainer.datamodule, trainer.strategy.root_device  # type: ignore[attr-defined]
        assert isinstance(pl_module, MCVD) and isinstance(data, VideoData)
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        num_averages = sum(isinstance(callback, EMA) for callback in callbacks)
        memory = MemoryEstimate(
            pl_module,
            device,
            trainer.precision_plugin.forward_context,
            num_copies=num_averages + (trainer.world_size > 1),
            num_shards=trainer.world_size if isinstance(trainer.strategy, FSDP2Strategy) else 1,
        )
        free = free_bytes(device) // (trainer.num_devices if device.type == "cpu" else 1)
        try:
            if self.choose:
                most = max(1, len(data.train_clips) // trainer.world_size)  # a step of each clip once
                own = torch.tensor(memory.largest_batch(free, most), device=device)
                data.batch_size = int(trainer.strategy.reduce(own, reduce_op="min"))
            need = memory.at(max(1, data.batch_size))
        except RuntimeError as error:  # a network of somebody else's, which the estimate cannot run
            if self.choose:
                raise ValueError(f"data.batch_size auto: cannot estimate this network's memory: {error}") from error
            warnings.warn("cannot estimate this network's memory", stacklevel=2)
            return
        if refusal := memory.refusal(data.batch_size, need, free):
            raise ValueError(refusal)
        if self.choose:
            self.chosen(data.batch_size)
        if trainer.is_global_zero:
            batch = f"--data.batch_size {data.batch_size}" + (" (chosen)" if self.choose else "")
            self.report(f"this needs about {size_text(need)} with {batch}; {size_text(free)} are free")
