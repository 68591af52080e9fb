"""What a model is and what it can do, in numbers and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcvd.diffusion.plan import check_task

if TYPE_CHECKING:
    from mcvd.models.mcvd import MCVD


def model_facts(model: MCVD) -> dict[str, Any]:
    """The facts that decide what a model can be asked, as JSON holds them.

    Returns:
        ``block`` (frames: past, current, future), ``size`` (height, width) and ``channels`` of the frames it makes,
        ``frame_rate_hz`` (None where training did not tell), ``parameters``, ``net``, ``conditioning``, ``schedule``,
        ``predicts``, ``context_noise`` (the highest level it knows), ``guidance`` (whether it can be guided) and
        ``tasks``: for each of predict, backward, interpolate and generate None, or why it cannot.
    """
    block, net = model.block, model.denoiser.net
    return {
        "block": {"past": block.past, "current": block.current, "future": block.future},
        "size": list(model.size),
        "channels": model.channels,
        "frame_rate_hz": model.frame_rate_hz,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "net": type(net).__name__,
        "conditioning": repr(net.conditioning),
        "schedule": repr(model.denoiser.schedule),
        "predicts": model.denoiser.predicts,
        "context_noise": model.context_noise,
        "guidance": _why_not(model, 0, 0) is None and block.num_context > 0,
        "tasks": {
            "predict": _why_not(model, max(1, block.past), 0),
            "backward": _why_not(model, 0, max(1, block.future)),
            "interpolate": _why_not(model, max(1, block.past), max(1, block.future)),
            "generate": _why_not(model, 0, 0),
        },
    }


def describe(model: MCVD) -> str:
    """A model in half a line."""
    block, (height, width) = model.block, model.size
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return (
        f"{millions:.1f} M parameters, {block.past} | {block.current} | {block.future} frames "
        f"of {height}x{width}x{model.channels}"
    )


def format_facts(facts: dict[str, Any]) -> str:
    """`model_facts`, and ``trained_on`` if that is known, as lines for a terminal."""
    block, (height, width) = facts["block"], facts["size"]
    rate = f" at {facts['frame_rate_hz']:g} Hz" if facts["frame_rate_hz"] else ""
    lines = [
        f"frames      {height}x{width}, {'colour' if facts['channels'] == 3 else 'grey'}{rate}",
        f"block       {block['past']} past | {block['current']} made | {block['future']} future",
        f"network     {facts['net']}, {facts['parameters'] / 1e6:.1f} M parameters, {facts['conditioning']}",
        f"diffusion   predicts {facts['predicts']}, {facts['schedule']}",
        f"guidance    {'yes' if facts['guidance'] else 'no: it was never trained with all context hidden'}",
        f"noise       context noise up to {facts['context_noise']:g}",
    ]
    if facts.get("trained_on"):
        lines.append(f"trained on  {facts['trained_on']}")
    for task, reason in facts["tasks"].items():
        lines.append(f"{task:<12}{'yes' if reason is None else f'no: {reason}'}")
    return "\n".join(lines)


def _why_not(model: MCVD, num_past: int, num_future: int) -> str | None:
    """Why the model cannot make one block between so many given frames, or None if it can."""
    try:
        check_task(model.block, model.masking, num_past, num_future, model.block.current)
    except ValueError as error:
        return str(error)
    return None
