"""What values the clips of a collection of fields hold: the scale that a model of them needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mcvd.video.heat_map import heat_map
from mcvd.video.legend import Legend

_TAIL = 0.001
_MAX_VALUES = 1 << 22  # of a channel: quantiles of more take long


def describe_values(clips: Sequence[Tensor]) -> list[str]:
    """The range of each channel, what is missing, and the scale that follows, a line each; none for pixels.

    Args:
        clips: (T, C, H, W) each, float32 in the unit of the data with NaN where missing, or uint8.
    """
    if not clips[0].is_floating_point():
        return []
    lines, ends = [], []
    missing, infinite = (
        torch.stack([kind(clip).float().mean() for clip in clips]).mean().item() for kind in (torch.isnan, torch.isinf)
    )
    for number in range(clips[0].shape[1]):
        values = torch.cat([clip[:, number].flatten() for clip in clips])
        known = values[values.isfinite()]
        if not len(known):
            lines.append(f"warning: channel {number}: no value is known in the {len(clips)} clips that were read")
            continue
        known = known[:: max(1, len(known) // _MAX_VALUES)].double()
        low, high = torch.quantile(known, torch.tensor([_TAIL, 1 - _TAIL], dtype=torch.float64)).tolist()
        ends.append((low, high))
        lines.append(
            f"values of channel {number}: {known.min():g} to {known.max():g}, {_TAIL:.1%} below {low:g} and "
            f"{_TAIL:.1%} above {high:g}"
        )
    if missing:
        lines.append(f"missing: {missing:.1%} of the values")
    if infinite:
        lines.append(
            f"warning: {infinite:.1%} of the values are infinite: a scale without missing refuses them, one with it "
            "moves them to its ends"
        )
    if len(ends) == clips[0].shape[1] and all(low < high for low, high in ends):
        low_text, high_text = (_setting([end[side] for end in ends]) for side in (0, 1))
        more = ", missing: nan" if missing or infinite else ""
        lines.append(
            "a model of them needs a scale, such as codec: {class_path: mcvd.models.codecs.Scale, init_args: {"
            f"low: {low_text}, high: {high_text}{more}}}}}; transform: log, where values have many magnitudes"
        )
    return lines


def pictures_of_values(clips: Sequence[Tensor]) -> list[Tensor]:
    """Clips to look at, uint8: of values the first channel, in colours from the least to the most; missing is grey."""
    if not clips[0].is_floating_point():
        return list(clips)
    first = torch.stack([clip[:, 0] for clip in clips])
    low, high = _ends(first)
    place = (first - low) / max(high - low, 1e-12)
    return [heat_map(clip.masked_fill(~clip.isfinite(), torch.nan), 1.0) for clip in place]


def legend_of_values(clips: Sequence[Tensor]) -> Legend | None:
    """What the colours of `pictures_of_values` mean; None for pixels."""
    if not clips[0].is_floating_point():
        return None
    first = torch.stack([clip[:, 0] for clip in clips])
    low, high = _ends(first)
    ticks = [(place, f"{low + place * (high - low):.3g}") for place in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return Legend("channel 0" if clips[0].shape[1] > 1 else "values", ticks, not first.isfinite().all())


def _ends(values: Tensor) -> tuple[float, float]:
    """The least and the greatest of the values that are known; 0 and 1 where none is."""
    known = values[values.isfinite()]
    return (known.min().item(), known.max().item()) if len(known) else (0.0, 1.0)


def _setting(ends: list[float]) -> str:
    return f"{ends[0]:.6g}" if len(ends) == 1 else f"[{', '.join(f'{end:.6g}' for end in ends)}]"
