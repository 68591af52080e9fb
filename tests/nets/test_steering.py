import pytest
import torch

from mcvd.nets.layers import linear
from mcvd.nets.steering import Steering


def layers():
    torch.manual_seed(0)
    made = [linear(6, 8), linear(6, 4), linear(6, 8)]
    for layer in made:
        torch.nn.init.normal_(layer.bias)
    return made


def test_each_norm_is_told_what_its_own_map_says():
    embedding = torch.randn(3, 6)
    steer = Steering(made := layers(), torch.float32)(embedding)
    assert list(steer) == made
    for layer, (scale, shift) in steer.items():
        torch.testing.assert_close(torch.cat([scale - 1, shift], dim=1), layer(embedding))


def test_every_map_learns():
    made = layers()
    sum((scale * shift).sum() for scale, shift in Steering(made, torch.float32)(torch.randn(3, 6)).values()).backward()
    assert all(parameter.grad.abs().sum() > 0 for layer in made for parameter in layer.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_it_answers_in_the_dtype_that_its_weights_are_kept_in(dtype):
    steer = Steering(layers(), dtype)(torch.randn(1, 6, dtype=dtype))
    assert {half.dtype for pair in steer.values() for half in pair} == {dtype}
