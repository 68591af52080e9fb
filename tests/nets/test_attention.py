"""Attention over the pixels against its formula."""

import math

import pytest
import torch

from mcvd.nets.attention import Attention


def test_attention_is_softmax_over_all_positions_in_contiguous_heads():
    torch.manual_seed(0)
    channels, heads, height, width = 16, 4, 3, 5
    attention = Attention(channels, head_channels=channels // heads).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, channels, height, width, dtype=torch.float64)

    normed = torch.nn.functional.group_norm(x, 4, attention.norm.weight, attention.norm.bias, eps=1e-6)
    q, k, v = (
        torch.einsum("oc,bchw->bohw", attention.qkv.weight, normed)
        .add(attention.qkv.bias[:, None, None])
        .view(2, 3, heads, channels // heads, height * width)
        .unbind(1)
    )
    weight = (torch.einsum("bndi,bndj->bnij", q, k) / math.sqrt(channels // heads)).softmax(-1)
    seen = torch.einsum("bnij,bndj->bndi", weight, v).reshape(2, channels, height, width)
    out = torch.einsum("oc,bchw->bohw", attention.out.weight, seen) + attention.out.bias[:, None, None]
    torch.testing.assert_close(attention(x), (x + out) / math.sqrt(2))


def test_narrow_feature_maps_have_one_head():
    assert Attention(8, head_channels=64).num_heads == 1


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="head_channels"):
        Attention(24, head_channels=16)
