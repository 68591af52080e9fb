"""Frame rates, and which frames are shown at given times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mcvd.video.decoders.base import AbstractReader

NOMINAL_RATE_HZ = 25.0  # of what does not tell its frame rate, as in FFmpeg: folders of frames, videos of one frame
DEFAULT_FPS = 10.0  # at which videos play where nobody knows or asks for a rate
# Files store times in ticks, the coarsest common one being a millisecond (mkv, webm, flv).
_TICK_SECONDS = 1e-3


def average_rate(times_seconds: np.ndarray, nominal_hz: float | None) -> float:
    """Frames per second over the whole video; the nominal rate, else `NOMINAL_RATE_HZ`, of a single frame."""
    duration_seconds = times_seconds[-1] - times_seconds[0]
    if duration_seconds > 0:
        return (len(times_seconds) - 1) / float(duration_seconds)
    return nominal_hz or NOMINAL_RATE_HZ


def frames_at_rate(
    times_seconds: np.ndarray, frame_rate_hz: float, start: int = 0, num_frames: int | None = None
) -> np.ndarray:
    """Numbers of the frames on display at regular times, beginning with frame ``start``.

    The k-th is the frame that is shown at ``times_seconds[start] + k / frame_rate_hz``, a tick's rounding of the
    stored times allowed for. The last frame is shown for an average frame's duration, and there the list ends.

    Args:
        times_seconds: float64 (N,), when each frame is shown, rising.
        frame_rate_hz: frames per second wanted; a higher rate than the video's repeats frames.
        start: number of the first frame.
        num_frames: how many at most; None: to the end.

    Returns:
        int64 (at most ``num_frames``,).

    Examples:
        >>> frames_at_rate(np.arange(10) / 30, 10.0).tolist()
        [0, 3, 6, 9]
    """
    times_seconds = np.asarray(times_seconds, dtype=np.float64)
    if not 0 < frame_rate_hz < np.inf:
        raise ValueError(f"frame_rate_hz must be more than 0, got {frame_rate_hz}")
    if not 0 <= start < len(times_seconds):
        raise ValueError(f"start must be the number of a frame, 0 to {len(times_seconds) - 1}, got {start}")
    shown = times_seconds[start:] - times_seconds[start]
    last_duration = 1 / average_rate(times_seconds, frame_rate_hz)
    # A quarter of a frame at most, so that the tolerance can never reach over a frame of a very fast video.
    tolerance = min(_TICK_SECONDS, last_duration / 4)
    available = max(1, int(np.ceil((shown[-1] + last_duration - tolerance) * frame_rate_hz)))
    count = available if num_frames is None else min(num_frames, available)
    wanted = np.arange(count) / frame_rate_hz
    return start + np.searchsorted(shown, wanted + tolerance, side="right").astype(np.int64) - 1


def frames_around(reader: AbstractReader, at: int, rate: float | None, steps: range) -> list[int]:
    """Numbers of the frames shown ``step / rate`` seconds from frame ``at``, without those outside of the video."""
    if rate is None:
        numbers = [at + step for step in steps]
        return [number for number in numbers if 0 <= number < reader.num_frames]
    times = reader.times_seconds
    half = 0.5 / reader.frame_rate_hz
    wanted = [times[at] + step / rate for step in steps]
    inside = [time for time in wanted if times[0] - half < time < times[-1] + 2 * half]
    return [int(np.abs(times - time).argmin()) for time in inside]
