"""The Frechet distance between two Gaussians, in float64 and exact for rank-deficient covariances too."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """Squared Frechet distance between two Gaussians, 0 for equal ones.

    mean -> m, cov -> S:    ``|m_a - m_b|^2 + tr(S_a) + tr(S_b) - 2 tr((S_a S_b)^(1/2))``

    (Dowson and Landau 1982; the FID and FVD of Heusel et al. 2017 and Unterthiner et al. 2018.) The last trace is the
    sum of the singular values of ``S_a^(1/2) S_b^(1/2)``. Unlike a matrix square root of the product, or the roots of
    its eigenvalues, that does not turn rounding errors of 1e-16 into errors of 1e-8 where there are fewer samples
    than dimensions.

    Args:
        mean_a: float64 (D,).
        cov_a: float64 (D, D), symmetric, no negative eigenvalues.
        mean_b: float64 (D,).
        cov_b: float64 (D, D).

    Returns:
        float64 scalar, never negative.

    Raises:
        ValueError: a shape, a dtype, NaN or infinity, or a matrix that is not a covariance.

    Examples:
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> frechet_distance(one, one.diag(), 3 * one, 4 * one.diag())  # (1 - 3)^2 + (1 - 2)^2
        tensor(5., dtype=torch.float64)
    """
    for name, mean, cov in (("a", mean_a, cov_a), ("b", mean_b, cov_b)):
        _check(f"mean_{name}", mean, (len(mean_a),) if mean_a.ndim else (1,))
        _check(f"cov_{name}", cov, (len(mean_a), len(mean_a)))
        if (cov - cov.T).abs().max() > 1e-6 * cov.abs().max():
            raise ValueError(f"cov_{name} is not symmetric: it is no covariance matrix")
    root_a, root_b = _root(cov_a, "cov_a"), _root(cov_b, "cov_b")
    overlap = torch.linalg.svdvals(root_a @ root_b.T).sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap
    return distance.clamp(min=0)


def _root(cov: Tensor, name: str) -> Tensor:
    """R with R^T R = cov, (D, D)."""
    values, vectors = torch.linalg.eigh(cov)
    largest = values[-1]
    if values[0] < -1e-3 * largest.abs():
        raise ValueError(f"{name} has the eigenvalue {values[0]:.3g}: a covariance matrix has none below 0")
    # What is rounding error must be exactly 0: the root would make 1e-8 of 1e-16.
    floor = largest * len(cov) * torch.finfo(cov.dtype).eps
    return values.where(values > floor, 0).sqrt()[:, None] * vectors.T


def _check(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if value.dtype != torch.float64 or tuple(value.shape) != shape or not value.numel():
        raise ValueError(f"{name} must be float64 {shape}, got {value.dtype} {tuple(value.shape)}")
    if not value.isfinite().all():
        raise ValueError(f"{name} holds NaN or infinity")
