"""Scale and shift of every norm from the time embedding."""

import pytest
import torch

from mcvd.nets.layers import linear
from mcvd.nets.modulation import NormModulation

LABELS = torch.tensor([0.0, 250.5, 999.0])


def layers(channels=6):
    torch.manual_seed(0)
    made = [linear(channels, 8), linear(channels, 4), linear(channels, 8)]
    for layer in made:
        torch.nn.init.normal_(layer.bias)
    return made


def embed(label):
    return torch.cos(label[:, None] / torch.arange(1, 7, dtype=label.dtype))


def told(steer):
    """All of it, as one tensor of a row for each label."""
    return torch.cat([torch.cat(pair, dim=1) for pair in steer.values()], dim=1)


def test_each_norm_is_told_what_its_own_map_says():
    steer = NormModulation(made := layers(), embed, torch.float32)(LABELS)
    assert list(steer) == made
    for layer, (scale, shift) in steer.items():
        torch.testing.assert_close(torch.cat([scale - 1, shift], dim=1), layer(embed(LABELS)))


def test_every_map_learns():
    made = layers()
    told(NormModulation(made, embed, torch.float32)(LABELS)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for layer in made for parameter in layer.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_it_answers_in_the_dtype_that_its_weights_are_kept_in(dtype):
    steer = NormModulation(layers(), embed, dtype)(LABELS.to(dtype))
    assert {half.dtype for pair in steer.values() for half in pair} == {dtype}


@pytest.mark.parametrize("label", [LABELS[1:].flip(0), LABELS[2:].expand(4)], ids=["each its own", "one for all"])
def test_labels_that_are_known_beforehand_are_told_the_same_without_embedding_any(label):
    calls = []

    def counted(label):
        calls.append(len(label))
        return embed(label)

    modulation = NormModulation(layers(), counted, torch.float32, LABELS)
    torch.testing.assert_close(told(modulation(label)), told(NormModulation(layers(), embed, torch.float32)(label)))
    assert calls == [3]


@pytest.mark.parametrize("labels", [None, LABELS], ids=["any label", "known labels"])
def test_the_past_is_told_as_if_it_stood_beside_the_time(labels):
    made, past = layers(channels=8), torch.randn(2, 2)
    modulation = NormModulation(made, embed, torch.float32, labels)
    steer = modulation(LABELS[1:2].expand(6), modulation.of_past(past))  # three samples of each of two
    joined = torch.cat([embed(LABELS[1:2].expand(6)), past.repeat_interleave(3, dim=0)], dim=1)
    for layer, (scale, shift) in steer.items():
        torch.testing.assert_close(torch.cat([scale - 1, shift], dim=1), layer(joined))
