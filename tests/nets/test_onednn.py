"""Prepacked convolutions answer as the ordinary ones."""

import pytest
import torch
from torch import nn

from mcvd.nets.onednn import OneDNNConvolutions

DTYPES = [torch.float32, torch.bfloat16]


def runs_here(dtype):
    if not OneDNNConvolutions.can_run(torch.device("cpu"), dtype):
        pytest.skip(f"oneDNN has no {dtype} kernels on this machine")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [1, 3])
def test_a_packed_convolution_answers_as_the_layer(size, dtype):
    runs_here(dtype)
    torch.manual_seed(0)
    layer = nn.Conv2d(24, 40, size, padding=size // 2).to(dtype)
    convolutions = OneDNNConvolutions()
    with torch.inference_mode():
        for shape in ((2, 24, 8, 12), (1, 24, 16, 16)):  # the weight laid out for the first serves every shape
            x = torch.randn(shape).to(dtype).contiguous(memory_format=torch.channels_last)
            tolerance = 1e-5 if dtype == torch.float32 else 2e-2
            torch.testing.assert_close(convolutions(layer, x), layer(x), rtol=tolerance, atol=tolerance)


def test_weights_trained_after_a_block_count_in_the_next():
    runs_here(torch.float32)
    layer, x = nn.Conv2d(8, 8, 3, padding=1), torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        before = OneDNNConvolutions()(layer, x)
        layer.weight.add_(1)
        assert not torch.equal(OneDNNConvolutions()(layer, x), before)


def test_other_devices_and_types_keep_the_layer_itself():
    assert not OneDNNConvolutions.can_run(torch.device("cuda"), torch.float32)
    assert not OneDNNConvolutions.can_run(torch.device("cpu"), torch.float16)
