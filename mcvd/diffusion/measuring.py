"""What a training measures on its first clips: parts of a denoiser that did not come measured with its weights."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from mcvd.diffusion.denoiser import Denoiser


def measured_parts(denoiser: Denoiser) -> dict[str, nn.Module]:
    """By name, those that count the clips they were shown: references, the colours of residuals and of noise."""
    parts = denoiser.named_modules()
    return {name: each for name, each in parts if "num_clips" in dict(each.named_buffers(recurse=False))}


def unmeasured(denoiser: Denoiser) -> list[str]:
    """Names of the parts that no clip was shown to, and of a reference whose base stood still when it saw some."""
    parts = measured_parts(denoiser)
    new = {name for name, each in parts.items() if not each.num_clips}
    return [name for name in parts if name in new or f"{name}.moving" in new]


@torch.no_grad()
def measure(denoiser: Denoiser, names: Collection[str], past: Tensor, current: Tensor, future: Tensor) -> None:
    """`Denoiser.measure` of these parts alone: others keep what they were, a part of what the weights mean."""
    kept = [part for name, part in measured_parts(denoiser).items() if name not in names]
    before = [(buffer, buffer.clone()) for part in kept for buffer in part.buffers(recurse=False)]
    denoiser.measure(past, current, future)
    for buffer, value in before:
        buffer.copy_(value)
