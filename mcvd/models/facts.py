"""What a model is and what it can do, in numbers and words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from mcvd.diffusion.task_samplers import TaskSamplers
from mcvd.diffusion.tasks import TASKS
from mcvd.frames import FrameBlock

REFERENCE_OPTIONS = ("reference_flow", "reference_memory", "reference_colors", "colored_noise")
_OF_PIXELS = ("Pixels(", "Latents(")  # codecs whose videos are pixels


@dataclass(frozen=True)
class SamplerFacts:
    """How a model samples a task if nothing else is asked for.

    Args:
        name: the sampler's class.
        num_calls: network calls for each block.
        own: whether it belongs to the model; otherwise it is the default for models without.
    """

    name: str
    num_calls: int
    own: bool

    def __str__(self) -> str:
        calls = f"{self.num_calls} network call{'s' * (self.num_calls > 1)} a block"
        return f"{self.name}, {calls}{'' if self.own else ' (the default)'}"


@dataclass(frozen=True)
class ModelFacts:
    """The facts that decide what a model can be asked.

    Args:
        block: frames that it sees and makes at once.
        size: height and width of the frames, in pixels.
        channels: 3 for colour, 1 for grey.
        frame_rate_hz: of its training clips; None where training did not tell.
        parameters: how many.
        net: the name of its network.
        conditioning: how the context enters the network.
        schedule: noise over time.
        predicts: what the network's output means.
        reference: what is diffused: frames, or what they add to what the context tells.
        reference_options: the options of that which are on.
        context_noise: the highest level of noise on the context that it knows.
        guidance: whether it can be guided.
        tasks: for each task None, or why it cannot do it.
        samplers: for each task how it is sampled.
        codec: what the numbers of its videos mean; see `mcvd.models.codecs`.
        signals: names of what is told beside the frames.
        frame_rates_hz: of its training clips where they had several.
        trained_on: the training data in words, if that is known.
    """

    block: FrameBlock
    size: tuple[int, int]
    channels: int
    frame_rate_hz: float | None
    parameters: int
    net: str
    conditioning: str
    schedule: str
    predicts: str
    reference: str
    context_noise: float
    guidance: bool
    tasks: dict[str, str | None]
    samplers: dict[str, SamplerFacts]
    reference_options: tuple[str, ...] = ()
    codec: str = "Pixels()"
    signals: tuple[str, ...] = ()
    frame_rates_hz: tuple[float, ...] = ()
    trained_on: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of what JSON can hold."""
        return asdict(self) | {"size": list(self.size)}

    @property
    def has_pixels(self) -> bool:
        """Whether the model's videos are pixels; otherwise they are values with a scale."""
        return self.codec.startswith(_OF_PIXELS)

    @property
    def look(self) -> str:
        """What a frame shows, in a word or two."""
        if not self.has_pixels:
            return f"{self.channels} channel{'s' * (self.channels > 1)}"
        return "colour" if self.channels == 3 else "grey"

    @property
    def rate(self) -> str:
        """At which rate frames come, as the end of a phrase; "" where that is not known."""
        *others, last = [f"{rate:g}" for rate in sorted(self.frame_rates_hz)] or [f"{self.frame_rate_hz or 0:g}"]
        if not self.frame_rate_hz:
            return ""
        return f" at {', '.join(others)}{' or ' if others else ''}{last} Hz"

    @property
    def diffused(self) -> str:
        """What noise is added to."""
        kinds = {"frames": "frames", "context": "residuals to the context", "given": "residuals to given frames"}
        what = kinds[self.reference] + (f" ({', '.join(self.reference_options)})" if self.reference_options else "")
        return f"{what}, as latents" if self.codec.startswith("Latents(") else what

    @property
    def summary(self) -> str:
        """The model in half a line."""
        block, (height, width) = self.block, self.size
        return (
            f"{self.parameters / 1e6:.1f} M parameters, {block.past} | {block.current} | {block.future} frames "
            f"of {height}x{width}x{self.channels}"
        )

    @property
    def sentence(self) -> str:
        """The model in a sentence for who does not know it."""
        block, (height, width) = self.block, self.size
        return (
            f"A model of {self.parameters / 1e6:.1f} M parameters that generates {block.current} frames at a time, "
            f"from up to {block.past} before and {block.future} after them: {height}x{width} pixels, "
            f"{self.look}{self.rate}."
        )


def format_facts(facts: ModelFacts) -> str:
    """The facts as lines of text."""
    block, (height, width) = facts.block, facts.size
    lines = [
        f"frames      {height}x{width}, {facts.look}{facts.rate}",
        f"block       {block.past} past | {block.current} current | {block.future} future",
        f"network     {facts.net}, {facts.parameters / 1e6:.1f} M parameters, {facts.conditioning}",
        f"diffusion   {facts.diffused}, predicts {facts.predicts}, {facts.schedule}",
        *([] if facts.codec == "Pixels()" else [f"values      {facts.codec}"]),
        *([f"signals     {', '.join(facts.signals)}"] if facts.signals else []),
        f"guidance    {'yes' if facts.guidance else 'no: it was never trained with all context hidden'}",
        f"noise       on the context {f'up to {facts.context_noise:g}' if facts.context_noise else 'never'}",
    ]
    if facts.trained_on:
        lines.append(f"trained on  {facts.trained_on}")
    for task, reason in facts.tasks.items():
        lines.append(f"{task:<12}{f'yes, {facts.samplers[task]}' if reason is None else f'no: {reason}'}")
    return "\n".join(lines)


def sampler_facts(samplers: TaskSamplers) -> dict[str, SamplerFacts]:
    """How each task is sampled."""
    found = {name: (samplers.of(task), samplers.own(task) is not None) for name, task in TASKS.items()}
    return {name: SamplerFacts(each.label, each.num_calls, own) for name, (each, own) in found.items()}


def num_parameters(module: nn.Module) -> int:
    """How many numbers a module learns, over all its parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
