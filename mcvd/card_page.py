"""A result card as a page to look at."""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor

from mcvd.gallery import Column, Page


def card_page(card: dict[str, Any], shown: list[tuple[int, Tensor, Tensor]], fps: float = 10) -> Page:
    """The page of a card.

    Args:
        card: of `mcvd.card.make_card`.
        shown: (number of the clip, true video, made video), both uint8 (T, C, H, W) with the given frames, best first
            where frames have a truth.
        fps: at which they play.
    """
    scores, protocol = card["scores"], card["protocol"]
    page = Page(f"Scores of {card['model']}", f"Protocol: {protocol['name'] if protocol else 'none named'}.")
    page.section("Frame by frame").scores(scores)
    for name, reason in card["missing"].items():
        page.text(f"{name} has no value: {reason}.")
    page.section("Distances between sets of videos")
    page.table(
        [Column("value", None), Column("95% interval", None)],
        [(row["name"], _distance(row)) for row in card["distances"]],
    )
    for row in card["distances"]:
        if row["value"] is None:
            page.text(f"{row['name']} has no value: {row['reason']}.")
    if scores["rows"]:
        page.section("Best and worst clips", "By the PSNR of one sample; the truth and what the model made of it.")
    else:
        page.section("Some clips", "A true one, and one that the model made of nothing.")
    past, end = scores["num_past"], scores["num_past"] + scores["num_frames"]
    for number, truth, made in shown:
        given = [t for t in range(len(truth)) if not past <= t < end]
        page.text(f"Clip {number}")
        page.videos([("truth", truth, given, False), ("model", made, given)], fps)
    page.section("What fixes these numbers")
    facts = {name: card[name] for name in ("data", "model_digest", "data_digest", "command")}
    facts |= {"sampler": scores["sampler"], "seed": scores["seed"]} | card["versions"]
    facts |= {f"protocol: {name}": value for name, value in (protocol or {}).items()}
    for name, value in facts.items():
        page.text(f"{name.replace('_', ' ')}: {value if isinstance(value, str) else json.dumps(value)}")
    return page


def _distance(row: dict[str, Any]) -> list[str]:
    if row["value"] is None:
        return ["none", ""]
    low, high = row["interval_95"]
    return [f"{row['value']:.4g}", f"{low:.4g} to {high:.4g}"]
