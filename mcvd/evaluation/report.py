"""A result card as a page to look at."""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor

from mcvd.evaluation.wording import CHOSEN_WITH_THE_TRUTH, describe_conditions, row_title
from mcvd.video.page import Column, Page


def card_page(card: dict[str, Any], shown: list[tuple[int, Tensor, Tensor]], fps: float = 10) -> Page:
    """The page of a card.

    Args:
        card: of `mcvd.evaluation.result_card.make_card`.
        shown: (number of the clip, true video, made video), both uint8 (T, C, H, W) with the given frames, best first
            where frames have a truth.
        fps: at which they play.
    """
    scores, protocol = card["scores"], card["protocol"]
    under = f"Protocol {protocol['name']}" if protocol else "No protocol named"
    page = Page(f"Scores of {card['model']}", f"{under}, on {card['data']}.")
    page.section("Frames against the truth").scores(scores)
    for name, reason in card["missing"].items():
        page.text(f"{name} has no value: {reason}.")
    _add_distances(page, card["distances"])
    if scores["rows"]:
        page.section("Best and worst clips", "Best first, by the PSNR of one sample.")
    else:
        page.section("Some clips", "A true one, and one that the model made of nothing.")
    past, end = scores["num_past"], scores["num_past"] + scores["num_frames"]
    pairs: list[tuple[str, Tensor, list[int], bool]] = []
    for number, truth, made in shown:
        given = [t for t in range(len(truth)) if not past <= t < end]
        pairs += [(f"clip {number}, truth", truth, given, False), (_caption(scores, number), made, given, True)]
    for row in range(0, len(pairs), 4):  # two clips a row, so that truth and model stand side by side
        page.videos(pairs[row : row + 4], fps)
    page.section("What fixes these numbers").facts(_facts(card))
    return page


def _add_distances(page: Page, distances: list[dict[str, Any]]) -> None:
    """The distances that have a value as a table, the others with their reason."""
    page.section("Distances between sets of videos")
    found = [row for row in distances if row["value"] is not None]
    columns = [Column("value", None), Column("95% interval", None), Column("samples alone, mean", None)]
    columns += [Column("kernel distance", None), Column("real", None), Column("made", None)]
    if found:
        text = "Lower is nearer; only values of the same network, frames and numbers of videos can be compared."
        page.table(columns, [(row["name"], _distance(row)) for row in found], caption=text)
    for caution in dict.fromkeys(caution for row in found for caution in row["cautions"]):
        page.text(f"Caution: {caution}.")
    for row in distances:
        if row["value"] is None:
            page.text(f"{row['name']} has no value: {row['reason']}.")


def _distance(row: dict[str, Any]) -> list[str]:
    low, high = row["interval_95"]
    kernel = f"{row['kernel_distance']:.4g}" if "kernel_distance" in row else "\N{EN DASH}"
    values = [f"{row['value']:.4g}", f"{low:.4g} \N{EN DASH} {high:.4g}", f"{row['mean_of_single_samples']:.4g}"]
    return [*values, kernel, str(row["num_real"]), str(row["num_fake"])]


def _caption(scores: dict[str, Any], number: int) -> str:
    """What is written below a made clip."""
    if not scores["rows"]:
        return "made by the model"
    return f"clip {number}, model: {scores['rows']['one_sample']['psnr_per_clip'][number]:.2f} dB"


def _facts(card: dict[str, Any]) -> dict[str, str]:
    """Everything that the numbers depend on, by the name that people read."""
    scores, protocol = card["scores"], card["protocol"] or {}
    facts = {name: card[name] for name in ("command", "model", "model_digest", "data", "data_digest", "frame_rate_hz")}
    names = ("sampler", "num_calls", "guidance", "seed", "num_samples")
    facts |= {name: scores[name] for name in names} | scores["sampling"] | {"device": card["device"]}
    facts |= {f"{metric['title'].split()[0]} is": metric["definition"] for metric in scores["metrics"].values()}
    for row in card["distances"]:
        settings = ("weights", "weights_digest", "random_seed", "preprocessing")
        facts |= {f"{row['name']}, {setting}": row[setting] for setting in settings if setting in row}
    facts |= {f"version of {name}": value for name, value in card["versions"].items()}
    facts |= {f"protocol, {name}": value for name, value in protocol.items()}
    return {
        name.replace("_", " "): value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()
    }


def format_table(scores: dict[str, Any]) -> str:
    """`evaluate`'s result as lines for a terminal, the best of what can be compared marked with a star.

    Example::

        print(format_table(evaluate(model, clips)))
    """
    if not scores["rows"]:
        return f"{scores['task']}: {describe_conditions(scores)}"
    titles = {name: row_title(name, scores) for name in scores["rows"]}
    width = max(map(len, titles.values()))
    heads = "".join(f"  {metric['title']:>8}  {'95% interval':>16}" for metric in scores["metrics"].values())
    lines = [f"{scores['task']}: {describe_conditions(scores)}", " " * width + heads]
    best = {name: best_score(scores, name) for name in scores["metrics"]}
    for name, row in scores["rows"].items():
        line = f"{titles[name]:{width}}"
        for key, metric in scores["metrics"].items():
            star = "*" if row[key] == best[key] and name != CHOSEN_WITH_THE_TRUTH else ""
            digits, ends = metric["digits"], row[f"{key}_interval"] or ()
            line += f"  {row[key]:8.{digits}f}{star:1} {' .. '.join(f'{end:.{digits}f}' for end in ends):>16}"
        lines.append(line.rstrip())
    if "diversity" in scores:
        lines.append(
            "samples differ by {between_samples:.1f} grey levels from each other, by {to_truth:.1f} from the truth "
            "(equal is right)".format_map(scores["diversity"])
        )
    return "\n".join(lines)


def best_score(scores: dict[str, Any], metric: str) -> float:
    """The best value of a metric among the rows that can be compared."""
    better = max if scores["metrics"][metric]["higher_is_better"] else min
    return better(row[metric] for name, row in scores["rows"].items() if name != CHOSEN_WITH_THE_TRUTH)
