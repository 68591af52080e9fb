"""Frame rates, and which frames are shown at given times."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

NOMINAL_RATE_HZ = 25.0  # of video files that do not tell their frame rate, as in FFmpeg: those of one frame
DEFAULT_FPS = 10.0  # at which videos play where nobody knows or asks for a rate
_SLOWEST_FPS = 0.5  # of films: radar has a field in minutes
# Files store times in ticks, the coarsest common one being a millisecond (mkv, webm, flv).
_TICK_SECONDS = 1e-3
_MAX_FRAMES = 100_000_000  # of a list of numbers: nearly a gigabyte


def playing_fps(rate_hz: float | None) -> float:
    """At which rate to play frames that come ``rate_hz`` a second, or at a rate that nobody knows: not too slowly.

    Examples:
        >>> playing_fps(25.0), playing_fps(1 / 300), playing_fps(None)
        (25.0, 10.0, 10.0)
    """
    return rate_hz if rate_hz is not None and rate_hz >= _SLOWEST_FPS else DEFAULT_FPS


@dataclass(frozen=True)
class FrameTimes:
    """When the frames of a video are shown: each from its start to the next one's, the last to the end.

    Args:
        starts: float64 (num_frames,), seconds, rising.
        end: seconds, when the last frame's display is over; more than the last start.
        is_told: whether somebody told them. Times of pictures of which nobody did are their numbers: such a video has
            the rate at which it is read, see `at`.
        tick_seconds: to what the times are rounded; a millisecond at least.

    Examples:
        >>> times = FrameTimes(np.array([0.0, 0.1, 0.2]), end=3.2)
        >>> times.duration_seconds, times.rate_hz
        (3.2, 0.9375)
    """

    starts: np.ndarray
    end: float
    is_told: bool = True
    tick_seconds: float = _TICK_SECONDS

    def __post_init__(self) -> None:
        if len(self.starts) and not self.starts[-1] < self.end < np.inf:
            raise ValueError(f"the last frame begins at {self.starts[-1]} s and cannot end at {self.end} s")

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def of(
        cls, times: FrameTimes | np.ndarray, nominal_hz: float | None = None, tick_seconds: float = _TICK_SECONDS
    ) -> FrameTimes:
        """Times of which only the starts may be known: the last frame is then shown as long as the average one.

        Args:
            times: with their end, or float64 (num_frames,), the starts in seconds, rising.
            nominal_hz: the rate of a single frame; None: `NOMINAL_RATE_HZ`.
            tick_seconds: to what the starts are rounded.
        """
        if isinstance(times, FrameTimes):
            return times
        starts = np.asarray(times, dtype=np.float64)
        if len(starts) > 1:
            end = float(starts[-1] + (starts[-1] - starts[0]) / (len(starts) - 1))
        else:
            end = float(starts.sum()) + 1 / (nominal_hz or NOMINAL_RATE_HZ)
        return cls(starts, end, tick_seconds=tick_seconds)

    @classmethod
    def counted(cls, num_frames: int, rate_hz: float | None) -> FrameTimes:
        """Times of frames that come one after the other, ``rate_hz`` a second; None: nobody told the rate."""
        rate = rate_hz or 1.0
        return cls(np.arange(num_frames) / rate, num_frames / rate, is_told=rate_hz is not None)

    def at(self, rate_hz: float) -> FrameTimes:
        """These times; if nobody told them, those of frames that come at this rate."""
        return self if self.is_told else FrameTimes.counted(len(self), rate_hz)

    @property
    def told_rate_hz(self) -> float | None:
        """Frames per second over the whole video; None: nobody told it."""
        return self.rate_hz if self.is_told else None

    @property
    def duration_seconds(self) -> float:
        """From the first frame's start to the last one's end."""
        return self.end - float(self.starts[0])

    @property
    def last_seconds(self) -> float:
        """How long the last frame is shown."""
        return self.end - float(self.starts[-1])

    @property
    def rate_hz(self) -> float:
        """Frames per second over the whole video.

        A last frame that is shown about as long as the others tells nothing more, and its end may be rounded.
        """
        if len(self.starts) > 1:
            step = float(self.starts[-1] - self.starts[0]) / (len(self.starts) - 1)
            if abs(self.last_seconds - step) <= step / 4:
                return 1 / step
        return len(self.starts) / self.duration_seconds

    def part(self, start: int, stop: int) -> FrameTimes:
        """Of the frames ``start <= frame < stop``, counted from the first of them."""
        end = self.end if stop >= len(self.starts) else float(self.starts[stop])
        first = float(self.starts[start])
        return replace(self, starts=self.starts[start:stop] - first, end=end - first)


def frames_at_rate(
    times: FrameTimes | np.ndarray, frame_rate_hz: float, start: int = 0, num_frames: int | None = None
) -> np.ndarray:
    """Numbers of the frames on display at regular times, beginning with frame ``start``.

    The k-th is the frame that is shown ``k / frame_rate_hz`` seconds after frame ``start`` appears, a tick's rounding
    of the stored times allowed for. The list ends where the display of the last frame does. Of a video whose frame
    rate nobody told, each frame is one of the list.

    Args:
        times: when the frames are shown; as float64 (N,), their starts in seconds, see `FrameTimes.of`.
        frame_rate_hz: frames per second wanted; a higher rate than the video's repeats frames.
        start: number of the first frame.
        num_frames: how many at most; None: to the end.

    Returns:
        int64 (at most ``num_frames``,).

    Raises:
        ValueError: the rate is not above 0, or so high that no memory holds the list; or there is no such start.

    Examples:
        >>> frames_at_rate(np.arange(10) / 30, 10.0).tolist()
        [0, 3, 6, 9]
    """
    if not 0 < frame_rate_hz < np.inf:
        raise ValueError(f"frame_rate_hz must be more than 0, got {frame_rate_hz}")
    times = FrameTimes.of(times, frame_rate_hz).at(frame_rate_hz)
    if not 0 <= start < len(times):
        raise ValueError(f"start must be the number of a frame, 0 to {len(times) - 1}, got {start}")
    times = times.part(start, len(times))
    # A quarter of a frame at most, so that the tolerance can never reach over a frame of a very fast video.
    tolerance = min(times.tick_seconds, times.last_seconds / 4, 0.25 / times.rate_hz)
    available = max(1, int(np.ceil((times.end - tolerance) * frame_rate_hz)))
    count = available if num_frames is None else min(num_frames, available)
    if count > _MAX_FRAMES:
        raise ValueError(
            f"{times.duration_seconds:g} s of video at {frame_rate_hz:g} frames per second are {count:.3g} frames: "
            f"at most {_MAX_FRAMES} can be named, take a lower rate"
        )
    wanted = np.arange(count) / frame_rate_hz
    return start + np.searchsorted(times.starts, wanted + tolerance, side="right").astype(np.int64) - 1


def frames_around(times: FrameTimes, at: int, rate: float | None, steps: range) -> list[int]:
    """Numbers of the frames shown ``step / rate`` seconds from frame ``at``, without those outside of the video."""
    if rate is None or not times.is_told:
        numbers = [at + step for step in steps]
        return [number for number in numbers if 0 <= number < len(times)]
    half = 0.5 / max(times.rate_hz, rate)
    wanted = [times.starts[at] + step / rate for step in steps]
    inside = np.array([time for time in wanted if times.starts[0] - half < time < times.end])
    shown = np.searchsorted(times.starts, inside + min(times.tick_seconds, half / 2), side="right") - 1
    return shown.clip(min=0).tolist()


def rate_of_repeated(times: FrameTimes, rate_hz: float | None, numbers: Sequence[int]) -> float | None:
    """Frames per second of a video of which frames are read more than once because it has fewer than it is read at.

    Where a single frame stays for long in a video that is fast enough, nothing moves, and nothing is repeated.

    Args:
        times: of the video.
        rate_hz: at which it is read; None: each frame once.
        numbers: of the frames that are read.

    Returns:
        None: no frame is repeated.
    """
    if rate_hz is None or not times.is_told or len(times) < 2 or len(set(numbers)) == len(numbers):
        return None
    own_hz = float(1 / np.median(np.diff(times.starts)))
    return own_hz if own_hz < 0.9 * rate_hz else None


def warn_of_repeats(times: FrameTimes, rate_hz: float | None, numbers: Sequence[int], name: str, remedy: str) -> None:
    """Say so where there is a `rate_of_repeated`: a model takes equal frames for a scene in which nothing moves.

    Args:
        name: of the video.
        remedy: how to read each frame once, "--every-frame".
    """
    own_hz = rate_of_repeated(times, rate_hz, numbers)
    if own_hz is not None:
        warnings.warn(
            f"{name} has {own_hz:.3g} frames per second and is read at {rate_hz:g}: some frames come twice, which a "
            f"model takes for a scene that stands still; {remedy} takes each frame once",
            stacklevel=3,
        )
