"""The first thing on the page: examples to click, for whoever has no video at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcvd.apps.studio.clip import Clip, no_clip, synthetic_clip
from mcvd.apps.studio.film_strip import pictures
from mcvd.models.video_model import VideoModel

TEMPLATE = '<div class="examples" role="group" aria-label="examples"></div>'
STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
BEHAVIOUR = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
_POSTER = 24  # frame of a street that stands for it


@dataclass(frozen=True)
class Example:
    """A task on a clip.

    Args:
        question: that it asks.
        task: its name.
        street: number of the synthetic street; None gives nothing.
    """

    question: str
    task: str
    street: int | None

    def clip(self, model: VideoModel) -> Clip:
        """The street as the model sees it."""
        return no_clip(model) if self.street is None else synthetic_clip(model, self.street)


_EXAMPLES = (
    Example("What comes next?", "predict", 0),
    Example("And on this street?", "predict", 3),
    Example("What came before?", "backward", 7),
    Example("What is between?", "interpolate", 1),
    Example("Nothing given", "generate", None),
)


def examples_for(model: VideoModel) -> list[Example]:
    """Those whose task the model can do."""
    tasks = model.facts().tasks
    return [example for example in _EXAMPLES if tasks[example.task] is None]


def cards(model: VideoModel, examples: list[Example]) -> list[dict[str, Any]]:
    """What a browser draws of the examples: a picture, as data URI, and the question."""
    frames = [_poster(model, example) for example in examples]
    return [
        {"picture": uri, "question": example.question}
        for uri, example in zip(pictures(torch.cat(frames)) if frames else (), examples, strict=True)
    ]


def _poster(model: VideoModel, example: Example) -> Tensor:
    """One frame, uint8 (1, C, H, W): of the street, or the noise that the model starts from."""
    if example.street is None:
        draws = torch.randn(1, model.channels, *model.size, generator=torch.Generator().manual_seed(0))
        return (128 + 55 * draws).clamp(0, 255).to(torch.uint8)
    return synthetic_clip(model, example.street, frames=range(_POSTER, _POSTER + 1)).frames
