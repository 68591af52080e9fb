"""Finished blocks of a rollout on disk, so that an interrupted one resumes from them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcvd.frames import FrameBlock, model_from_pixels, pixels_from_model
from mcvd.runtime.atomic import atomic_write


class BlockStore:
    """Finished blocks of a rollout, a file each; a rollout with the same settings reads them instead of sampling.

    Frames that later blocks may see are stored exactly, older ones as pixels: a resumed rollout continues bit for bit
    as it would have, and 10,000 frames take the room of their pixels. The folder is for these blocks alone.

    Args:
        folder: for them.
        block: of the model.
        of_pixels: whether videos are the pixels of what is stored; if not, older frames stay as they are too.
        name: of the part of the work, if it has several; see `within`.
    """

    def __init__(self, folder: Path, block: FrameBlock, of_pixels: bool = True, name: str = ""):
        self._folder, self._block, self._of_pixels, self._name = folder, block, of_pixels, name
        reach = 1 + (block.current + max(block.past, block.future)) // block.current  # blocks a new one may see
        self._num_exact = 2 * (reach + 1)  # forward and backward ones alternate in a long gap

    def within(self, name: str) -> BlockStore:
        """One like it for another part of the same work, such as that of another model."""
        return BlockStore(self._folder, self._block, self._of_pixels, f"{self._name}{name}-")

    def load(self, part: int, number: int, shape: Sequence[int]) -> Tensor | None:
        """The frames of a block, float in the model's range; None if they are not there, or not whole."""
        try:
            stored = np.load(self._path(part, number), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if stored.shape != tuple(shape) or stored.dtype not in (np.uint8, np.float32, np.float64):
            return None
        frames = torch.from_numpy(np.array(stored))
        return model_from_pixels(frames) if frames.dtype == torch.uint8 else frames

    def save(self, part: int, number: int, frames: Tensor) -> None:
        """Store a sampled block, float (B, N, C, H, W) in any range; parts of the batch and blocks count from 0."""
        self._write(part, number, frames.detach().cpu())
        old = number - self._num_exact
        if self._of_pixels and old >= 0 and (seen := self.load(part, old, frames.shape)) is not None:
            self._write(part, old, pixels_from_model(seen))

    def _write(self, part: int, number: int, frames: Tensor) -> None:
        content = BytesIO()  # written to a file, NumPy would not say why it cannot
        np.save(content, frames.contiguous().numpy(), allow_pickle=False)
        with atomic_write(self._path(part, number), sweep=False) as beside:
            beside.write_bytes(content.getvalue())

    def _path(self, part: int, number: int) -> Path:
        return self._folder / f"block-{self._name}{number:06d}-{part}.npy"
