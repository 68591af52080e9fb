"""Tells true frames from estimated ones, by patches."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mcvd.nets.layers import num_groups


class Discriminator(nn.Module):
    """Judges patches of a block's frames beside its context (PatchGAN, arXiv 1611.07004, with group norm).

    Args:
        num_planes: channels of all frames together, context and current.
        width: channels of the first layer; each further one doubles them, up to eight times.
        num_levels: how often height and width are halved.
    """

    def __init__(self, num_planes: int, width: int = 32, num_levels: int = 3) -> None:
        super().__init__()
        widths = [width * min(8, 2**level) for level in range(num_levels)]
        self.first = nn.Conv2d(num_planes, width, 3, padding=1)
        self.halving = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1)
            for before, after in zip([width, *widths], widths, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(num_groups(each), each) for each in widths)
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, planes: Tensor) -> Tensor:
        """What each patch seems to be, 1 true and -1 estimated: (B, num_planes, H, W) -> (B, h, w)."""
        h = F.leaky_relu(self.first(planes), 0.2)
        for halve, norm in zip(self.halving, self.norms, strict=True):
            h = F.leaky_relu(norm(halve(h)), 0.2)
        return self.last(h)[:, 0]
