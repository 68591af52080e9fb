"""What the time says to every norm: the linear maps of all residual blocks, computed as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ScaleShift = Mapping[nn.Linear, tuple[Tensor, Tensor]]
"""Of each linear map: the scale by which its norm multiplies, and the shift, each (B * K or 1, C)."""


class NormModulation:
    """From labels to scale and shift of every norm, as one product with the weights one below the other.

    A network has dozens of these maps, and a step of a sampler has one time for all samples: launching them costs more
    than their arithmetic. Where the labels of all steps are known beforehand, the product is made once for all.

    Args:
        layers: each answers 2 C numbers, how much its scale differs from 1, then its shift. They see an embedding of
            the time, and after it those of the past and of signals, if the network has them.
        embed: makes of labels (L,) the activated embeddings of their times, (L, E).
        dtype: in which the weights are kept.
        labels: (T,), if it will be asked for no others; a label that is none of them is taken for the nearest.
    """

    def __init__(
        self,
        layers: Sequence[nn.Linear],
        embed: Callable[[Tensor], Tensor],
        dtype: torch.dtype,
        labels: Tensor | None = None,
    ) -> None:
        self._layers, self._embed = tuple(layers), embed
        self._sizes = [layer.out_features // 2 for layer in layers for _ in range(2)]
        biases = [half for layer in layers for half in layer.bias.chunk(2)]
        biases[::2] = [1 + scale for scale in biases[::2]]  # the 1 costs nothing because it travels with the bias
        self._weight = torch.cat([layer.weight for layer in layers]).to(dtype)
        self._bias = torch.cat(biases).to(dtype)
        self._known: tuple[Tensor, Tensor] | None = None  # the labels, and what is told at each
        if labels is not None:
            embedding = embed(labels)
            self._known = labels, self._map(embedding)
            self._weight = self._weight[:, embedding.shape[1] :].clone()  # of the past; the rest is large

    def of_past(self, embedding: Tensor) -> Tensor:
        """What the past and signals add to the numbers of their samples, (B, S), for activated embeddings (B, P)."""
        return F.linear(embedding, self._weight[:, -embedding.shape[1] :])

    def __call__(self, label: Tensor, past: Tensor | None = None) -> ScaleShift:
        """What every norm is told.

        Args:
            label: float (B * K,); an expanded one, as of a sampler, is looked at once and answered with one row.
            past: from `of_past`, of the B conditions; then there are always B * K rows.
        """
        numbers = self.numbers(label[:1] if label.stride(0) == 0 else label)
        if past is not None:
            numbers = numbers + past.repeat_interleave(len(label) // len(past), dim=0)
        return self.told(numbers)

    def numbers(self, label: Tensor) -> Tensor:
        """All scales and shifts side by side, (L, S), for labels (L,)."""
        if self._known is None:
            return self._map(self._embed(label))
        labels, told = self._known
        return told[(labels - label[:, None]).abs().argmin(1)]

    def told(self, numbers: Tensor) -> ScaleShift:
        """The scale and shift of each norm among such numbers (rows, S)."""
        halves = numbers.split(self._sizes, dim=1)
        return dict(zip(self._layers, zip(halves[::2], halves[1::2], strict=True), strict=True))

    def _map(self, embedding: Tensor) -> Tensor:
        return F.linear(embedding, self._weight[:, : embedding.shape[1]], self._bias)
