"""The kernel distance between two sets of features, which is KVD for those of I3D."""

from __future__ import annotations

import torch
from torch import Tensor

_ROWS_AT_ONCE = 1024


def kernel_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy with the kernel ``(x.y / D + 1)^3``, estimated without bias.

    It is the KVD of Unterthiner et al. (2018) where the features are logits of I3D. Unlike the Frechet distance its
    expectation does not depend on the number of videos: two sets of the same distribution give 0 on average, hence
    small negative values too.

    Args:
        a: float (N, D), N 2 or more.
        b: float (M, D), M 2 or more.

    Returns:
        float64 scalar.

    Examples:
        >>> a = torch.tensor([[1.0], [1.0]])
        >>> kernel_distance(a, 0 * a)  # 2^3 + 1 - 2 * 1
        tensor(7., dtype=torch.float64)
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"two sets (N, D) of 2 or more features are needed, got {tuple(a.shape)}, {tuple(b.shape)}")
    a, b = a.double(), b.double()
    return _mean_of_pairs(a) + _mean_of_pairs(b) - 2 * _sum(a, b) / (len(a) * len(b))


def _mean_of_pairs(a: Tensor) -> Tensor:
    """Mean kernel of two different ones."""
    of_itself = _cubic(a.square().sum(1), a.shape[1]).sum()
    return (_sum(a, a) - of_itself) / (len(a) * (len(a) - 1))


def _sum(a: Tensor, b: Tensor) -> Tensor:
    """Sum of the kernel over all pairs, some rows at a time: the whole matrix may not fit into memory."""
    return torch.stack([_cubic(rows @ b.T, a.shape[1]).sum() for rows in a.split(_ROWS_AT_ONCE)]).sum()


def _cubic(product: Tensor, dim: int) -> Tensor:
    return (product / dim + 1) ** 3
