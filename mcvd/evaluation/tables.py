"""Rows of scores as a table, on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcvd.evaluation.row import Row, best_mean
from mcvd.metrics.frame_metrics import MetricInfo
from mcvd.video.page import Column, Page


def rows_as_text(rows: Mapping[str, Row], metrics: Mapping[str, MetricInfo]) -> list[str]:
    """Lines of a table: means and intervals, the best that can win marked with a star."""
    width = max(len(row.title) for row in rows.values())
    widths = {name: max(8, len(metric.title)) for name, metric in metrics.items()}
    heads = (f"  {metric.title:>{widths[name]}}  {'95% interval':>16}" for name, metric in metrics.items())
    lines = [" " * width + "".join(heads)]
    for row in rows.values():
        line = f"{row.title:{width}}"
        for name, metric in metrics.items():
            score = row.scores[name]
            star = "*" if row.ranked and score.mean == best_mean(rows, name, metric) else ""
            interval = " .. ".join(map(metric.text, score.interval or ()))
            line += f"  {metric.text(score.mean):>{widths[name]}}{star:1} {interval:>16}"
        lines.append(line.rstrip())
    return lines


def add_rows(page: Page, rows: Mapping[str, Row], metrics: Mapping[str, MetricInfo], caption: str) -> Page:
    """Add the table to a page, the best in bold, with the 95% intervals small below the means."""
    ends = {True: max, False: min, None: None}
    columns = [Column(metric.title, metric.digits, ends[metric.higher_is_better]) for metric in metrics.values()]
    cells: list[tuple[str, Sequence[float | str]]] = []
    intervals: dict[str, list[str]] = {}
    for row in rows.values():
        found = [(metric, row.scores[name]) for name, metric in metrics.items()]
        cells.append((row.title, [score.mean for _, score in found]))
        intervals[row.title] = [" \N{EN DASH} ".join(map(metric.text, score.interval or ())) for metric, score in found]
    not_ranked = [row.title for row in rows.values() if not row.ranked]
    if any(map(any, intervals.values())):
        caption = f"{caption} Small: 95% intervals."
    return page.table(columns, cells, not_ranked=not_ranked, caption=caption, notes=intervals)
