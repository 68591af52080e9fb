"""What people call the scores of `mcvd.evaluation.evaluate` and the conditions that they hold under."""

from __future__ import annotations

from typing import Any

TITLES = {
    "copy_last": "last frame repeated",
    "copy_first": "first frame repeated",
    "extrapolate": "linear extrapolation",
    "blend": "cross-fade",
    "one_sample": "model, one sample",
    "mean_of_K": "model, mean of {num_samples}",
    "best_of_K": "model, best of {num_samples}",
}
CHOSEN_WITH_THE_TRUTH = "best_of_K"


def row_title(name: str, scores: dict[str, Any]) -> str:
    """What people call a row of `evaluate`'s result."""
    return TITLES[name].format_map(scores)


def describe_conditions(scores: dict[str, Any]) -> str:
    """Under which conditions the scores hold, in one line."""
    givens = {"predict": "{num_past} before", "backward": "{num_future} after", "generate": "nothing"}
    given = givens.get(scores["task"], "{num_past} before and {num_future} after")
    height, width = scores["size"]
    sampler = scores["sampler"].split("(")[0]
    return (
        f"{scores['num_frames']} frames made from {given.format_map(scores)}, {scores['num_clips']} clips of "
        f"{width}x{height} pixels, {sampler} with {scores['num_calls']} network calls, "
        f"guidance {scores['guidance']:g}, seed {scores['seed']}"
    )
