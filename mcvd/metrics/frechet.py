"""The Frechet distance between Gaussians or sets of features, in float64, exact for rank-deficient covariances too."""

from __future__ import annotations

from statistics import NormalDist

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


def distance_of_features(a: Tensor, b: Tensor) -> Tensor:
    """Frechet distance between the Gaussians of two sets of features (N, D) and (M, D), float64 scalar."""
    (mean_a, x), (mean_b, y) = _centred(a.double()), _centred(b.double())
    if max(len(x), len(y)) > x.shape[1]:
        return frechet_distance(mean_a, x.T @ x, mean_b, y.T @ y)
    # Fewer videos than features: the trace of (x'x y'y)^(1/2) is the sum of the singular values of the smaller x y'.
    overlap = torch.linalg.svdvals(x @ y.T).sum()
    distance = (mean_a - mean_b).square().sum() + x.square().sum() + y.square().sum() - 2 * overlap
    return distance.clamp(min=0)


def distances_of_samples(real: Tensor, fake: Tensor, num_samples: int) -> list[float]:
    """The distance of the first sample of every clip, that of the second, and so on: published beside that of all.

    Args:
        real: features (N, D), one of each clip.
        fake: features (N K, D), the K of a clip side by side.
        num_samples: K.
    """
    return [distance_of_features(real, fake[k::num_samples]).item() for k in range(num_samples)]


def frechet_interval(
    real: Tensor,
    fake: Tensor,
    confidence: float = 0.95,
    num_resamples: int = 50,
    seed: int = 0,
    samples_of_each: int | None = None,
) -> tuple[float, float]:
    """How far the distance would move with other videos of the same kind and number.

    The spread is that of bootstrap resamples of both sets. The interval lies around the distance itself: a resample
    holds fewer different videos, which makes its distance too large, so that the resamples' own percentiles would
    not even contain it. It errs on the wide side where there are fewer videos than features: with 256 Gaussian videos
    of 400 features it is 2 to 3 times as wide as the distances of new sets spread. What it does not know at all is the
    distance's bias, which falls with the number of videos.

    Args:
        real: features (N, D), of independent videos.
        fake: features (M, D), likewise.
        confidence: between 0 and 1.
        num_resamples: 50 give the width to about 10 %.
        seed: of the resamples.
        samples_of_each: K where the fake ones are not independent, but K continuations of each of the real, side by
            side in its order, M = N K. Clips are drawn then, each with all that belongs to it.

    Returns:
        (low, high), low not below 0.

    Raises:
        ValueError: the numbers do not fit ``samples_of_each``.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(features: Tensor) -> Tensor:
        return torch.randint(len(features), (len(features),), generator=generator)

    def resample() -> tuple[Tensor, Tensor]:
        if samples_of_each is None:
            return real[draw(real)], fake[draw(fake)]
        clips = draw(real)
        return real[clips], fake.unflatten(0, (len(real), samples_of_each))[clips].flatten(0, 1)

    if samples_of_each is not None and len(fake) != len(real) * samples_of_each:
        raise ValueError(f"{len(fake)} features are not {samples_of_each} for each of {len(real)} real ones")
    resamples = [distance_of_features(*resample()) for _ in range(num_resamples)]
    half = NormalDist().inv_cdf((1 + confidence) / 2) * torch.stack(resamples).std().item()
    value = distance_of_features(real, fake).item()
    return max(0.0, value - half), value + half


def _centred(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,), and what lies around it (N, D), scaled so that x'x is the covariance."""
    mean = features.mean(0)
    return mean, (features - mean) / (len(features) - 1) ** 0.5


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
