"""A line chart, to stand inside a page: where its lines, ticks and words lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mcvd.video.palette import SERIES

WIDTH, HEIGHT = 480, 220
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 8, 24
_INSET = 8  # of the first and the last point


class LineStyle(NamedTuple):
    """The colour of a line, and its dashes as SVG writes them; none for ""."""

    colour: str
    dashes: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a chart: its name, looks, and points in pixels."""

    name: str
    style: LineStyle
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Tick:
    """A number beside an axis, and where it stands in pixels."""

    text: str
    place: float


@dataclass(frozen=True)
class LineChart:
    """What a template draws.

    Args:
        title: of the chart.
        lines: see `Line`.
        x_ticks, y_ticks: see `Tick`.
        step: pixels from one value to the next.
        num_values: of the longest line.
        at: which frame of the videos the first value is of; None where the chart is about no video.
    """

    title: str
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    step: float
    num_values: int
    at: int | None

    width, height, left, top, bottom = WIDTH, HEIGHT, LEFT, TOP, HEIGHT - BOTTOM

    @property
    def start(self) -> float:
        """Where the first value stands, in pixels."""
        return LEFT + _INSET


def line_chart(
    lines: Mapping[str, Sequence[float]],
    y_title: str,
    x_title: str,
    first: int = 1,
    *,
    styles: Mapping[str, LineStyle] | None = None,
    at: int | None = None,
) -> LineChart:
    """Lines over whole numbers, such as a score over frames.

    Args:
        lines: for each name the values at x = first, first + 1, ...; NaN is left out.
        y_title: name and unit of the values.
        x_title: what is counted along x.
        first: of the x values.
        styles: of the lines by their names; None takes the colours of the palette in turn.
        at: see `LineChart`.
    """
    styles = styles or {name: LineStyle(SERIES[number % len(SERIES)]) for number, name in enumerate(lines)}
    values = [value for line in lines.values() for value in line if not math.isnan(value)]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 1
    low, high = low - margin, high + margin
    num_values = max(len(line) for line in lines.values())
    last = first + num_values - 1
    step = (WIDTH - LEFT - RIGHT - 2 * _INSET) / max(1, last - first)

    def x(frame: float) -> float:
        return round(LEFT + _INSET + step * (frame - first), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    drawn = [
        Line(name, styles[name], [(x(first + i), y(value)) for i, value in enumerate(line) if not math.isnan(value)])
        for name, line in lines.items()
    ]
    whole = (tick for tick in _ticks(first, last, 8) if tick == int(tick))
    return LineChart(
        f"{y_title} by {x_title}",
        drawn,
        [Tick(f"{frame:g}", x(frame)) for frame in whole],
        [Tick(f"{value:g}", y(value)) for value in _ticks(low, high)],
        round(step, 3),
        num_values,
        at,
    )


def _ticks(low: float, high: float, num: int = 5) -> list[float]:
    """Round numbers from low to high, about ``num`` of them."""
    rough = (high - low) / num or 1
    power = 10.0 ** math.floor(math.log10(rough))
    step = min(power * m for m in (1, 2, 5, 10) if power * m >= rough * (1 - 1e-9))
    return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
