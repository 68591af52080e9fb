"""``mcvd data check``: what the data of a training hold, what is wrong with them, what a batch costs."""

from __future__ import annotations

import json
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from mcvd.data.clips.spec import ClipSpec
from mcvd.data.datamodule import VideoData
from mcvd.runtime.atomic import atomic_write
from mcvd.runtime.error_text import one_line
from mcvd.runtime.progress import map_in_threads
from mcvd.video.contact_sheet import contact_sheet
from mcvd.video.decoders.base import VideoError
from mcvd.video.find import find_videos
from mcvd.video.open import open_video
from mcvd.video.timing import FrameTimes

NUM_TIMED = 8
MAX_NAMED = 20
_NO_TIMES = FrameTimes.counted(0, None)


@dataclass(frozen=True)
class Probe:
    """The properties of one video.

    Args:
        path: the file or folder of frames.
        times, size: when its frames are shown, and their (height, width).
        is_grey: whether its first frame has no colour.
        fault: why it cannot be read; the other fields are then meaningless.
    """

    path: Path
    times: FrameTimes = _NO_TIMES
    size: tuple[int, int] = (0, 0)
    is_grey: bool = False
    fault: str = ""


@dataclass(frozen=True)
class DataReport:
    """What `check_data` found; training can start if ``problem`` is empty.

    Args:
        lines: the findings, a line each.
        problem: what stops training, in one line.
        clips: a few training clips, uint8 (T, C, H, W).
    """

    lines: tuple[str, ...]
    problem: str = ""
    clips: tuple[Tensor, ...] = ()

    def extended(self, lines: Iterable[str], problem: str = "") -> DataReport:
        """This report with more findings; the first problem counts."""
        return replace(self, lines=(*self.lines, *lines), problem=self.problem or problem)

    def to_json(self) -> str:
        """The report without its clips."""
        return json.dumps({"ready": not self.problem, "problem": self.problem, "lines": self.lines}, indent=2)


def probe(path: Path, engine: str = "pyav") -> Probe:
    """Open one video and decode its first frame."""
    try:
        with open_video(path, engine) as reader:
            first = reader.read([0])[0].int()
            is_grey = bool((first.amax(0) - first.amin(0)).max() <= 2)
            return Probe(path, reader.times, reader.size, is_grey)
    except (VideoError, OSError) as error:
        return Probe(path, fault=one_line(error))


def probe_folder(root: str | Path, engine: str = "pyav") -> list[Probe]:
    """`probe` every video at or below ``root``, in parallel, with a progress bar on a terminal."""
    paths = list(find_videos(Path(root)))
    return map_in_threads(lambda path: probe(path, engine), paths, "Reading videos")


def check_data(data: VideoData) -> DataReport:
    """Check the data of a training: probe its files, divide it into clips, read a few of them.

    Bad data raise nothing: the report says what is wrong.
    """
    lines: list[str] = []
    clips: list[Tensor] = []
    problem = ""
    for root in dict.fromkeys(root for root in (data.root, data.val_root) if root is not None):
        if Path(root).exists():
            lines += describe_probes(probe_folder(root, data.engine), data.spec)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data.setup("check")
            lines += _describe_clips(data)
            clips, timing = _read_clips(data)
            lines += timing
    except (ValueError, OSError, ModuleNotFoundError) as error:
        problem = one_line(error)
    lines += [f"warning: {message}" for message in dict.fromkeys(str(warning.message) for warning in caught)]
    return DataReport(tuple(lines), problem, tuple(clips))


def describe_probes(probes: list[Probe], spec: ClipSpec) -> list[str]:
    """A summary of the files, and a line for each that cannot be used for clips of ``spec``."""
    good = [one for one in probes if not one.fault]
    lines = [f"files: {len(good)} readable, {len(probes) - len(good)} not"]
    if good:
        seconds = np.array([one.times.duration_seconds for one in good if one.times.is_told] or [0.0])
        frames = np.array([len(one.times) for one in good])
        grey = sum(one.is_grey for one in good)
        lines += [
            f"frames: {frames.sum()} ({frames.min()} to {frames.max()} a video)",
            f"durations: {seconds.min():.2f} to {seconds.max():.2f} s, median {np.median(seconds):.2f} s, "
            f"{seconds.sum() / 3600:.2f} h in all",
            "frame rates: " + _counts(_rate_text(one.times.told_rate_hz) for one in good),
            "sizes: " + _counts(f"{one.size[1]}x{one.size[0]}" for one in good),
            f"colour: {len(good) - grey} in colour, {grey} grey",
        ]
    unreadable = [f"unreadable: {one.fault}" for one in probes if one.fault]
    short = [
        f"too short for a clip of {spec}: {one.path} ({len(one.times)} frames)"
        for one in good
        if spec.count_clips(one.times) == 0
    ]
    return lines + _first(unreadable) + _first(short)


def _describe_clips(data: VideoData) -> list[str]:
    train, val, spec = data.train_clips, data.val_clips, data.spec
    rate = "of unknown rate" if data.frame_rate_hz is None else f"at {data.frame_rate_hz:g} Hz"
    num_frames = sum(len(train.videos.times_seconds(index)) for index in range(len(train.videos)))
    return [
        f"training: {len(train)} clips of {spec.num_frames} frames {rate} "
        f"from {len(train.videos)} videos of {num_frames} frames",
        f"validation: {len(val)} clips from {len(val.videos)} videos",
    ]


def _read_clips(data: VideoData) -> tuple[list[Tensor], list[str]]:
    """A few training clips, and what memory and time they take."""
    train, lines = data.train_clips, []
    started = time.perf_counter()
    clips = [train[sample]["video"] for sample in range(min(NUM_TIMED, len(train)))]
    each = (time.perf_counter() - started) / len(clips)
    data.val_clips[0]  # training begins with a validation batch
    if train.failures.any():
        lines.append(f"warning: clips of {int((train.failures > 0).sum())} videos could not be read")
    batch = data.batch_size * clips[0].numel()
    return clips, [
        *lines,
        f"memory: a batch of {data.batch_size} is {batch / 1e6:.2f} MB as bytes, {4 * batch / 1e6:.2f} MB as float32",
        f"reading: {1e3 * each:.1f} ms a clip in one process (mean of {len(clips)}, opening included), so about "
        f"{1e3 * each * data.batch_size / max(1, data.num_workers):.0f} ms a batch with {data.num_workers} workers: "
        "a training step cannot be shorter than that",
    ]


def write_preview(path: str | Path, clips: Sequence[Tensor]) -> None:
    """Write clips, uint8 (T, C, H, W) each, as rows of frames into a PNG."""
    with atomic_write(path) as part:
        contact_sheet(clips, min_height=64).save(part, format="PNG")


def _rate_text(rate_hz: float | None) -> str:
    return "not told" if rate_hz is None else f"{rate_hz:.4g} Hz"


def _counts(values: Iterable[str]) -> str:
    counts = Counter(values).most_common()
    shown = ", ".join(f"{value} ({count})" for value, count in counts[:6])
    return shown + (f", {len(counts) - 6} others" if len(counts) > 6 else "")


def _first(lines: list[str]) -> list[str]:
    return lines[:MAX_NAMED] + ([f"... and {len(lines) - MAX_NAMED} more"] if len(lines) > MAX_NAMED else [])
