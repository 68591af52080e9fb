"""Clips to score on, read batch by batch, so that as many as a protocol asks for need no memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from torch import Tensor

from mcvd.data.clips.dataset import ClipDataset
from mcvd.data.loader import ForkSafeLoader


class ClipBatches:
    """Batches of clips, and the digest of all of them after they were read.

    Args:
        dataset: all of its clips, in order.
        batch_size: clips of a batch.
        num_workers: processes that read.
    """

    def __init__(self, dataset: ClipDataset, batch_size: int, num_workers: int = 0) -> None:
        self._loader = ForkSafeLoader(dataset, batch_size=batch_size, num_workers=num_workers)
        self.num_clips = len(dataset)
        self._digest: str | None = None

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        """uint8 (B, T, C, H, W), and where the clips have signals float32 (B, T, A) beside it."""
        sha256 = hashlib.sha256()
        for number, batch in enumerate(self._loader):
            clips: Tensor = batch["video"]
            if not number:
                sha256.update(f"clips {clips.dtype} {(self.num_clips, *clips.shape[1:])}\n".encode())
            sha256.update(clips.contiguous().numpy().tobytes())
            yield (clips, batch["signals"]) if "signals" in batch else clips
        self._digest = sha256.hexdigest()

    def digest(self) -> str:
        """`mcvd.runtime.digests.digest` of the clips as one tensor, by the name ``clips``.

        Raises:
            RuntimeError: they were not all read yet.
        """
        if self._digest is None:
            raise RuntimeError("the digest of clips is known after all of them were read")
        return self._digest
