"""Where samples differ, and where their mean misses the truth."""

import pytest
import torch

from mcvd.metrics.spread import error_map, expected_error, spread_map

NOISE = torch.randint(0, 256, (40, 3, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_samples_that_agree_have_no_spread_and_truth_no_error():
    same = NOISE[:1].repeat(3, 1, 1, 1, 1)
    assert not spread_map(same).any() and not error_map(same, NOISE[0]).any()


def test_maps_are_those_of_the_definition():
    values = NOISE.double()
    assert torch.allclose(spread_map(NOISE).double(), values.var(0).mean(1).sqrt(), atol=1e-3)
    error = (values[1:].mean(0) - values[0]).square().mean(1).sqrt()
    assert torch.allclose(error_map(NOISE[1:], NOISE[0]).double(), error, atol=1e-3)


def test_the_mean_of_samples_misses_a_truth_of_their_kind_by_what_is_expected():
    draws = [NOISE[torch.randperm(40, generator=torch.Generator().manual_seed(i))][:5] for i in range(200)]
    rms = [
        torch.stack(maps).square().mean().sqrt().item()
        for maps in zip(*((spread_map(d[1:]), error_map(d[1:], d[0])) for d in draws), strict=True)
    ]
    assert rms[1] == pytest.approx(expected_error(rms[0], 4), rel=0.03)


def test_one_sample_has_no_spread():
    with pytest.raises(ValueError, match="2 samples or more, got 1"):
        spread_map(NOISE[:1])
