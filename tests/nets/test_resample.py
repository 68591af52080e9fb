"""Up- and downsampling by a filter against the plain convolution."""

import pytest
import torch

from mcvd.nets.resample import _doubled, _halved, downsample, upsample


def by_the_formula(row, at):
    """A row that is zero outside itself."""
    return row[at] if 0 <= at < len(row) else 0.0


def down_row(x):
    f = by_the_formula
    return torch.stack(
        [(f(x, 2 * k - 1) + 3 * x[2 * k] + 3 * x[2 * k + 1] + f(x, 2 * k + 2)) / 8 for k in range(len(x) // 2)]
    )


def up_row(x):
    f = by_the_formula
    return torch.stack([(3 * x[k // 2] + f(x, k // 2 + (1 if k % 2 else -1))) / 4 for k in range(2 * len(x))])


def along_both_axes(row_map, picture):
    rows = torch.stack([row_map(row) for row in picture])
    return torch.stack([row_map(column) for column in rows.T]).T


def downsample_of_a_gpu(x):
    return _halved(_halved(x, 2), 3)


def upsample_of_a_gpu(x):
    return _doubled(_doubled(x, 2), 3)


DOWN, UP = [downsample, downsample_of_a_gpu], [upsample, upsample_of_a_gpu]


@pytest.mark.parametrize(("resample", "row_map"), [(f, down_row) for f in DOWN] + [(f, up_row) for f in UP])
def test_resampling_is_the_published_filter_with_zeros_outside(resample, row_map):
    x = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.stack([torch.stack([along_both_axes(row_map, plane) for plane in sample]) for sample in x])
    torch.testing.assert_close(resample(x), expected)


def test_downsampling_is_the_transpose_of_upsampling_over_four():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(1, 2, 8, 4, generator=generator), torch.randn(1, 2, 4, 2, generator=generator)
    torch.testing.assert_close((downsample(x) * y).sum() * 4, (x * upsample(y)).sum())


@pytest.mark.parametrize(("quick", "plain"), [DOWN[::-1], UP[::-1]])
def test_gradients_are_those_of_the_filter(quick, plain):
    x = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    both = [torch.autograd.grad(resample(x).square().sum(), x)[0] for resample in (quick, plain)]
    torch.testing.assert_close(*both)


@pytest.mark.parametrize("resample", DOWN + UP)
def test_the_dtype_stays_also_under_autocast(resample):
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        with torch.autocast("cpu", torch.bfloat16):
            assert resample(torch.ones(1, 1, 4, 4, dtype=dtype)).dtype == dtype
