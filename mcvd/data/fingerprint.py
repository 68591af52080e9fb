"""What a video looks like over its time, in few numbers, and where another one shows the same."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mcvd.video.timing import FrameTimes

# Looks a second; more of a short video. None comes behind so many looks, ten minutes, or so many decoded pixels, some
# seconds of work: 6 minutes of 640x360 at 25 Hz.
_RATE_HZ, _MIN_LOOKS, _MAX_LOOKS, _MAX_PIXELS = 4.0, 16, 2400, 2e9
_CELLS = 8
# Two looks may show the same if they differ by less than this share of the contrast in them.
_SAME_SHARE = 0.5
# Contrast within a look, and change over a run, below which nothing can be told.
_LEAST_CONTRAST, _LEAST_CHANGE = 4.0, 0.7
# What changes over the run has to be the same: the share of it that is not, squared.
_MAX_UNEXPLAINED = 0.2
# A run is this long, in looks, and this share of the shorter video.
_MIN_RUN, _MIN_SHARE = 6, 0.25
_SPEEDS = 1 / 8, 8.0
_NUM_GUESSES = 12


@dataclass(frozen=True)
class Fingerprint:
    """The brightness of 8x8 cells of some frames, less its mean over the frame.

    Args:
        times: float64 (N,), seconds, rising: when the frames are shown.
        cells: float16 (N, 64), levels.
    """

    times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    cells: NDArray[np.float16] = field(default_factory=lambda: np.zeros((0, _CELLS**2), np.float16))

    @property
    def contrasts(self) -> NDArray[np.float64]:
        """Standard deviation within each look, levels."""
        return self.cells.astype(np.float64).std(1)


@dataclass(frozen=True)
class Run:
    """A part of one video that another shows too.

    Args:
        start, stop: seconds in the one.
        other_start, other_stop: seconds in the other.
    """

    start: float
    stop: float
    other_start: float
    other_stop: float

    @property
    def speed(self) -> float:
        """Seconds of the other in one second."""
        return (self.other_stop - self.other_start) / (self.stop - self.start)


def frames_looked_at(times: FrameTimes, size: tuple[int, int]) -> list[int]:
    """Numbers of the frames that a fingerprint needs, rising: four a second, of at most the first ten minutes."""
    step = min(1 / _RATE_HZ, times.duration_seconds / _MIN_LOOKS) if times.is_told else 1.0
    wanted = times.starts[0] + np.arange(0, times.duration_seconds, step)[:_MAX_LOOKS]
    frames = np.unique((np.searchsorted(times.starts, wanted + 1e-9, side="right") - 1).clip(0))
    return frames[frames < max(_MIN_LOOKS, _MAX_PIXELS / (size[0] * size[1]))].tolist()


def coarse(video: Tensor) -> NDArray[np.float16]:
    """float16 (T, 64) of uint8 (T, 3, H, W): the cells of a `Fingerprint`."""
    cells = adaptive_avg_pool2d(video.float().mean(1, keepdim=True), _CELLS).flatten(1)
    return (cells - cells.mean(1, keepdim=True)).half().numpy()


def same_looks(some: Fingerprint, others: Fingerprint) -> NDArray[np.int64]:
    """For each look of ``some``, which of ``others`` is nearest, int64 (N,); -1 where none may show the same."""
    a, b = some.cells.astype(np.float32), others.cells.astype(np.float32)
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    nearest = squares.argmin(1)
    levels = np.sqrt(squares[np.arange(len(a)), nearest].clip(0) / a.shape[1])
    contrast = np.minimum(some.contrasts, others.contrasts[nearest])
    same = (contrast >= _LEAST_CONTRAST) & (levels <= _SAME_SHARE * contrast)
    return np.where(same, nearest, -1)


def same_run(one: Fingerprint, other: Fingerprint) -> Run | None:
    """The longest part of a video that is seen in another too, perhaps faster or slower; None: there is none.

    A place that looks the same, as before a camera that stands still, is not enough: what moves has to move alike.
    Of videos in which nothing moves nothing is told.
    """
    if _duration(one) > _duration(other):
        found = same_run_of_shorter(other, one)
        return found and Run(found.other_start, found.other_stop, found.start, found.stop)
    return same_run_of_shorter(one, other)


def same_run_of_shorter(one: Fingerprint, other: Fingerprint) -> Run | None:
    """`same_run`, of which the first is the shorter."""
    nearest = same_looks(one, other)
    rows = np.flatnonzero(nearest >= 0)
    if len(rows) < _MIN_RUN or len(other.times) < 2:
        return None
    # Lines through two of the pairs: where one's time is drawn against the other's, a copy is on one of them.
    here, there = one.times[rows], other.times[nearest[rows]]
    guesses = np.unique(np.linspace(0, len(rows) - 1, _NUM_GUESSES).astype(int))
    reach = 1.5 * float(np.median(np.diff(other.times)))
    best: tuple[int, float, float] = (0, 1.0, 0.0)
    for first, second in itertools.combinations(guesses.tolist(), 2):
        speed = (there[second] - there[first]) / (here[second] - here[first])
        if _SPEEDS[0] <= speed <= _SPEEDS[1]:
            offset = there[first] - speed * here[first]
            count = int((np.abs(there - speed * here - offset) <= reach * max(1, speed)).sum())
            best = max(best, (count, speed, offset))
    count, speed, offset = best
    if count < _MIN_RUN:
        return None
    on_line = np.abs(there - speed * here - offset) <= reach * max(1, speed)
    speed, offset = np.polyfit(here[on_line], there[on_line], 1)
    first, last = int(rows[on_line][0]), int(rows[on_line][-1])
    if count < _MIN_SHARE * len(one.times) or count < (last - first + 1) / 2:
        return None
    if not _moves_alike(one, other, slice(first, last + 1), speed, offset):
        return None
    start, stop = one.times[first], one.times[last]
    return Run(float(start), float(stop), float(speed * start + offset), float(speed * stop + offset))


def _moves_alike(one: Fingerprint, other: Fingerprint, part: slice, speed: float, offset: float) -> bool:
    """Whether what changes within a part is what changes in the other, a look's time more or less."""
    mine, step = one.cells[part].astype(np.float64), float(np.median(np.diff(other.times)))
    mine = mine - mine.mean(0)
    for shift in np.linspace(-1, 1, 9) * step:
        theirs = _at(other, speed * one.times[part] + offset + shift)
        theirs = theirs - theirs.mean(0)
        # The larger of both, so that a still part of one is not taken for a moving one of the other.
        change = max(np.sqrt((mine**2).mean()), np.sqrt((theirs**2).mean()))
        if change >= _LEAST_CHANGE and ((mine - theirs) ** 2).mean() <= _MAX_UNEXPLAINED * change**2:
            return True
    return False


def _at(video: Fingerprint, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cells at some times, float64 (N, 64), between two looks in proportion."""
    place = np.interp(times, video.times, np.arange(len(video.times)))
    below = place.astype(int).clip(0, len(video.times) - 2)
    share = (place - below)[:, None]
    cells = video.cells.astype(np.float64)
    return (1 - share) * cells[below] + share * cells[below + 1]


def _duration(video: Fingerprint) -> float:
    return float(np.ptp(video.times)) if len(video.times) else 0.0
