"""Whether a batch fits into memory, asked before training instead of told by the system in the middle of it."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mcvd.data.module import VideoData
from mcvd.module import MCVD


class FitsMemory(Callback):
    """Refuses a batch whose gradients need more memory than there is.

    What one clip makes the network keep for its gradients is measured; temporary results come on top of it, so what is
    refused would certainly have failed.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare what a batch needs with what is free.

        Raises:
            ValueError: says how many clips would fit.
        """
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, MCVD) and isinstance(data, VideoData)
        free = free_bytes(pl_module.device)
        if free is None:
            return
        if pl_module.device.type == "cpu":
            free //= trainer.world_size  # shared by all processes
        shape = (pl_module.block.num_frames, pl_module.channels, *pl_module.size)
        with trainer.precision_plugin.train_step_context():
            each = kept_bytes(pl_module, torch.zeros(shape, dtype=torch.uint8, device=pl_module.device))
        if each * data.batch_size > free:
            raise ValueError(
                f"a batch of {data.batch_size} clips needs more than {each * data.batch_size / 1e9:.1f} GB of memory, "
                f"{free / 1e9:.1f} GB are free: set --data.batch_size to less than {max(2, free // each)}, and "
                "--trainer.accumulate_grad_batches if the optimiser shall still see as many"
            )


def kept_bytes(model: MCVD, clip: Tensor) -> int:
    """What the network keeps of one clip, uint8 (T, C, H, W), until its gradients are made."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        loss = model.loss({"video": clip[None], "index": [0]})
    del loss
    return max(1, sum(kept.values()))


def free_bytes(device: torch.device) -> int | None:
    """Memory that can still be had on a device; None where nobody tells."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    told = Path("/proc/meminfo")
    if device.type != "cpu" or not told.exists():
        return None
    found = re.search(r"MemAvailable:\s+(\d+) kB", told.read_text())
    return int(found[1]) << 10 if found else None
