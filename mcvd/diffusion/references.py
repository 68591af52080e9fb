"""Which residuals a model diffuses, by the name that stands in its config."""

from __future__ import annotations

from typing import Literal

from mcvd.diffusion.given_reference import GivenReference
from mcvd.diffusion.reference import FLOOR, ContextReference
from mcvd.diffusion.super_resolution import LowReference, SuperResolution
from mcvd.frames import FrameBlock

Kind = Literal["frames", "context", "given"]
KINDS = ("frames", "context", "given")
REFUSED_COLORS = (
    "reference_colors is of residuals to given frames: set reference: context (or given) without super_resolution, or "
    "reference_colors to false"
)

Reference = ContextReference | GivenReference | LowReference


def reference_of(
    kind: Kind,
    block: FrameBlock,
    floor: float,
    bound: float,
    super_resolution: SuperResolution | None,
    memory: bool = False,
    colors: bool = False,
    flow: bool = False,
) -> Reference | None:
    """What residuals of a model refer to; None where the frames themselves are diffused.

    Args:
        kind: "frames" none, "context" the frames around those that are made, or what is enlarged; "given" all given
            frames of a block, wherever they lie.
        block: of the model.
        floor: see `ContextReference`.
        bound: the largest absolute value of frames.
        super_resolution: what the model enlarges, if it does.
        memory: see `ContextReference`.
        colors: see `ContextReference`.
        flow: see `ContextReference`.

    Raises:
        ValueError: there is no such kind, or it does not go with the rest.
    """
    if kind not in KINDS:
        raise ValueError(f"reference must be {', '.join(map(repr, KINDS[:-1]))} or {KINDS[-1]!r}, got {kind!r}")
    if memory and (kind != "context" or super_resolution is not None):
        raise ValueError(
            "reference_memory is for models with reference: context and without super_resolution: set that, or leave "
            "reference_memory out"
        )
    if kind == "frames" and floor != FLOOR:
        raise ValueError(
            f"reference_floor {floor} is of residuals, and reference: frames has none: set reference: context (or "
            f"given), or leave reference_floor out ({FLOOR})"
        )
    if flow and memory:
        raise ValueError(
            "reference_memory keeps residuals at the scale of all that moved, and reference_flow at that of what moved "
            "unforeseen: set one of them to false"
        )
    if flow and (kind != "context" or super_resolution is not None):
        raise ValueError(
            "reference_flow is for models with reference: context and without super_resolution: set that, or "
            "reference_flow to false"
        )
    if flow and max(block.past, block.future, 2 * min(block.past, block.future)) < 2:
        raise ValueError(
            f"reference_flow needs two frames of context on a side, or one on both, which show motion, got {block}: "
            "set it to false"
        )
    if kind == "frames":
        if colors:
            raise ValueError(REFUSED_COLORS)
        return None
    if kind == "given":
        if super_resolution is not None:
            raise ValueError("reference 'given' does not go with super_resolution: take 'context', what is enlarged")
        return GivenReference(block, floor, bound, colors)
    if super_resolution is not None:
        if colors:
            raise ValueError(REFUSED_COLORS)
        return LowReference(block, super_resolution, floor, bound)
    return ContextReference(block, floor, bound, memory, colors, flow)
