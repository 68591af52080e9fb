"""Numbers as colours: maps that play beside the videos they are about."""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.video.palette import SCALE, rgb


def heat_map(values: Tensor, top: float) -> Tensor:
    """Colours of the palette's scale.

    Args:
        values: float (T, H, W), 0 or more.
        top: the value of the brightest colour, more than 0; what is higher gets it too.

    Returns:
        uint8 (T, 3, H, W).

    Examples:
        >>> heat_map(torch.tensor([[[0.0, 9.0]]]), top=9.0)[0, :, 0].T.tolist()
        [[68, 1, 84], [253, 231, 37]]
    """
    colours = torch.tensor([rgb(colour) for colour in SCALE], dtype=torch.float32)
    place = (values.float().cpu() / top).clamp(0, 1) * (len(colours) - 1)
    low = place.floor().long().clamp(max=len(colours) - 2)
    part = (place - low)[..., None]
    mixed = colours[low] * (1 - part) + colours[low + 1] * part  # (T, H, W, 3)
    return mixed.round().to(torch.uint8).permute(0, 3, 1, 2).contiguous()
