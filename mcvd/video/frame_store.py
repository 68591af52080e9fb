"""Videos that are too long for memory: frames in a file, written as they are made and read a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_CHUNK_BYTES = 16 << 20


class FrameStore:
    """Raw frames of some videos of one length, on disk.

    Read and written, not mapped: mapped pages would count as memory of the process.

    Args:
        path: of the file; one that is there is emptied.
        shape: (K, T, C, H, W).
        dtype: of their numbers.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int, int, int], dtype: torch.dtype = torch.uint8):
        self.path = path
        self.shape = shape
        self.dtype = dtype
        self.frame_bytes = int(np.prod(shape[2:])) * dtype.itemsize
        path.write_bytes(b"")

    def write(self, start: int, frames: Tensor) -> None:
        """Put frames (K, n, C, H, W) in their place: from ``start`` on."""
        if frames.dtype != self.dtype or (len(frames), *frames.shape[2:]) != (self.shape[0], *self.shape[2:]):
            raise ValueError(f"expected {self.dtype} frames of {self.shape}, got {frames.dtype} {tuple(frames.shape)}")
        with self.path.open("r+b") as file:
            for number, video in enumerate(frames):
                file.seek((number * self.shape[1] + start) * self.frame_bytes)
                file.write(video.contiguous().numpy().tobytes())

    def read(self, number: int, start: int, stop: int) -> Tensor:
        """Frames ``start <= i < stop`` of one video, (n, C, H, W)."""
        with self.path.open("rb") as file:
            file.seek((number * self.shape[1] + start) * self.frame_bytes)
            content = bytearray(file.read((stop - start) * self.frame_bytes))
        return torch.frombuffer(content, dtype=self.dtype).view(stop - start, *self.shape[2:])

    def chunks(self, number: int) -> Iterator[Tensor]:
        """One video from its beginning to its end, (n, C, H, W) at a time."""
        step = max(1, _CHUNK_BYTES // self.frame_bytes)
        for start in range(0, self.shape[1], step):
            yield self.read(number, start, min(start + step, self.shape[1]))

    def all(self) -> Tensor:
        """All of them in memory, (K, T, C, H, W)."""
        return torch.stack([self.read(number, 0, self.shape[1]) for number in range(self.shape[0])])
