"""Rows of frames as one picture, to look at and compare."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

_GAP = 2
_BORDER = 2
_PAPER, _INK = (255, 255, 255), (32, 32, 32)
_GIVEN_COLOUR = (0, 114, 178)


def contact_sheet(
    rows: Mapping[str, Tensor] | Sequence[Tensor], given: Collection[int] = (), min_height: int = 0
) -> Image.Image:
    """Lay videos out as rows of frames, side by side with thin gaps.

    Args:
        rows: label -> video, or videos without labels; each uint8 (T, C, H, W), C being 1 or 3, all of one H and W.
            A shorter row ends earlier.
        given: columns whose frames were given to a model, not made by it: they get a thin blue border.
        min_height: frames that are lower are enlarged by a whole number until they reach it, pixels; 0: as they are.

    Example:
        >>> truth = torch.zeros(4, 3, 64, 64, dtype=torch.uint8)
        >>> contact_sheet({"truth": truth, "predicted": truth}, given=[0, 1]).height
        138
    """
    from PIL import Image, ImageDraw, ImageFont

    labels = list(rows) if isinstance(rows, Mapping) else [""] * len(rows)
    videos = list(rows.values()) if isinstance(rows, Mapping) else list(rows)
    for video in videos:
        if video.dtype != torch.uint8 or video.ndim != 4 or video.shape[1] not in (1, 3):
            raise ValueError(f"a row must be uint8 (T, C, H, W) with C 1 or 3, got {video.dtype} {tuple(video.shape)}")
    sizes = {tuple(video.shape[-2:]) for video in videos}
    if len(sizes) != 1:
        raise ValueError(f"the rows must all have frames of one size, got (height, width) {sorted(sizes)}")
    ((height, width),) = sizes
    enlarge = max(1, -(-min_height // height))
    height, width = height * enlarge, width * enlarge

    font = ImageFont.load_default(size=max(11, min(20, height // 5)))
    margin = max((round(font.getlength(label)) + 8 for label in labels if label), default=0)
    step_x, step_y = width + 2 * _BORDER + _GAP, height + 2 * _BORDER + _GAP
    longest = max(len(video) for video in videos)
    strip = Image.new("RGB", (margin + longest * step_x - _GAP, len(videos) * step_y - _GAP), _PAPER)
    draw = ImageDraw.Draw(strip)
    for row, (label, video) in enumerate(zip(labels, videos, strict=True)):
        top = row * step_y
        draw.text((margin - 6, top + step_y // 2), label, fill=_INK, font=font, anchor="rm")
        frames = video.detach().cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()
        for column, frame in enumerate(frames):
            left = margin + column * step_x
            if column in given:
                draw.rectangle(
                    (left, top, left + width + 2 * _BORDER - 1, top + height + 2 * _BORDER - 1), fill=_GIVEN_COLOUR
                )
            picture = Image.fromarray(frame).resize((width, height), Image.Resampling.NEAREST)
            strip.paste(picture, (left + _BORDER, top + _BORDER))
    return strip
