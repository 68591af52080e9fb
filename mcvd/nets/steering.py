"""What the time says to every norm: the linear maps of all residual blocks, computed as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Steer = Mapping[nn.Linear, tuple[Tensor, Tensor]]
"""Of each linear map: the scale by which its norm multiplies, and the shift, each (B * K or 1, C)."""


class Steering:
    """The maps from the time embedding to scale and shift, as one product with the weights one below the other.

    A network has dozens of them, and a step of a sampler has one vector for each: launching them costs more than their
    arithmetic.

    Args:
        layers: each answers 2 C numbers, how much its scale differs from 1, then its shift.
        dtype: in which the weights are kept.
    """

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        self._layers = tuple(layers)
        self._sizes = [layer.out_features // 2 for layer in layers for _ in range(2)]
        biases = [half for layer in layers for half in layer.bias.chunk(2)]
        biases[::2] = [1 + scale for scale in biases[::2]]  # the 1 costs nothing because it travels with the bias
        self._weight = torch.cat([layer.weight for layer in layers]).to(dtype)
        self._bias = torch.cat(biases).to(dtype)

    def __call__(self, embedding: Tensor) -> Steer:
        """For an activated time embedding (B * K or 1, E)."""
        halves = F.linear(embedding, self._weight, self._bias).split(self._sizes, dim=1)
        return dict(zip(self._layers, zip(halves[::2], halves[1::2], strict=True), strict=True))
