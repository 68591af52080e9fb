"""The README of an exported model: what it is, what it can do, what it was trained on, how it scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from mcvd.diffusion.tasks import PREDICT, TASKS
from mcvd.models.facts import ModelFacts
from mcvd.models.files import CARD
from mcvd.models.result_json import checked_result, read_result
from mcvd.runtime.markdown import as_code, escaped

_SAMPLERS = "## Samplers"


class About(TypedDict, total=False):
    """What a model cannot know of itself.

    Args:
        data: what it was trained on, in Markdown.
        license: of the weights, by its identifier on the Hub, such as "mit" or "cc-by-4.0".
        scores: cards that `mcvd evaluate` wrote, each as its file or as what the file holds.
    """

    data: str
    license: str
    scores: Sequence[dict[str, Any] | str | Path]


def model_card(facts: ModelFacts, name: str, about: About) -> str:
    """Write down what is known of a model, as Markdown with the Hub's metadata at its head.

    Args:
        facts: of the model.
        name: under which it is loaded: of its folder, or ``owner/name`` on the Hub.
        about: what it does not know itself; what is not given is said to be unknown.

    Raises:
        ValueError: one of the scores is no card of `mcvd evaluate`.
    """
    from huggingface_hub import ModelCardData

    block, (height, width) = facts.block, facts.size
    kind = f"{facts.look} video" if facts.has_pixels else f"fields of {facts.look}"
    tags = ["video-prediction", "video-interpolation", "video-generation", "diffusion", "mcvd"]
    data = ModelCardData(library_name="mcvd", pipeline_tag="video-to-video", license=about.get("license"), tags=tags)
    lines = [
        "---",
        data.to_yaml().strip(),
        "---",
        f"# {escaped(name)}",
        "",
        f"A masked conditional video diffusion model of {facts.parameters / 1e6:.1f} M parameters for "
        f"{kind} of {height}x{width} pixels{facts.rate}. "
        f"It sees {block.past} past and {block.future} future frames and generates {block.current} at once; "
        "longer videos are generated block by block.",
        "",
        "```python",
        "import mcvd",
        f"model = mcvd.load({json.dumps(name, ensure_ascii=False)})",
        *_use(facts),
        "```",
        "",
        "## Tasks",
        "",
        "| task | can it? |",
        "|---|---|",
        *(f"| {task.title} | {facts.tasks[name] or 'yes'} |" for name, task in TASKS.items()),
        "",
        *_samplers(facts),
        "",
        "## Network and diffusion",
        "",
        f"{facts.net} with {facts.conditioning}; diffuses {facts.diffused}, predicts {facts.predicts}; "
        f"{facts.schedule}; context noise up to {facts.context_noise:g}.",
        *([] if facts.codec == "Pixels()" else ["", f"Values are {as_code(facts.codec)}."]),
        "",
        "## Training data",
        "",
        about.get("data") or "Not stated.",
        "",
        "## Scores",
        "",
    ]
    for found in about.get("scores", ()):
        lines += [*_scores(found), ""]
    if not about.get("scores"):
        lines += ["Not measured. `mcvd evaluate` does it, beside copying the last frame.", ""]
    return "\n".join([*lines, "## Licence", "", about.get("license") or "Not stated.", ""])


def training_data(source: str | Path) -> str | None:
    """What the card in an exported folder says of the training data, or where the card is; None without one."""
    card = Path(source) / CARD
    if not card.is_file():
        return None
    _, _, after = card.read_text(encoding="utf-8").partition("\n## Training data\n")
    return " ".join(after.partition("\n## ")[0].split()) or f"see {card}"


def with_samplers(card: str, facts: ModelFacts, lines: Sequence[str]) -> str:
    """A card whose section on samplers is written anew, or added where there is none yet.

    Args:
        card: the Markdown of `model_card`.
        facts: of the model with these samplers.
        lines: how they were chosen.
    """
    section = "\n".join([*_samplers(facts), *lines, "", ""])
    before, head, after = card.partition(f"\n{_SAMPLERS}\n")
    if not head:
        before, head, after = card.partition("\n## Training data\n")
        return f"{before.rstrip()}\n\n{section}{head.lstrip()}{after}"
    _, next_head, rest = after.partition("\n## ")
    return f"{before}\n{section}{next_head.lstrip()}{rest}"


def _samplers(facts: ModelFacts) -> list[str]:
    """How each task is sampled: the section without its end."""
    able = [(task.title, facts.samplers[name]) for name, task in TASKS.items() if facts.tasks[name] is None]
    return [_SAMPLERS, "", *(f"- {title}: {sampler}" for title, sampler in able)]


def _use(facts: ModelFacts) -> list[str]:
    if facts.tasks[PREDICT.name] is not None:
        return ["videos = model.generate(num_frames=20)"]
    (height, width), rate = facts.size, facts.frame_rate_hz
    if not facts.has_pixels:
        return [
            f'past = mcvd.data.ArrayVideos("fields.nc").read(0, range({facts.block.past}), ({height}, {width}))',
            "future = model.predict(past, num_frames=20)  # float32 (1, 20, C, H, W), in the unit of the data",
            "mcvd.show(future, codec=model.codec)  # in a notebook; files: mcvd predict fields.nc --out forecast.nc",
        ]
    at_rate = f", frame_rate_hz={rate:g}" if rate else ""
    grey = ", channels=1" if facts.channels == 1 else ""
    return [
        f'past = mcvd.read_video("clip.mp4", size=({height}, {width}){grey}{at_rate})',
        "future = model.predict(past, num_frames=20)  # uint8 (1, 20, C, H, W)",
    ]


def _scores(source: dict[str, Any] | str | Path) -> list[str]:
    """A card of `mcvd evaluate` as a table, every row of it, with the command that repeats it."""
    # A dictionary is held to what a file could hold: tuples are lists there.
    card = checked_result(json.loads(json.dumps(source))) if isinstance(source, dict) else read_result(source)
    scores, protocol = card["scores"], card["protocol"]
    sentence = f"{scores['task']}: {escaped(scores.get('sentence', ''))}; data: {escaped(card['data'])}"
    lines = [f"{sentence}; protocol {escaped(protocol['name'])}." if protocol else f"{sentence}.", ""]
    if scores["metrics"]:
        heads = " | ".join(f"{escaped(metric['title'])} | 95% interval" for metric in scores["metrics"].values())
        lines += [f"| | {heads} |", "|---" * (1 + 2 * len(scores["metrics"])) + "|"]
    for row in scores["rows"].values():
        cells = [_value(row, key, metric["digits"]) for key, metric in scores["metrics"].items()]
        lines.append(f"| {escaped(row['title'])} | {' | '.join(cells)} |")
    for distance in card["distances"]:
        if distance["value"] is not None:
            lines += ["", f"{escaped(distance['name'])}: {distance['value']:.1f}"]
    return [*lines, "", as_code(card["command"])]


def _value(row: dict[str, Any], metric: str, digits: int) -> str:
    """A value and its interval, as two cells."""
    ends = row[f"{metric}_interval"]
    interval = " to ".join(f"{end:.{digits}f}" for end in ends) if ends else ""
    return f"{row[metric]:.{digits}f} | {interval}"
