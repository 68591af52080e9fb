"""Scores and result cards for people: on the terminal and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcvd.evaluation.baselines import BASELINES
from mcvd.evaluation.ensemble_report import add_ensemble, format_ensemble
from mcvd.evaluation.highlights import Highlight
from mcvd.evaluation.result_card import Distance, ResultCard
from mcvd.evaluation.scores import Scores
from mcvd.evaluation.tables import add_rows, rows_as_text
from mcvd.evaluation.words import in_words
from mcvd.video.legend import Legend
from mcvd.video.page import Column, Page
from mcvd.video.timing import DEFAULT_FPS

_CHOSEN = " The best of several samples was chosen by its score, with the ground truth in hand: it cannot win."
_NAMES = {
    "model_digest": "SHA-256 of the weights",
    "data_digest": "SHA-256 of the clips",
    "frame_rate_hz": "frames per second",
    "num_calls": "network calls for each block",
    "num_samples": "samples of each clip",
    "num_clips": "clips",
    "num_frames": "frames to generate",
    "past": "frames given before",
    "future": "frames given after",
}
_DIVERSITY = (
    " Two samples differ by {between_samples:.1f} grey levels, a sample and the ground truth by {to_truth:.1f}; equal "
    "numbers would mean that the samples vary as much as they should."
)


def format_scores(scores: Scores, *, ensemble: bool = True) -> str:
    """Scores as lines for a terminal, the best that can win marked with a star.

    Args:
        scores: of an evaluation.
        ensemble: also those of all samples together.

    Example::

        print(format_scores(evaluate(model, clips)))
    """
    head = f"{scores.task}: {scores.sentence}"
    if not scores.rows:
        return "\n".join([head, *(format_ensemble(scores.ensemble) if scores.ensemble else [])])
    lines = [head, *rows_as_text(scores.rows, scores.metrics)]
    if scores.diversity:
        lines.append(
            f"samples differ by {scores.diversity.between_samples:.1f} grey levels from each other, by "
            f"{scores.diversity.to_truth:.1f} from the ground truth (equal is right)"
        )
    if scores.ensemble and ensemble:
        lines += format_ensemble(scores.ensemble)
    return "\n".join(lines)


def format_card(card: ResultCard) -> str:
    """The scores of a card, its distances, and what is missing, as lines for a terminal."""
    lines = [format_scores(card.scores)]
    lines += [f"{title}: none, {reason}" for title, reason in card.missing.items()]
    lines += [
        f"{distance.name}: {f'none, {distance.reason}' if distance.value is None else distance.value}"
        for distance in card.distances
    ]
    lines += [] if card.likelihood is None else [f"likelihood: {card.likelihood}"]
    return "\n".join(lines)


def add_scores(page: Page, scores: Scores) -> Page:
    """Add scores to a page: a table with the conditions, and the course over the generated frames."""
    metrics = scores.metrics
    not_ranked = [row.title for row in scores.rows.values() if not row.ranked]
    caption = f"{'Means over clips, the best in bold. ' if scores.rows else ''}{scores.sentence}."
    caption += _CHOSEN if not_ranked else ""
    caption += _DIVERSITY.format_map(vars(scores.diversity)) if scores.diversity else ""
    if not scores.rows:
        return page.text(caption)
    add_rows(page, scores.rows, metrics, caption)
    if scores.num_frames > 1:
        page.charts(
            {
                metric.title: {row.title: row.scores[name].per_frame for row in scores.rows.values()}
                for name, metric in metrics.items()
            },
            x_title="generated frame",
            baselines=[row.title for name, row in scores.rows.items() if name in BASELINES],
        )
    return page


def card_page(
    card: ResultCard, highlights: Sequence[Highlight], fps: float = DEFAULT_FPS, legend: Legend | None = None
) -> Page:
    """The page of a card.

    Args:
        card: what it shows.
        highlights: clips to show, the best first where frames have a ground truth.
        fps: at which they play.
        legend: what their colours mean, where they show values.
    """
    scores = card.scores
    if card.protocol:
        under = f"On {card.data}, by the protocol {card.protocol['name']}."
    else:
        under = f"On {card.data}, by no published protocol: compare with cards of the same clips, not with papers."
    page = Page(f"Scores of {card.model}", under)
    add_scores(page.section("Frames against the ground truth"), scores)
    missing = {**card.missing, **{each.name: each.reason for each in card.distances if each.value is None}}
    for name, reason in missing.items():
        page.text(f"{name} has no value: {reason}.", note=True)
    _add_highlights(page, card, highlights, fps, legend)
    if scores.ensemble:
        add_ensemble(page, scores.ensemble)
    if found := [each for each in card.distances if each.value is not None]:
        _add_distances(page, found)
    if card.likelihood is not None:
        text = "of the true frames given their context, by the probability flow; lower is better, 8 is knowing nothing"
        page.section("Likelihood").text(f"{card.likelihood}, {text}.")
    page.section("What fixes these numbers", folded=True).definitions(_facts(card))
    if card.protocol:
        page.section(f"The protocol {card.protocol['name']}", folded=True).definitions(_protocol_facts(card.protocol))
    return page


def _add_highlights(
    page: Page, card: ResultCard, highlights: Sequence[Highlight], fps: float, legend: Legend | None
) -> None:
    """The best and the worst clips as videos, truth and model side by side."""
    scores = card.scores
    if scores.rows:
        by = "mean absolute error" if "mae" in scores.metrics else "PSNR"
        page.section("Best and worst clips", f"Best first, by the {by} of one sample.")
    else:
        page.section("Some clips", "A true one, and one that the model generated from nothing.")
    page.colours(legend)
    unit = scores.ensemble.unit if "mae" in scores.metrics and scores.ensemble else "dB"
    past, end = scores.num_past, scores.num_past + scores.num_frames
    pairs: list[tuple] = []
    for shown in highlights:
        context = [t for t in range(len(shown.target)) if not past <= t < end]
        score = (
            "generated by the model" if shown.score is None else f"clip {shown.number}, model: {shown.score:.2f} {unit}"
        )
        pairs += [
            (f"clip {shown.number}, ground truth", shown.target, context, False),
            (score, shown.sample, context, True),
        ]
    for row in range(0, len(pairs), 4):  # two clips a row, so that truth and model are side by side
        page.videos(pairs[row : row + 4], fps)


def _add_distances(page: Page, distances: Sequence[Distance]) -> None:
    """The distances that have a value, as a table."""
    page.section("Distances between sets of videos")
    titles = ("value", "95% interval", "samples alone, mean", "kernel distance", "real", "generated")
    page.table(
        [Column(title, None) for title in titles],
        [(distance.name, _cells(distance)) for distance in distances],
        caption="Lower is nearer; only values of the same network, frames and numbers of videos can be compared.",
    )
    for caution in dict.fromkeys(caution for distance in distances for caution in distance.cautions):
        page.text(f"Caution: {caution}.")


def _cells(distance: Distance) -> list[str]:
    unknown = "\N{EN DASH}"
    interval = " \N{EN DASH} ".join(f"{end:.4g}" for end in distance.interval_95 or ())
    numbers = (distance.value, distance.mean_of_single_samples, distance.kernel_distance)
    value, alone, kernel = (unknown if number is None else f"{number:.4g}" for number in numbers)
    return [value, interval, alone, kernel, str(distance.num_real), str(distance.num_fake)]


def _facts(card: ResultCard) -> dict[str, str]:
    """Everything that the numbers depend on, by the name that people read."""
    names = ("command", "model", "model_digest", "data", "data_digest", "frame_rate_hz", "device")
    found = {name: vars(card)[name] for name in names}
    found |= {name: vars(card.scores)[name] for name in ("sampler", "num_calls", "guidance", "seed", "num_samples")}
    found |= card.scores.sampling
    found |= {f"{metric.quantity} is": metric.definition for metric in card.scores.metrics.values()}
    if (ensemble := card.scores.ensemble) is not None:
        found |= {f"{metric.quantity} is": metric.definition for metric in ensemble.metrics.values()}
    for distance in card.distances:
        settings = ("weights", "weights_digest", "random_seed", "preprocessing")
        known = {name: vars(distance)[name] for name in settings if distance.value is not None}
        found |= {f"{distance.name}, {name}": value for name, value in known.items() if value is not None}
    found |= {f"version of {name}": value for name, value in card.versions.items()}
    return {_NAMES.get(name, name.replace("_", " ")): in_words(value) for name, value in found.items()}


def _protocol_facts(protocol: Mapping[str, Any]) -> dict[str, str]:
    """A protocol as people read it; what it leaves open is not listed."""
    found = {name: value for name, value in protocol.items() if value is not None}
    if isinstance(size := found.get("size"), list) and len(size) == 2:  # a card may be somebody else's
        found["size"] = f"{in_words(size[1])}x{in_words(size[0])} pixels"
    return {_NAMES.get(name, name.replace("_", " ")): in_words(value) for name, value in found.items()}
