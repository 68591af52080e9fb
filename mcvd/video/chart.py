"""A line chart as SVG, to stand inside a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

_COLOURS = ("#2f7de1", "#f08a24", "#2f9e62", "#c2478f", "#7a5cd6", "#8b95a1")


def line_chart(lines: dict[str, Sequence[float]], y_title: str, x_title: str, first: int = 1) -> str:
    """Lines over whole numbers, such as a score over frames, with a legend.

    Args:
        lines: for each name the values at x = first, first + 1, ...
        y_title: name and unit of the values.
        x_title: what is counted along x.
        first: of the x values.

    Returns:
        HTML whose colours follow the page: ``--soft`` for words, ``--line`` for the grid.
    """
    width, height, left, right, top, bottom = 480, 220, 34, 10, 8, 24
    values = [value for line in lines.values() for value in line]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 1
    low, high = low - margin, high + margin
    last = first + max(len(line) for line in lines.values()) - 1

    def x(frame: float) -> str:
        return f"{left + 8 + (width - left - right - 8) * (frame - first) / max(1, last - first):.1f}"

    def y(value: float) -> str:
        return f"{top + (height - top - bottom) * (high - value) / (high - low):.1f}"

    parts = []
    for value in _ticks(low, high):
        parts.append(f'<path class="grid" d="M{left} {y(value)}H{width}"/>')
        parts.append(f'<text x="{left - 6}" y="{y(value)}" dy="4" text-anchor="end">{value:g}</text>')
    for frame in (tick for tick in _ticks(first, last, 8) if tick == int(tick)):
        parts.append(f'<text x="{x(frame)}" y="{height - 6}" text-anchor="middle">{frame:g}</text>')
    legend = ""
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [(x(first + i), y(value)) for i, value in enumerate(line)]
        parts.append(f'<polyline points="{" ".join(map(",".join, points))}" stroke="{colour}"/>')
        parts += [f'<circle cx="{cx}" cy="{cy}" r="2.2" fill="{colour}"/>' for cx, cy in points]
        legend += f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
    title = escape(f"{y_title} by {x_title}")
    return (
        f'<figure class="chart"><figcaption>{title}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title}">{"".join(parts)}</svg>'
        f'<p class="legend">{legend}</p></figure>'
    )


def _ticks(low: float, high: float, num: int = 5) -> list[float]:
    """Round numbers from low to high, about ``num`` of them."""
    rough = (high - low) / num or 1
    power = 10.0 ** math.floor(math.log10(rough))
    step = min(power * m for m in (1, 2, 5, 10) if power * m >= rough * (1 - 1e-9))
    return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
