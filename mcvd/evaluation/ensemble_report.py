"""Scores of an ensemble for people: on the terminal and as a page."""

from __future__ import annotations

from mcvd.evaluation.ensemble_scores import SAMPLES, TRUTH, EnsembleScores, Event
from mcvd.evaluation.tables import add_rows, rows_as_text
from mcvd.metrics.frame_metrics import MetricInfo
from mcvd.video.page import Column, Page

_NONE = "\N{EN DASH}"
_EVENT_METRICS = {"brier": "Brier score", "csi": "CSI", "pod": "POD", "far": "FAR"}


def format_ensemble(ensemble: EnsembleScores) -> list[str]:
    """Lines for a terminal, without those of `format_events`."""
    lines = [f"the samples as an ensemble, in {ensemble.unit}", *rows_as_text(ensemble.rows, ensemble.metrics)]
    lines.append(_looks(ensemble))
    if (calibration := ensemble.calibration) is not None:
        lines.append(
            f"spread by error {_ratio(calibration.spread_skill)} (1 is right); the truth lies outside of all samples "
            f"in {calibration.outside:.0%} of the pixels ({2 / len(calibration.rank_histogram):.0%} is right)"
        )
    return lines


def format_events(ensemble: EnsembleScores) -> list[str]:
    """How often values above thresholds are foreseen, as lines for a terminal."""
    lines = []
    for event in ensemble.events:
        lines.append(f"{_event_title(event, ensemble.unit)}, true for {event.base_rate:.1%} of the pixels:")
        width = max(len(_title(ensemble, name)) for name in event.rows)
        for name, score in event.rows.items():
            values = (f"{title} {_ratio(vars(score)[key])}" for key, title in _EVENT_METRICS.items())
            lines.append(f"  {_title(ensemble, name):{width}}  {'  '.join(values)}")
    return lines


def add_ensemble(page: Page, ensemble: EnsembleScores) -> Page:
    """Add the scores to a page: a table, their course, calibration and events."""
    page.section("The samples as an ensemble", "All samples of a clip together, as weather forecasts are scored.")
    caption = f"Means over clips in {ensemble.unit}. {_looks(ensemble)}."
    add_rows(page, ensemble.rows, ensemble.metrics, caption)
    if len(next(iter(ensemble.rows.values())).scores["motion"].per_frame) > 1:
        page.charts(
            {
                metric.title: {
                    row.title: row.scores[name].per_frame
                    for row in ensemble.rows.values()
                    if _shown(row.ranked, metric)
                }
                for name, metric in ensemble.metrics.items()
            },
            x_title="generated frame",
            baselines=[row.title for name, row in ensemble.rows.items() if name != SAMPLES],
        )
    if (calibration := ensemble.calibration) is not None:
        places = len(calibration.rank_histogram)
        page.text(
            f"Calibration: spread by error is {_ratio(calibration.spread_skill)}, where 1 is right and less says that "
            f"the samples are too much alike. The truth lies outside of all samples in {calibration.outside:.0%} of "
            f"the pixels; {2 / places:.0%} is right. Rank 0 is below all samples."
        )
        page.charts(
            {
                "share of pixels": {
                    "found": calibration.rank_histogram,
                    "calibrated": [1 / places] * places,
                }
            },
            x_title=f"rank of the truth among {places - 1} samples",
            first=0,
            baselines=["calibrated"],
        )
        page.charts(
            {f"root mean square in {ensemble.unit}": {"spread": calibration.spread, "error": calibration.error}},
            x_title="generated frame",
        )
    if ensemble.events:
        page.section("Events: how often values above a threshold are foreseen", folded=True)
    for event in ensemble.events:
        _add_event(page, event, ensemble)
    return page


def _add_event(page: Page, event: Event, ensemble: EnsembleScores) -> None:
    title = _event_title(event, ensemble.unit)
    cells = [
        (_title(ensemble, name), [_ratio(vars(score)[key]) for key in _EVENT_METRICS])
        for name, score in event.rows.items()
    ]
    columns = [Column(name, None) for name in _EVENT_METRICS.values()]
    page.table(columns, cells, caption=f"{title.capitalize()}, true for {event.base_rate:.1%} of the pixels.")
    courses = {_title(ensemble, name): score.csi_per_frame for name, score in event.rows.items()}
    if len(next(iter(courses.values()))) > 1 and event.base_rate:
        page.charts(
            {"CSI": {title: [_number(share) for share in course] for title, course in courses.items()}},
            x_title="generated frame",
            baselines=[row.title for name, row in ensemble.rows.items() if name not in (SAMPLES, TRUTH)],
        )
    num_samples = len(event.came) - 1
    if num_samples > 1 and any(event.came):
        page.charts(
            {
                f"reliability: how often so many of {num_samples} samples were right": {
                    "found": [_number(share) for share in event.came],
                    "calibrated": [number / num_samples for number in range(num_samples + 1)],
                }
            },
            x_title="samples that reach it",
            first=0,
            baselines=["calibrated"],
        )


def _shown(ranked: bool, metric: MetricInfo) -> bool:
    """The truth has a course of its own only where it is not 0 by definition."""
    return ranked or metric.higher_is_better is None


def _looks(ensemble: EnsembleScores) -> str:
    return (
        f"Single samples have {_ratio(ensemble.relative('motion'))} times the motion and "
        f"{_ratio(ensemble.relative('sharpness'))} times the sharpness of the truth"
    )


def _event_title(event: Event, unit: str) -> str:
    return f"values of {event.threshold:g} {unit} or more"


def _title(ensemble: EnsembleScores, row: str) -> str:
    if row in ensemble.rows:
        return ensemble.rows[row].title
    return f"{ensemble.rows[SAMPLES].title.replace(' samples', '')}".replace("model, ", "model, mean of ")


def _number(value: float | None) -> float:
    """For a chart, which leaves out what is NaN."""
    return float("nan") if value is None else value


def _ratio(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3f}"
