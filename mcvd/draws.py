"""Random numbers by name: a draw is a function of its key, so it is the same in any batch, order or process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def keyed_normal(shape: Sequence[int], *key: int) -> Tensor:
    """Standard normal numbers that depend on the key alone, the same on every device.

    Args:
        shape: of the result.
        key: non-negative integers, such as (seed, video, sample, block, draw).

    Returns:
        float32 on the CPU.

    Example:
        >>> torch.equal(keyed_normal((2, 3), 0, 1), keyed_normal((2, 3), 0, 1))
        True
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
    return torch.from_numpy(generator.standard_normal(tuple(shape), dtype=np.float32))


def keyed_seed(*key: int) -> int:
    """A seed for a generator, 0 to 2**56, that depends on the key alone."""
    return int.from_bytes(hashlib.blake2b(" ".join(map(str, key)).encode(), digest_size=7).digest())


class RowNoise:
    """The noise of a batch in which every row has a name of its own; call it as a sampler's ``draw``.

    Args:
        keys: one tuple of non-negative integers per row of the batch; the number of the draw is appended.

    Example:
        >>> x = torch.zeros(2, 4)
        >>> both, second = RowNoise([(0, 0), (0, 1)])(x), RowNoise([(0, 1)])(x[:1])
        >>> torch.equal(both[1:], second)
        True
    """

    def __init__(self, keys: Sequence[tuple[int, ...]]):
        self.keys = keys
        self.num_draws = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape (B, ...), dtype and device; each call is the next draw."""
        rows = [keyed_normal(x.shape[1:], *key, self.num_draws) for key in self.keys]
        self.num_draws += 1
        return torch.stack(rows).to(x.device, x.dtype, non_blocking=True)


class TrainingDraws:
    """The random numbers of training steps: for each clip its own, whatever batch or process it lands in.

    Args:
        seed: of the run.
        device: where the numbers are drawn; CPU and GPU streams differ.
    """

    def __init__(self, seed: int, device: torch.device):
        self.seed = seed
        self.generator = torch.Generator(device)

    def __call__(self, indices: Sequence[int], *shapes: Sequence[int]) -> tuple[Tensor, ...]:
        """Draw for a batch.

        Args:
            indices: number of each clip, counted over the whole training.
            shapes: of one row of each noise that is wanted.

        Returns:
            uniform float32 (B, 6) in [0, 1): for the two masks, the time, the part of the past and of the future
            that is shown, and the noise level of the context; then standard normal float32 (B, *shape) for each shape.
        """
        rows = []
        for index in indices:
            self.generator.manual_seed(keyed_seed(self.seed, index))
            device = self.generator.device
            uniform = torch.rand(6, generator=self.generator, device=device)
            normal = [torch.randn(tuple(shape), generator=self.generator, device=device) for shape in shapes]
            rows.append((uniform, *normal))
        return tuple(torch.stack(column) for column in zip(*rows, strict=True))
