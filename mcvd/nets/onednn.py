"""Convolutions of sampling on a CPU: weights laid out for oneDNN once, not in every call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mcvd.runtime.device import has_fast_bf16


class OneDNNConvolutions:
    """Runs convolutions whose weights do not change while it lives, each with the weight as oneDNN wants it.

    The layout is chosen when a layer is first met, for the shape and dtype that it is met with. Handed a dense weight,
    oneDNN lays it out again in every call, which takes as long as the arithmetic of a layer of 8x8 positions.
    """

    def __init__(self) -> None:
        self._weights: dict[tuple[nn.Conv2d, torch.dtype], tuple[Tensor, Tensor]] = {}

    @staticmethod
    def can_run(device: torch.device, dtype: torch.dtype) -> bool:
        """Whether this machine has the kernels."""
        if device.type != "cpu" or not torch.backends.mkldnn.is_available():
            return False
        return dtype == torch.float32 or (dtype == torch.bfloat16 and has_fast_bf16(device))

    def __call__(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        """What ``layer(x)`` answers, in x's dtype; x (B, C, H, W), stride 1, one group."""
        key = (layer, x.dtype)
        if key not in self._weights:
            assert layer.bias is not None  # `conv` makes none without
            weight, bias = (each.detach().to(x.dtype) for each in (layer.weight, layer.bias))
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # declared with fewer arguments than it takes
            reordered = reorder(
                weight.contiguous().to_mkldnn(), layer.padding, layer.stride, layer.dilation, layer.groups, x.shape
            )
            self._weights[key] = reordered, bias
        weight, bias = self._weights[key]
        return torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, layer.padding, layer.stride, layer.dilation, layer.groups, "none", [], ""
        )
