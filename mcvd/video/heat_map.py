"""Numbers as colours: maps that play beside the videos they are about."""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.video.palette import SCALE, rgb

MISSING = (128, 128, 128)
"""The colour of numbers that are not known: the palette's scale has no grey."""


def heat_map(values: Tensor, top: float) -> Tensor:
    """Colours of the palette's scale.

    Args:
        values: float (T, H, W), 0 or more; NaN is shown as `MISSING`.
        top: the value of the brightest colour, more than 0; what is higher gets it too.

    Returns:
        uint8 (T, 3, H, W).

    Examples:
        >>> heat_map(torch.tensor([[[0.0, 9.0]]]), top=9.0)[0, :, 0].T.tolist()
        [[68, 1, 84], [253, 231, 37]]
    """
    colours = torch.tensor([rgb(colour) for colour in SCALE], dtype=torch.float32)
    values = values.float().cpu()
    place = (values.nan_to_num() / top).clamp(0, 1) * (len(colours) - 1)
    low = place.floor().long().clamp(max=len(colours) - 2)
    part = (place - low)[..., None]
    mixed = colours[low] * (1 - part) + colours[low + 1] * part  # (T, H, W, 3)
    mixed = torch.where(values.isnan()[..., None], torch.tensor(MISSING, dtype=torch.float32), mixed)
    return mixed.round().to(torch.uint8).permute(0, 3, 1, 2).contiguous()
