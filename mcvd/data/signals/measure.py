"""What signals of a collection are like: checked before training, measured for the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcvd.data.videos import AbstractVideos, SignalsError
from mcvd.runtime.columns import column_names, width_of


def check_signals(videos: AbstractVideos, indices: Sequence[int], names: Sequence[str]) -> None:
    """Read what is told of each video once.

    Raises:
        SignalsError: something is missing or wrong; names the file, and the row.
    """
    for index in indices:
        _of_video(videos, index, names)


def measure_signals(videos: AbstractVideos, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Mean, std, low and high over all frames, as `mcvd.diffusion.signals.Signals` takes them.

    Labels stay 0 and 1, vectors have one scale for all of their numbers. What never changes has the scale 1.
    """
    tables = [_of_video(videos, index, names) for index in range(len(videos))]
    rows = np.concatenate(tables).astype(np.float64)
    mean, std, start = rows.mean(0), rows.std(0), 0
    for name in names:
        own = slice(start, start := start + width_of(name))
        if "=" in name:
            mean[own], std[own] = 0, 1
        elif width_of(name) > 1:
            mean[own], std[own] = 0, np.sqrt((rows[:, own] ** 2).mean())
    std[std < 1e-6] = 1
    numbers = {"mean": mean, "std": std, "low": rows.min(0), "high": rows.max(0)}
    return {name: tuple(float(f"{x:.6g}") for x in values) for name, values in numbers.items()}


def describe_signals(videos: AbstractVideos, names: Sequence[str]) -> list[str]:
    """Each number in a line: how it spreads, over how many frames."""
    measured = measure_signals(videos, names)
    num_frames = sum(len(videos.times_seconds(index)) for index in range(len(videos)))
    lines, wide = [f"signals: {len(column_names(names))} for each of {num_frames} frames of {len(videos)} videos"], 0
    for name in names:
        low, high, mean = (measured[key][wide] for key in ("low", "high", "mean"))
        wide += width_of(name)
        if width_of(name) > 1:
            lines.append(f"  {name}: {width_of(name)} numbers")
        elif "=" in name:
            count = sum(videos.signals(index, [name])[0, 0] for index in range(len(videos)))
            lines.append(f"  {name}: {count:.0f} videos")
        else:
            lines.append(f"  {name}: {low:g} to {high:g}, mean {mean:.4g}{', never changes' if low == high else ''}")
    return lines


def describe_untold(videos: AbstractVideos, most: int = 200) -> list[str]:
    """What a model could be told, if files beside the videos tell something."""
    seen = [videos.signal_names(index) for index in range(min(len(videos), most))]
    found: dict[str, int] = {}
    for names in seen:
        for name in names:
            found[name] = found.get(name, 0) + 1
    usable = [name for name, count in found.items() if count == len(seen) or "=" in name]
    labels = [name for name in usable if "=" in name]
    if len(labels) == 1:  # all have the same
        usable.remove(labels[0])
    if not usable:
        return []
    shown = ", ".join(usable[:12]) + (f", ... ({len(usable)})" if len(usable) > 12 else "")
    return [f"signals that a model could be told, as model.signals.names: [{shown}]"]


def _of_video(videos: AbstractVideos, index: int, names: Sequence[str]) -> np.ndarray:
    found, num_frames = videos.signals(index, names), len(videos.times_seconds(index))
    if len(found) != num_frames:
        raise SignalsError(f"{videos.name(index)}: {len(found)} rows of signals for {num_frames} frames")
    if not np.isfinite(found).all():
        row, column = np.argwhere(~np.isfinite(found))[0]
        raise SignalsError(
            f"{videos.name(index)}: row {row + 1}, {column_names(names)[column]} is {found[row, column]}"
        )
    return found
