"""The kernel distance against its definition."""

import pytest
import torch

from mcvd.metrics.kernel import kernel_distance


def normal(num, dim, seed, shift=0.0):
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed)) + shift


def test_distance_is_the_mean_over_pairs_by_its_definition():
    a, b = normal(5, 3, 0), normal(7, 3, 1, shift=1)

    def mean(pairs):
        values = [(sum(u * v for u, v in zip(x, y, strict=True)) / 3 + 1) ** 3 for x, y in pairs]
        return sum(values) / len(values)

    first, second = a.double().tolist(), b.double().tolist()
    own = [[(x, y) for x in side for y in side if x is not y] for side in (first, second)]
    expected = mean(own[0]) + mean(own[1]) - 2 * mean([(x, y) for x in first for y in second])
    assert kernel_distance(a, b).item() == pytest.approx(expected, rel=1e-12)


def test_expectation_is_zero_for_equal_distributions_however_few_the_samples():
    distances = torch.stack([kernel_distance(normal(4, 8, seed), normal(6, 8, 1000 + seed)) for seed in range(500)])
    error = distances.std() / len(distances) ** 0.5
    assert distances.mean().abs() < 3 * error
    assert kernel_distance(normal(4, 8, 0), normal(6, 8, 1, shift=1)) > 20 * error


def test_distance_does_not_depend_on_order_or_side():
    a, b = normal(1500, 4, 0), normal(1200, 4, 1, shift=0.5)  # more rows than are taken at once
    there = kernel_distance(a, b)
    assert kernel_distance(b, a).item() == pytest.approx(there.item(), rel=1e-10)
    assert kernel_distance(a.flip(0), b.flip(0)).item() == pytest.approx(there.item(), rel=1e-10)


@pytest.mark.parametrize("shapes", [((1, 3), (4, 3)), ((4, 3), (4, 2)), ((4,), (4, 3))])
def test_what_is_no_pair_of_sets_is_refused(shapes):
    with pytest.raises(ValueError, match="2 or more features"):
        kernel_distance(*(torch.zeros(shape) for shape in shapes))
