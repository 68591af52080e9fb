"""`Legend`: what the colours of fields mean, as a panel beside the pictures and as words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mcvd.video.heat_map import MISSING, heat_map

_PANEL_WIDTH = 96
_SHOWN_PIXELS = 160  # the least height of pictures beside which words can be read
_INK, _PAPER = (32, 32, 32), (255, 255, 255)


@dataclass(frozen=True)
class Legend:
    """Of a colour map, or of three channels as red, green and blue.

    Args:
        title: what is shown, with its unit.
        ticks: places on the colour map, 0 to 1, and what is there; none for red, green and blue.
        has_missing: whether values may be missing.
    """

    title: str
    ticks: Sequence[tuple[float, str]] = ()
    has_missing: bool = False

    @property
    def sentence(self) -> str:
        """In words.

        Examples:
            >>> Legend("mm/h", [(0.0, "0"), (1.0, "100")], has_missing=True).sentence
            'Colours: mm/h, from 0 (dark blue) to 100 (yellow); grey is missing.'
        """
        ends = f", from {self.ticks[0][1]} (dark blue) to {self.ticks[-1][1]} (yellow)" if self.ticks else ""
        return f"Colours: {self.title}{ends}{'; grey is missing' if self.has_missing else ''}."

    def panel(self, height: int, width: int) -> Tensor:
        """The colours with what they mean, uint8 (3, height, width); both large enough for some words."""
        from PIL import Image, ImageDraw, ImageFont

        picture = Image.new("RGB", (width, height), _PAPER)
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=11)
        for number, line in enumerate(_lines(self.title, width - 8, font)):
            draw.text((4, 2 + 13 * number), line, fill=_INK, font=font)
        top, bottom = 4 + 13 * len(_lines(self.title, width - 8, font)) + 6, height - 10
        if self.has_missing:
            bottom -= 18
            draw.rectangle((6, bottom + 10, 22, bottom + 22), fill=MISSING)
            draw.text((28, bottom + 10), "missing", fill=_INK, font=font)
        if self.ticks and bottom > top:
            ramp = heat_map(torch.linspace(1, 0, bottom - top).view(1, -1, 1).expand(1, -1, 17), 1.0)[0]
            picture.paste(Image.fromarray(ramp.permute(1, 2, 0).numpy()), (6, top))
            for place, text in self.ticks:
                y = bottom - round(place * (bottom - top))
                draw.line((23, y, 26, y), fill=_INK)
                draw.text((29, y), text, fill=_INK, font=font, anchor="lm")
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def beside_legend(video: Tensor, legend: Legend | None) -> Tensor:
    """Pictures uint8 (T, 1 or 3, H, W), enlarged until words are large enough, with the legend at their right.

    Returns:
        uint8 (T, 3, H', W'); without a legend the pictures themselves.
    """
    if legend is None:
        return video
    video = enlarged(video)
    panel = legend.panel(video.shape[-2], _PANEL_WIDTH)
    return torch.cat([video.expand(-1, 3, -1, -1), panel.expand(len(video), -1, -1, -1)], -1)


def enlarged(video: Tensor) -> Tensor:
    """Pictures (..., H, W), each pixel a square of as many as it takes for words to fit beside them or into a frame."""
    height, width = video.shape[-2:]
    factor = max(1, -(-_SHOWN_PIXELS // height), -(-_PANEL_WIDTH // width))
    return video.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


def _lines(text: str, width: int, font: object) -> list[str]:
    """Words in lines of so many pixels at most, where a word allows it."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:  # type: ignore[attr-defined]
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
