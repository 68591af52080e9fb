"""``mcvd data check``: what the data of a training hold, what is wrong with them, what a batch costs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mcvd.data.copies import describe_copies
from mcvd.data.probe import Probe, describe_other_files, describe_probes, probe_folder
from mcvd.data.scene_cuts import describe_cuts
from mcvd.data.signals.measure import describe_signals, describe_untold
from mcvd.data.value_range import describe_values, legend_of_values, pictures_of_values
from mcvd.data.video_clips import VideoClips
from mcvd.data.videos import AbstractVideos
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.error_text import one_line
from mcvd.video.contact_sheet import contact_sheet

NUM_TIMED = 8
_SLOW_SECONDS = 0.2  # of a batch: small networks on a GPU train faster
_DECODE_ONCE = "; with --data.cache FOLDER, mcvd fit decodes each video once"


@dataclass(frozen=True)
class DataReport:
    """What `check_data` found; training can start if ``problem`` is empty.

    Args:
        lines: the findings, a line each.
        problem: what stops training, in one line.
        clips: a few training clips, (T, C, H, W).
    """

    lines: tuple[str, ...]
    problem: str = ""
    clips: tuple[Tensor, ...] = ()

    def extended(self, lines: Iterable[str], problem: str = "") -> DataReport:
        """This report with more findings; the first problem counts."""
        return replace(self, lines=(*self.lines, *lines), problem=self.problem or problem)

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it, without the clips."""
        return {"ready": not self.problem, "problem": self.problem, "lines": self.lines}


def check_data(data: VideoClips) -> DataReport:
    """Check the data of a training: probe its files, divide it into clips, read a few of them.

    Bad data raise nothing: the report says what is wrong.
    """
    lines: list[str] = []
    clips: list[Tensor] = []
    problem = ""
    probes: dict[Path, Probe] = {}
    for root in dict.fromkeys(Path(root) for root in (data.root, data.val_root) if root is not None):
        if root.exists():
            own = probe_folder(root, data.engine)
            lines += describe_probes(own, data.spec) + describe_other_files(root)
            probes |= {one.path: one for one in own}
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data.setup()
            lines += _describe_clips(data)
            train, val = data.train_clips, data.val_clips
            lines += describe_copies(_probes_of(train.videos, probes), _probes_of(val.videos, probes))
            clips, timing = _read_clips(data)
            names = data.signals and data.signals.names
            lines += describe_signals(train.videos, names) if names else describe_untold(train.videos)
            of_values = (
                describe_values(clips) if data.latents is None else [f"training clips are latents, {data.latents}"]
            )
            lines += of_values or describe_cuts(train, val)
            lines += timing
    except (ValueError, OSError, ModuleNotFoundError) as error:
        problem = one_line(error)
    warned = dict.fromkeys(str(warning.message) for warning in caught)
    lines += [f"warning: {message}" for message in warned if not any(line.endswith(message) for line in lines)]
    return DataReport(tuple(lines), problem, tuple(clips))


def _probes_of(videos: AbstractVideos, probes: dict[Path, Probe]) -> list[Probe]:
    paths = (videos.path(index) for index in range(len(videos)))
    return [probes[path] for path in paths if path in probes]


def _describe_clips(data: VideoClips) -> list[str]:
    train, val, spec = data.train_clips, data.val_clips, data.spec
    rate = "of unknown rate" if data.frame_rate_hz is None else f"at {data.frame_rate_hz:g} Hz"
    num_frames = sum(len(train.videos.times_seconds(index)) for index in range(len(train.videos)))
    return [
        f"training: {len(train)} clips of {spec.num_frames} frames {rate} "
        f"from {len(train.videos)} videos of {num_frames} frames",
        f"validation: {len(val)} clips from {len(val.videos)} videos",
    ]


def _read_clips(data: VideoClips) -> tuple[list[Tensor], list[str]]:
    """A few training clips, and what memory and time they take."""
    train, lines = data.train_clips, []
    started = time.perf_counter()
    clips = [train[sample]["video"] for sample in range(min(NUM_TIMED, len(train)))]
    each = (time.perf_counter() - started) / len(clips)
    data.val_clips[0]  # training begins with a validation batch
    if train.failures.any():
        lines.append(f"warning: clips of {int((train.failures > 0).sum())} videos could not be read")
    batch = data.batch_size * clips[0].numel()
    batch_seconds = each * data.batch_size / max(1, data.num_workers)
    can_cache = data.root is not None and data.cache is None and batch_seconds > _SLOW_SECONDS
    return clips, [
        *lines,
        f"memory: a batch of {data.batch_size} is {batch / 1e6:.2f} MB as bytes, {4 * batch / 1e6:.2f} MB as float32",
        f"reading: {1e3 * each:.1f} ms a clip in one process (mean of {len(clips)}, opening included), so about "
        f"{1e3 * batch_seconds:.0f} ms a batch with {data.num_workers} workers: "
        f"a training step cannot be shorter than that{_DECODE_ONCE if can_cache else ''}",
    ]


def write_preview(path: str | Path, clips: Sequence[Tensor]) -> None:
    """Write clips, (T, C, H, W) each, as rows of frames into a PNG."""
    with atomic_write(path) as part:
        contact_sheet(pictures_of_values(clips), (), 64, legend_of_values(clips)).save(part, format="PNG")
