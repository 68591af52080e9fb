"""Samplers are given to an exported model: its config, its card, and the table that they were chosen by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcvd.diffusion.task_samplers import TaskSamplers
from mcvd.models.card import model_card, with_samplers
from mcvd.models.config import config_of
from mcvd.models.facts import ModelFacts
from mcvd.models.files import CARD, CONFIG, SAMPLERS
from mcvd.runtime.atomic import atomic_write, write_json


def write_samplers(
    folder: str | Path, facts: ModelFacts, samplers: TaskSamplers, lines: Sequence[str], table: Mapping[str, Any]
) -> None:
    """Write samplers into an exported folder, whose weights are not touched.

    The config comes last: a folder that a killed process leaves holds the samplers of before, and the same call mends
    it.

    Args:
        folder: of the model.
        facts: of the model with these samplers.
        samplers: the model's own from now on.
        lines: how they were chosen, in Markdown, for the card.
        table: all that was measured, as JSON holds it, for ``samplers.json``.
    """
    folder = Path(folder)
    config = json.loads((folder / CONFIG).read_text())
    config["samplers"] = config_of(TaskSamplers, vars(samplers)) if samplers else None
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else model_card(facts, folder.name, {})
    write_json(folder / SAMPLERS, table)
    with atomic_write(card) as part:
        part.write_text(with_samplers(text, facts, lines), encoding="utf-8")
    write_json(folder / CONFIG, config)
