"""Whether two result cards may be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_SCORES = ("task", "num_clips", "num_past", "num_frames", "num_future", "size", "num_samples")


def read_card(path: str | Path) -> dict[str, Any]:
    """A result card.

    Raises:
        ValueError: it is none.
    """
    try:
        card = json.loads(Path(path).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(card, dict) or not isinstance(card.get("scores"), dict) or "data_digest" not in card:
        raise ValueError(f"{path} is no result card: write one with mcvd evaluate --out")
    return card


def differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings that keep two cards from being compared: name -> (of a, of b); none if they may be.

    Model, sampler, steps, guidance and seed may differ, they are what is compared. The rest may not.

    Example:
        >>> card = {"protocol": None, "data_digest": "12", "scores": {"num_samples": 10}}
        >>> differences(card, card | {"scores": {"num_samples": 1}})
        {'num_samples': (10, 1)}
    """
    first, second = _conditions(a), _conditions(b)
    pairs = {name: (first.get(name), second.get(name)) for name in first | second}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _conditions(card: dict[str, Any]) -> dict[str, Any]:
    protocol = card.get("protocol") or {"name": None}
    found = {f"protocol.{name}": value for name, value in protocol.items()}
    found |= {name: card["scores"].get(name) for name in _SCORES}
    found["data_digest"] = card["data_digest"]
    for row in card.get("distances", []):
        for setting in ("weights_digest", "seed", "preprocessing"):
            found[f"{row['name']}.{setting}"] = row.get(setting)
    return found
