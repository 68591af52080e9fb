"""What signals say to every norm of the network, beside the time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mcvd.nets.layers import linear, silu

MAX_SIGNALS = 1 << 13  # of a frame; a config that is not trusted could ask for a layer without end


class SignalEmbedding(nn.Module):
    """Two layers over the signals of all frames of a block, and whether they are told.

    Args:
        num_frames: of the block, past, current and future.
        num_signals: numbers of each frame.
        width: of the embedding.
    """

    def __init__(self, num_frames: int, num_signals: int, width: int) -> None:
        super().__init__()
        self.num_frames, self.num_signals = num_frames, num_signals
        self.layer0 = linear(num_frames * num_signals + 1, width)
        self.layer1 = linear(width, width)

    def forward(self, signals: Tensor | None, keep: Tensor | None) -> Tensor:
        """Activated for the blocks, (B, width), from signals (B, T, A), zero where hidden, and keep, bool (B,).

        Raises:
            ValueError: there are none, or of another shape.
        """
        expected = (self.num_frames, self.num_signals)
        if signals is None or keep is None or tuple(signals.shape[1:]) != expected:
            found = "none" if signals is None else tuple(signals.shape)
            raise ValueError(f"this network is told signals (B, {expected[0]}, {expected[1]}), got {found}")
        told = torch.cat([signals.flatten(1), keep[:, None].to(signals.dtype)], dim=1).to(self.layer0.weight.dtype)
        return silu(self.layer1(silu(self.layer0(told))))


def check_num_signals(num_signals: int) -> None:
    """Raise ValueError for a number that no network has."""
    if not 0 <= num_signals <= MAX_SIGNALS:
        raise ValueError(f"num_signals must be 0 to {MAX_SIGNALS}, got {num_signals}")
