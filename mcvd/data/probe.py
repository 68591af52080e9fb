"""What each video of a training holds, found by opening and looking through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from mcvd.data.clips.spec import ClipSpec
from mcvd.data.fingerprint import Fingerprint, coarse, frames_looked_at
from mcvd.runtime.error_text import one_line
from mcvd.runtime.progress import map_in_threads
from mcvd.video.decoders.base import AbstractReader, VideoError
from mcvd.video.find import find_other_files, find_videos
from mcvd.video.open import open_reader
from mcvd.video.survey import NOTHING_ODD, Survey, holds_video, survey
from mcvd.video.timing import FrameTimes

MAX_NAMED = 20
_FEW_NAMED = 5
# Colour is judged on frames at these shares of a video: its first ones are often black.
_LOOKED_AT = (0.1, 0.3, 0.5, 0.7, 0.9)
_LOOKED_AT_SIZE = (64, 64)
_AT_ONCE = 64  # frames
_GREY_LEVELS = 6  # between channels: what compression alone makes of grey
_NO_TIMES = FrameTimes.counted(0, None)
# Files that lie beside videos and are none: nobody has to be asked whether they were meant.
_OTHERS = "txt md json yaml yml csv tsv xml html npy npz pt log srt vtt zip tar gz sh py"
_KNOWN_OTHERS = frozenset(f".{name}" for name in _OTHERS.split())
_MAX_TRIED = 100


@dataclass(frozen=True)
class Probe:
    """The properties of one video.

    Args:
        path: the file or folder of frames.
        times, size: when its frames are shown, and their (height, width).
        is_grey: whether none of some frames has colour.
        looks: what it looks like over its time, by which copies are found.
        found: what a look through all of it found.
        fault: why it cannot be read; the other fields are then meaningless.
    """

    path: Path
    times: FrameTimes = _NO_TIMES
    size: tuple[int, int] = (0, 0)
    is_grey: bool = False
    looks: Fingerprint = field(default_factory=Fingerprint, compare=False)
    found: Survey = NOTHING_ODD
    fault: str = ""


def probe(path: Path, engine: str = "pyav") -> Probe:
    """Open one video, decode some of its frames and look through it."""
    try:
        with open_reader(path, engine) as reader:
            last = reader.num_frames - 1
            looked_at = reader.read([round(share * last) for share in _LOOKED_AT], _LOOKED_AT_SIZE)
            facts = reader.times, reader.size
            looks = _look_through(reader)
        return Probe(path, *facts, is_grey=is_grey(looked_at), looks=looks, found=survey(path))
    except (VideoError, OSError) as error:
        return Probe(path, fault=one_line(error))


def probe_folder(root: str | Path, engine: str = "pyav") -> list[Probe]:
    """`probe` every video at or below ``root``, in parallel, with a progress bar on a terminal."""
    paths = list(find_videos(Path(root)))
    return map_in_threads(lambda path: probe(path, engine), paths, "Reading videos")


def is_grey(video: Tensor) -> bool:
    """Whether no frame of uint8 (T, 3, H, W) has colour, what compression makes of grey not counted."""
    spread = (video.amax(1).int() - video.amin(1).int()).flatten(1).float()
    return bool((spread.quantile(0.99, dim=1) <= _GREY_LEVELS).all())


def _look_through(reader: AbstractReader) -> Fingerprint:
    """The fingerprint of a video; of a damaged one, as far as it can be read."""
    frames = frames_looked_at(reader.times, reader.size)
    cells: list[np.ndarray] = []
    with suppress(VideoError):
        for first in range(0, len(frames), _AT_ONCE):
            cells.append(coarse(reader.read(frames[first : first + _AT_ONCE], _LOOKED_AT_SIZE)))
    count = sum(map(len, cells))
    return Fingerprint(reader.times.starts[frames[:count]], np.concatenate(cells)) if cells else Fingerprint()


def describe_probes(probes: list[Probe], spec: ClipSpec) -> list[str]:
    """A summary of the files, a line for each that cannot be used for clips of ``spec``, and what else is odd."""
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
    unreadable = [f"unreadable, left out: {one.fault}" for one in probes if one.fault]
    short = [
        f"too short for a clip of {spec}, left out: {one.path} ({len(one.times)} frames)"
        for one in good
        if spec.count_clips(one.times) == 0
    ]
    return lines + first_lines(unreadable) + first_lines(short) + _oddities(good, spec)


def describe_other_files(root: Path) -> list[str]:
    """The files below ``root`` of which no video is made: lines for those that hold one, and for all others."""
    unknown: list[Path] = []
    known: list[Path] = []
    for file in find_other_files(root):
        (known if file.suffix.lower() in _KNOWN_OTHERS else unknown).append(file)
    films = [file for file in unknown[:_MAX_TRIED] if holds_video(file)]
    others = [file for file in (*known, *unknown) if file not in set(films)]
    lines = []
    if films:
        lines.append(
            f"passed over by their ending, though they hold videos: {_named(films)}; training does not see them: "
            "rename or convert them, for example to .mkv"
        )
    if others:
        lines.append("passed over: " + _counts(file.suffix.lower() or "no ending" for file in others))
    return lines


def _oddities(probes: list[Probe], spec: ClipSpec) -> list[str]:
    by_time = "their frames are taken as they come, however long each is shown; --rate HZ reads them by time"
    if spec.frame_rate_hz is not None:
        by_time = f"they are read by time, at {spec.frame_rate_hz:g} Hz"
    kinds: list[tuple[str, Callable[[Probe], object], str]] = [
        (
            "further video tracks",
            lambda one: one.found.num_tracks > 1 and f"{one.found.num_tracks} tracks",
            "training sees one, the first that is switched on",
        ),
        (
            "the size changes",
            lambda one: len(one.found.sizes) > 1 and ", then ".join(f"{w}x{h}" for h, w in one.found.sizes[:4]),
            "every frame is scaled to the size of the first, out of shape where the aspect changes",
        ),
        (
            "interlaced",
            lambda one: one.found.is_interlaced,
            "frames are taken as stored, with the combs of two half pictures; deinterlace first (ffmpeg -vf bwdif)",
        ),
        ("HDR", lambda one: one.found.transfer, "what becomes of it is told below"),
        ("variable frame rate", _is_variable, by_time),
    ]
    lines = []
    for title, find, meaning in kinds:
        odd = [(one, detail) for one in probes if (detail := find(one))]
        if odd:
            named = ", ".join(
                str(one.path) + (f" ({detail})" if isinstance(detail, str) else "") for one, detail in odd[:_FEW_NAMED]
            )
            more = ", ..." if len(odd) > _FEW_NAMED else ""
            lines.append(f"{title}: {len(odd)} of {len(probes)} videos ({named}{more}): {meaning}")
    return lines


def _is_variable(one: Probe) -> str:
    """From how long to how long its frames are shown, if that differs by more than rounding; otherwise empty."""
    if not one.times.is_told or len(one.times) < 3:
        return ""
    shown = np.diff(one.times.starts)
    typical = float(np.median(shown))
    if shown.max() <= 1.5 * typical and shown.min() >= typical / 2:
        return ""
    return f"{shown.min():.3g} to {shown.max():.3g} s a frame"


def first_lines(lines: list[str]) -> list[str]:
    """The first of many lines, and how many more there are."""
    return lines[:MAX_NAMED] + ([f"... and {len(lines) - MAX_NAMED} more"] if len(lines) > MAX_NAMED else [])


def _rate_text(rate_hz: float | None) -> str:
    return "not told" if rate_hz is None else f"{rate_hz:.4g} Hz"


def _named(files: list[Path]) -> str:
    return ", ".join(map(str, files[:_FEW_NAMED])) + (
        f" and {len(files) - _FEW_NAMED} more" * (len(files) > _FEW_NAMED)
    )


def _counts(values: Iterable[str]) -> str:
    counts = Counter(values).most_common()
    shown = ", ".join(f"{value} ({count})" for value, count in counts[:6])
    return shown + (f", {len(counts) - 6} others" if len(counts) > 6 else "")
