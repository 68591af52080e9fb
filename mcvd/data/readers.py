"""What every video reader can do, and how one is opened."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import numpy as np
from torch import Tensor

VIDEO_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".avi",
        ".mkv",
        ".webm",
        ".gif",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".3gp",
        ".3g2",
        ".wmv",
        ".flv",
        ".ogv",
    ]
)
ENGINES = ("pyav", "decord", "torchcodec")
FRAME_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})

# Files store times in ticks, the coarsest common one being a millisecond (mkv, webm, flv).
_TICK_SECONDS = 1e-3


class VideoError(ValueError):
    """A video cannot be read: one line that names the file and the fault."""


class AbstractReader(ABC):
    """One open video whose frames can be read in any order, exactly.

    A reader holds an open file: open it in the process that reads, and close it (it is a context manager).

    Attributes:
        path: the file or folder.
        times_seconds: float64 (num_frames,), when each frame is shown, rising, the first at 0.
        frame_rate_hz: the average rate, frames per second.
        size: (height, width) as displayed: upright and with square pixels.
        checks_time: whether `read` ends by itself, with a TimeoutError, after the ``timeout_seconds`` of `open_video`.
    """

    checks_time = False
    path: Path
    times_seconds: np.ndarray
    frame_rate_hz: float
    size: tuple[int, int]

    @property
    def num_frames(self) -> int:
        """How many frames the video holds; damage inside the file shows only on reading."""
        return len(self.times_seconds)

    @abstractmethod
    def read(self, frames: Sequence[int], cover: tuple[int, int] | None = None) -> Tensor:
        """Exactly these frames, uint8 (T, 3, H, W), RGB, in memory perhaps with the channels last.

        Args:
            frames: frame numbers, 0 <= number < num_frames, in any order, repeats allowed.
            cover: (height, width); the frames are scaled, aspect kept, until they just cover it. Nothing is cut off.
                None: as displayed.

        Raises:
            VideoError: if a frame is not there or cannot be decoded.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the file back; closing twice is fine."""

    def __enter__(self) -> AbstractReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_video(
    path: str | Path, engine: str = "pyav", frame_rate_hz: float = 25.0, timeout_seconds: float = math.inf
) -> AbstractReader:
    """Open a video file, or a folder of numbered pictures, for reading any of its frames.

    Args:
        path: a file of any format FFmpeg knows, gif among them; or a folder that holds the frames as pictures.
        engine: "pyav", which never returns a wrong frame, "decord" or "torchcodec" (see `mcvd.data.decord`,
            `mcvd.data.torchcodec`), which refuse files that they would read wrongly.
        frame_rate_hz: the rate of a folder of pictures, which does not tell it; a file knows its own.
        timeout_seconds: how long one read may take, where the reader looks at the time (``checks_time``).

    Raises:
        FileNotFoundError: if there is nothing at ``path``.
        VideoError: if it cannot be read as a video.

    Example:
        >>> with open_video("clip.mp4") as reader:  # doctest: +SKIP
        ...     first_and_last = reader.read([0, reader.num_frames - 1], cover=(128, 128))
    """
    path = Path(path)
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    check_exists(path)
    if path.is_dir():
        from mcvd.data.frame_folder import FrameFolderReader

        return FrameFolderReader(path, frame_rate_hz)
    if engine == "decord":
        from mcvd.data.decord import DecordReader

        return DecordReader(path)
    if engine == "torchcodec":
        from mcvd.data.torchcodec import TorchCodecReader

        return TorchCodecReader(path)
    from mcvd.data.pyav import PyAVReader

    return PyAVReader(path, timeout_seconds)


def engine_version(engine: str) -> str:
    """Name and version of what decodes and scales: pixels are the same while it is."""
    packages = {"pyav": ("av", "pillow"), "decord": ("decord", "torch"), "torchcodec": ("torchcodec", "torch")}
    return " ".join(f"{package} {version(package)}" for package in packages[engine])


def check_exists(path: Path) -> None:
    """Raise unless there is a folder or a non-empty regular file at ``path``; a pipe would block for ever."""
    try:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if path.is_dir():
            return
        if not path.is_file():
            raise VideoError(f"{path}: neither a file nor a folder")
        if path.stat().st_size == 0:
            raise VideoError(f"{path}: the file is empty (0 bytes)")
    except PermissionError:
        raise VideoError(f"{path}: permission denied") from None


def check_frames(path: Path, frames: Sequence[int], num_frames: int) -> None:
    """Raise `VideoError` unless every number is that of a frame."""
    wrong = [int(frame) for frame in frames if not 0 <= frame < num_frames]
    if wrong:
        raise VideoError(f"{path}: there is no frame {wrong[0]}; the video has frames 0 to {num_frames - 1}")


def covering_size(size: tuple[int, int], cover: tuple[int, int] | None) -> tuple[int, int]:
    """The size, aspect kept, at which a picture of ``size`` just covers ``cover``; both (height, width).

    Example:
        >>> covering_size((720, 1280), (128, 128))
        (128, 228)
    """
    if cover is None:
        return size
    if min(cover) < 1:
        raise ValueError(f"cover must be (height, width) of at least one pixel each, got {tuple(cover)}")
    (height, width), (cover_height, cover_width) = size, cover
    scale = max(cover_height / height, cover_width / width)
    return max(cover_height, round(height * scale)), max(cover_width, round(width * scale))


def average_rate(times_seconds: np.ndarray, nominal_hz: float | None) -> float:
    """Frames per second over the whole video; the nominal rate, else 25, where one frame tells nothing."""
    duration_seconds = times_seconds[-1] - times_seconds[0]
    if duration_seconds > 0:
        return (len(times_seconds) - 1) / float(duration_seconds)
    return nominal_hz or 25.0


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

    Example:
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
