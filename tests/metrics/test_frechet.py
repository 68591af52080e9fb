"""The Frechet distance of two normal distributions against closed forms."""

import pytest
import torch

from mcvd.metrics.frechet import frechet_distance


def features(num_samples, dim, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, dtype=torch.float64, generator=generator) / dim**0.5
    samples = torch.randn(num_samples, dim, dtype=torch.float64, generator=generator) @ mixing
    return scale * samples + torch.randn(dim, dtype=torch.float64, generator=generator)


def moments(samples):
    return samples.mean(0), samples.T.cov()


def independent_distance(a, b):
    """From the samples, without a covariance: tr((S_a S_b)^(1/2)) is the nuclear norm of X_a X_b^T / (n - 1)."""
    import numpy as np
    from scipy.linalg import svdvals

    a, b = a.numpy(), b.numpy()
    x, y = ((v - v.mean(0)) / np.sqrt(len(v) - 1) for v in (a, b))
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * svdvals(x @ y.T).sum()


@pytest.mark.parametrize(("num_a", "num_b"), [(64, 64), (64, 300), (300, 64), (2, 500), (900, 900)])
def test_distance_is_that_of_an_independent_computation_also_when_rank_deficient(num_a, num_b):
    a, b = features(num_a, 400, seed=0), features(num_b, 400, seed=1, scale=2)
    assert frechet_distance(*moments(a), *moments(b)).item() == pytest.approx(independent_distance(a, b), rel=1e-9)


def test_distance_is_that_of_the_matrix_square_root_when_full_rank():
    from scipy.linalg import sqrtm

    (mean_a, cov_a), (mean_b, cov_b) = moments(features(300, 20, 0)), moments(features(300, 20, 1))
    root = sqrtm((cov_a @ cov_b).numpy()).real.trace()
    expected = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * root
    assert frechet_distance(mean_a, cov_a, mean_b, cov_b).item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("num_samples", [2, 64, 500])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_equal_sets_have_distance_zero(num_samples, scale):
    mean, cov = moments(features(num_samples, 400, seed=0, scale=scale))
    assert 0 <= frechet_distance(mean, cov, mean, cov).item() < 1e-12 * cov.trace().item()


def test_distance_of_commuting_gaussians_has_a_closed_form():
    a, b = torch.tensor([1.0, 4.0, 0.0]).double(), torch.tensor([9.0, 0.0, 0.0]).double()
    mean = torch.tensor([3.0, 0.0, 0.0]).double()
    expected = 9 + (1 - 3) ** 2 + (2 - 0) ** 2
    assert frechet_distance(mean, a.diag(), 0 * mean, b.diag()).item() == pytest.approx(expected)


def test_a_single_negative_eigenvalue_is_refused():
    mean, cov = torch.zeros(2).double(), torch.tensor([1.0, -0.5]).double().diag()
    with pytest.raises(ValueError, match=r"eigenvalue -0\.5"):
        frechet_distance(mean, cov, mean, cov)


def test_distance_is_symmetric_and_blind_to_rotations():
    a, b = features(50, 80, 0), features(60, 80, 1)
    turn = torch.linalg.qr(torch.randn(80, 80, dtype=torch.float64, generator=torch.Generator().manual_seed(2))).Q
    there = frechet_distance(*moments(a), *moments(b))
    assert frechet_distance(*moments(b), *moments(a)).item() == pytest.approx(there.item(), rel=1e-10)
    assert frechet_distance(*moments(a @ turn), *moments(b @ turn)).item() == pytest.approx(there.item(), rel=1e-10)


def test_without_any_variance_only_the_means_count():
    zero = torch.zeros(3, 3, dtype=torch.float64)
    assert frechet_distance(zero[0], zero, zero[0] + 2, zero).item() == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mean, cov: (mean.float(), cov), "mean_b must be float64"),
        (lambda mean, cov: (mean[:2], cov), "mean_b must be float64"),
        (lambda mean, cov: (mean, cov[:2]), "cov_b must be float64"),
        (lambda mean, cov: (mean * float("nan"), cov), "NaN"),
        (lambda mean, cov: (mean, cov / 0), "NaN or infinity"),
        (lambda mean, cov: (mean, cov + torch.ones(3, 3).double().triu(1)), "not symmetric"),
        (lambda mean, cov: (mean, -cov), "eigenvalue"),
    ],
)
def test_what_is_no_gaussian_is_refused(change, message):
    mean, cov = torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        frechet_distance(mean, cov, *change(mean, cov))
