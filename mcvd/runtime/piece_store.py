"""Finished pieces of long work on disk, numbered, so that an interrupted one resumes from them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcvd.runtime.atomic import atomic_write


class PieceStore:
    """Tensors in a folder of `mcvd.runtime.workdir`, a file each, that is there whole or not at all."""

    def __init__(self, folder: Path):
        self._folder = folder

    def load(self, number: int, shape: Sequence[int], dtype: torch.dtype) -> Tensor | None:
        """A piece of this shape and dtype; None if it is not there, or is another."""
        try:
            stored = torch.from_numpy(np.load(self._path(number), allow_pickle=False))
        except (OSError, ValueError, EOFError, TypeError):
            return None
        return stored if stored.shape == tuple(shape) and stored.dtype == dtype else None

    def save(self, number: int, piece: Tensor) -> None:
        """Store a piece; numbers count from 0."""
        content = BytesIO()  # written to a file, NumPy would not say why it cannot
        np.save(content, piece.contiguous().numpy(), allow_pickle=False)
        with atomic_write(self._path(number), sweep=False) as part:
            part.write_bytes(content.getvalue())

    def _path(self, number: int) -> Path:
        return self._folder / f"block-{number:06d}-0.npy"
