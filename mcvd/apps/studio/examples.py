"""The first thing on the page: examples to click, for whoever has no video at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mcvd.apps.studio.clip import Clip, has_synthetic, no_clip, synthetic_clip
from mcvd.apps.studio.film_strip import pictures
from mcvd.apps.studio.tasks import STUDIO_TASKS, possible_tasks, reading_for
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
        street: number of the synthetic street, or of invented rain; None gives nothing.
    """

    question: str
    task: str
    street: int | None

    def clip(self, model: VideoModel) -> Clip:
        """It as the model sees it."""
        if self.street is None:
            return no_clip(model)
        return synthetic_clip(model, self.street, reading=reading_for(STUDIO_TASKS[self.task], model))


_EXAMPLES = (
    Example("What comes next?", "predict", 0),
    Example("And on this street?", "predict", 3),
    Example("What came before?", "backward", 7),
    Example("What is between?", "interpolate", 1),
    Example("Nothing given", "generate", None),
    Example("Smoother, please", "upsample", 2),
    Example("Larger, please", "enlarge", 5),
)


def examples_for(model: VideoModel) -> list[Example]:
    """Those whose task the model can do, and for which there is a video."""
    names, found = {task.name for task in possible_tasks(model)}, has_synthetic(model)
    return [example for example in _EXAMPLES if example.task in names and (found or example.street is None)]


def cards(model: VideoModel, examples: list[Example]) -> list[dict[str, Any]]:
    """What a browser draws of the examples: a picture, as data URI, and the question."""
    return [
        {"picture": pictures(_poster(model, example))[0], "question": example.question.replace("street", _thing(model))}
        for example in examples
    ]


def _poster(model: VideoModel, example: Example) -> Tensor:
    """One frame, uint8 (1, 1 or 3, H, W): of the video, or the noise that the model starts from."""
    if example.street is None:
        channels = model.channels if model.channels in (1, 3) else 1
        draws = torch.randn(1, channels, *model.size, generator=torch.Generator().manual_seed(0))
        return (128 + 55 * draws).clamp(0, 255).to(torch.uint8)
    frame = synthetic_clip(model, example.street, frames=range(_POSTER, _POSTER + 1)).frames
    return model.codec.pictures(frame)


def _thing(model: VideoModel) -> str:
    return "rain" if model.codec.dtype.is_floating_point else "street"
