"""Random numbers by name: a draw is a function of its key, so it is the same in any batch, order or process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def check_seed(seed: object, name: str = "seed") -> None:
    """Check that a seed is a whole number of at least 0.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"{name} must be a whole number of at least 0, got {seed!r}")


def keyed_generator(seed: int | Sequence[int], *key: int) -> np.random.Generator:
    """A generator that depends on seed and key alone; both are non-negative integers."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def keyed_normal(shape: Sequence[int], *key: int) -> Tensor:
    """Standard normal numbers that depend on the key alone, the same on every device.

    Args:
        shape: of the result.
        key: non-negative integers, such as (seed, video, sample, block, draw).

    Returns:
        float32 on the CPU.

    Examples:
        >>> torch.equal(keyed_normal((2, 3), 0, 1), keyed_normal((2, 3), 0, 1))
        True
    """
    return torch.from_numpy(keyed_generator(key).standard_normal(tuple(shape), dtype=np.float32))


def keyed_seed(*key: int) -> int:
    """A seed for a generator, 0 to 2**56, that depends on the key alone."""
    return int.from_bytes(hashlib.blake2b(" ".join(map(str, key)).encode(), digest_size=7).digest())


def seeds_from(generators: torch.Generator | Sequence[torch.Generator]) -> int | list[int]:
    """The next seed of a generator, or of each: drawing it moves the generator on, as any draw does.

    Raises:
        ValueError: it is neither.

    Examples:
        >>> one, two = (seeds_from(torch.Generator().manual_seed(3)) for _ in range(2))
        >>> one == two
        True
    """
    many = isinstance(generators, Sequence) and not isinstance(generators, str)
    found = []
    for each in generators if many else [generators]:  # type: ignore[union-attr]
        if not isinstance(each, torch.Generator):
            raise ValueError(f"generator must be a torch.Generator, or one for each video, got {each!r}")
        found.append(int(torch.randint(1 << 62, (), generator=each, device=each.device)))
    return found if many else found[0]


class KeyedNoise:
    """The noise of a batch in which every row has a name of its own; call it as a sampler's ``draw``.

    The numbers are drawn by the CPU, so that they are the same on every device. For a GPU the next draw is begun, by
    several threads, while the network computes.

    Args:
        keys: one tuple of non-negative integers per row of the batch; the number of the draw is appended.

    Examples:
        >>> x = torch.zeros(2, 4)
        >>> both, second = KeyedNoise([(0, 0), (0, 1)])(x), KeyedNoise([(0, 1)])(x[:1])
        >>> torch.equal(both[1:], second)
        True
    """

    def __init__(self, keys: Sequence[tuple[int, ...]]):
        self.keys = keys
        self.num_draws = 0
        self._next: _Drawing | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Standard normal noise of x's shape (B, ...), dtype and device; each call is the next draw."""
        on_gpu = x.device.type == "cuda"
        drawing = self._next or _Drawing(x.shape, self.keys, self.num_draws, on_gpu)
        self.num_draws += 1
        self._next = _Drawing(x.shape, self.keys, self.num_draws, on_gpu) if on_gpu else None
        return drawing.finish().to(x.device, x.dtype, non_blocking=True)


class _Drawing:
    """One draw for all rows, by threads if ``ahead``: into memory that a GPU can fetch by itself."""

    def __init__(self, shape: Sequence[int], keys: Sequence[tuple[int, ...]], number: int, ahead: bool) -> None:
        self.noise = torch.empty(tuple(shape), pin_memory=ahead and torch.cuda.is_available())
        rows = [(row, (*key, number)) for row, key in zip(self.noise.unbind(), keys, strict=True)]
        if ahead:
            threads = _threads(os.getpid())
            self.parts = [threads.submit(_fill_rows, rows[first::_MAX_THREADS]) for first in range(_MAX_THREADS)]
        else:
            self.parts = []
            _fill_rows(rows)

    def finish(self) -> Tensor:
        """Wait for it."""
        for part in self.parts:
            part.result()
        return self.noise


_MAX_THREADS = min(16, os.cpu_count() or 1)


@lru_cache(maxsize=1)
def _threads(process: int) -> ThreadPoolExecutor:
    """Of this process: those of the one that it was forked from do not run here."""
    return ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="noise")


def _fill_rows(rows: Sequence[tuple[Tensor, tuple[int, ...]]]) -> None:
    for row, key in rows:
        keyed_generator(key).standard_normal(dtype=np.float32, out=row.numpy())


class TrainingDraws(NamedTuple):
    """The random numbers of a batch of clips; all but ``normal`` are uniform in [0, 1), float32.

    Args:
        hidden: (B, 2), whether the past and whether the future is hidden.
        time: (B,), of the diffusion.
        part: (B, 2), how much of a shown past and of a shown future is shown.
        context_noise: (B,), the level of the noise on the context.
        more: (B, M), as many more as were asked for.
        normal: standard normal, (B, *shape) for each shape that was asked for.
    """

    hidden: Tensor
    time: Tensor
    part: Tensor
    context_noise: Tensor
    more: Tensor
    normal: tuple[Tensor, ...]


class TrainingNoise:
    """The random numbers of training steps: for each clip its own, whatever batch or process it lands in.

    Args:
        seed: of the run.
        device: where the numbers are drawn; CPU and GPU streams differ.
    """

    def __init__(self, seed: int, device: torch.device):
        self.seed = seed
        self.generator = torch.Generator(device)

    def __call__(self, indices: Sequence[int], *shapes: Sequence[int], num_more: int = 0) -> TrainingDraws:
        """Draw for a batch.

        Args:
            indices: number of each clip, counted over the whole training.
            shapes: of one row of each noise that is wanted.
            num_more: how many more uniform numbers; they change nothing in the others.
        """
        device = self.generator.device
        columns = [torch.empty(len(indices), 6, device=device)]
        columns += [torch.empty(len(indices), *shape, device=device) for shape in shapes]
        more = torch.empty(len(indices), num_more, device=device)
        each = zip(indices, more.unbind(), *(column.unbind() for column in columns), strict=True)
        for index, last, uniform, *normal in each:
            self.generator.manual_seed(keyed_seed(self.seed, index))
            uniform.uniform_(generator=self.generator)
            for row in normal:
                row.normal_(generator=self.generator)
            if num_more:
                last.uniform_(generator=self.generator)
        uniform, *normals = columns
        return TrainingDraws(uniform[:, :2], uniform[:, 2], uniform[:, 3:5], uniform[:, 5], more, tuple(normals))
