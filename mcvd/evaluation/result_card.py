"""Whether two result cards may be compared."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Collection, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mcvd.evaluation.protocols import Protocol
from mcvd.runtime.digests import digest

_OF_A_SCORE = ("definition", "weights_digest", "random_seed", "preprocessing")
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


def compare_cards(first: str | Path, second: str | Path) -> str:
    """That two cards can be compared, and in what they differ: that is what is compared then.

    Raises:
        ValueError: they cannot be; names every setting that differs.
    """
    a, b = read_card(first), read_card(second)
    hindrances, compared = differences(a, b), free_settings(a, b)
    if hindrances:
        more = f". They also differ in what may differ: {_words(compared)}" if compared else ""
        raise ValueError(f"{first} and {second} cannot be compared, they differ in {_words(hindrances)}{more}")
    lines = [f"{first} and {second} can be compared"]
    lines += [f"what differs: {_words(compared)}" if compared else "no setting differs"]
    names = {str(first): _scores(a), str(second): _scores(b)}
    lines += [
        f"in {path} alone: {', '.join(alone)}"
        for path, others in zip(names, reversed(names.values()), strict=True)
        if (alone := [name for name in names[path] if name not in others])
    ]
    return "\n".join(lines)


def differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings that keep two cards from being compared: name -> (of a, of b); none if they may be.

    Model, sampler, steps, guidance, seed and versions may differ (`free_settings`). The rest may not. Of a score
    that one of them has no value for, nothing is asked.

    Example:
        >>> card = {"protocol": None, "data_digest": "12", "scores": {"num_samples": 10}}
        >>> differences(card, card | {"scores": {"num_samples": 1}})
        {'num_samples': (10, 1)}
    """
    shared = _scores(a).keys() & _scores(b).keys()
    return _unequal(_conditions(a, shared), _conditions(b, shared))


def free_settings(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings in which two cards may differ, and do: name -> (of a, of b)."""
    return _unequal(_choices(a), _choices(b))


def _conditions(card: dict[str, Any], scores: Collection[str]) -> dict[str, Any]:
    protocol = card.get("protocol") or {"name": None}
    found = {f"protocol.{name}": value for name, value in protocol.items()}
    found |= {name: card["scores"].get(name) for name in _SCORES}
    found["data_digest"] = card["data_digest"]
    for score in sorted(scores):
        row = _scores(card)[score]
        found |= {f"{score}.{setting}": row.get(setting) for setting in _OF_A_SCORE}
    return found


def _choices(card: dict[str, Any]) -> dict[str, Any]:
    found = {name: card.get(name) for name in ("model", "model_digest", "device")}
    found |= {name: card["scores"].get(name) for name in ("sampler", "num_calls", "guidance", "sampling", "seed")}
    return found | {f"version of {name}": value for name, value in card.get("versions", {}).items()}


def _scores(card: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is known of each score that has a value, by its name."""
    distances = {row["name"]: row for row in card.get("distances", []) if row.get("value") is not None}
    return card["scores"].get("metrics", {}) | distances


def _unequal(a: dict[str, Any], b: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {name: (a.get(name), b.get(name)) for name in a | b}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _words(settings: dict[str, tuple[Any, Any]]) -> str:
    return "; ".join(f"{name}: {a!r} and {b!r}" for name, (a, b) in settings.items())


# What computes and what reads videos and pictures.
_PACKAGES = ("mcvd", "torch", "torchmetrics", "numpy", "av", "pillow")


def make_card(
    scores: dict[str, Any],
    distances: list[dict[str, Any]],
    missing: dict[str, str],
    model: nn.Module,
    clips: Tensor,
    protocol: Protocol | None,
    facts: dict[str, Any],
    command: Sequence[str],
) -> dict[str, Any]:
    """All that a score needs to be repeated, as JSON holds it.

    Args:
        scores: of `mcvd.evaluation.evaluate.evaluate`.
        distances: of `distribution_metrics`.
        missing: scores of frames that there are not, each with the reason; of `frame_metrics`.
        model: whose weights are digested.
        clips: uint8 (N, T, C, H, W), what was scored on.
        protocol: None for a choice of one's own.
        facts: what else is told: the names of the ``model`` and the ``data`` as they were given, and more.
        command: the words of the command line.
    """
    return facts | {
        "protocol": protocol.describe() if protocol else None,
        "scores": scores,
        "distances": distances,
        "missing": missing,
        "model_digest": digest(model.state_dict()),
        "data_digest": digest({"clips": clips}),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        "command": shlex.join(command),
    }
