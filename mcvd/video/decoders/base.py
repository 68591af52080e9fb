"""`AbstractReader`: what every reader of videos can do."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from types import TracebackType

import numpy as np
from torch import Tensor

from mcvd.runtime.error_text import one_line
from mcvd.video.timing import FrameTimes
from mcvd.video.transforms import covering_size

_VIDEOS = """mp4 m4v mov qt avi divx mkv webm gif wmv asf flv f4v ogv ogm mpg mpeg m1v m2v ts mts m2t m2ts vob 3gp 3g2
y4m mxf dv nut rm rmvb mjpg mjpeg mj2 h264 264 h265 265 hevc ivf obu wtv dav lrv insv"""
_PICTURES = "png jpg jpeg bmp webp tif tiff avif ppm pgm pnm"
_ANIMATIONS = "webp avif avifs png apng tif tiff"

VIDEO_SUFFIXES = frozenset(f".{name}" for name in _VIDEOS.split())
FRAME_SUFFIXES = frozenset(f".{name}" for name in _PICTURES.split())
# Pictures that may be animated, and are videos then.
ANIMATION_SUFFIXES = frozenset(f".{name}" for name in _ANIMATIONS.split())
# What a file or a recipe claims is believed up to here: pixels on a side of a frame.
MAX_SIDE = 1 << 14


class VideoError(ValueError):
    """A video cannot be read: one line that names the file and the fault."""


class AbstractReader(ABC):
    """One open video whose frames can be read in any order, exactly.

    A reader holds an open file: open it in the process that reads, and close it (it is a context manager).

    Attributes:
        path: the file or folder.
        times: when each frame is shown, the first at 0 seconds, and when the last one ends.
        frame_rate_hz: the average rate, frames per second; None: nobody told that of some pictures.
        size: (height, width) as displayed: upright and with square pixels.
        channels: of the frames that are read.
        notes: what the file says that could not be taken as it stands, a sentence each.
        checks_time: whether `read` ends by itself, with a TimeoutError, after the ``timeout_seconds`` of `open_video`.
    """

    checks_time = False
    path: Path
    times: FrameTimes
    frame_rate_hz: float | None
    size: tuple[int, int]
    channels = 3
    notes: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        """How many frames the video holds; damage inside the file shows only on reading."""
        return len(self.times)

    @property
    def times_seconds(self) -> np.ndarray:
        """When each frame is shown, float64 (num_frames,), rising, the first at 0."""
        return self.times.starts

    def read(self, frames: Sequence[int], cover: tuple[int, int] | None = None) -> Tensor:
        """Exactly these frames, uint8 (T, 3, H, W), RGB, in memory perhaps with the channels last.

        Args:
            frames: frame numbers, 0 <= number < num_frames, in any order, repeats allowed.
            cover: (height, width); the frames are scaled, aspect kept, until they just cover it. Nothing is cut off.
                None: as displayed.

        Raises:
            VideoError: if a frame is not there or cannot be decoded, whatever exception the library raises of it.
        """
        check_frames(self.path, frames, self.num_frames)
        size = covering_size(self.size, cover)
        with library_faults(self.path):
            return self._read([int(frame) for frame in frames], size)

    @abstractmethod
    def _read(self, frames: Sequence[int], size: tuple[int, int]) -> Tensor:
        """As `read`, of frames that are there, scaled to ``size`` (height, width)."""

    @abstractmethod
    def close(self) -> None:
        """Give the file back; closing twice is fine."""

    def __enter__(self) -> AbstractReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def library_faults(path: Path) -> Iterator[None]:
    """Turn whatever a library raises of one video into one `VideoError` that names it.

    Only what the video is not to blame for passes: it is gone, the time is over, or a package is not installed.
    """
    try:
        yield
    except (VideoError, FileNotFoundError, TimeoutError, ImportError):
        raise
    except PermissionError:
        raise VideoError(f"{path}: permission denied") from None
    except Exception as error:
        fault = one_line(error) or type(error).__name__
        raise VideoError(f"{path}: cannot be read ({fault})") from error


def check_exists(path: Path) -> bool:
    """Whether ``path`` is a folder; raise unless it is, or a non-empty regular file: a pipe would block for ever."""
    try:
        facts = os.stat(path)
    except PermissionError:
        raise VideoError(f"{path}: permission denied") from None
    except (OSError, ValueError):
        raise FileNotFoundError(f"{path}: no such file or folder") from None
    if S_ISDIR(facts.st_mode):
        return True
    if not S_ISREG(facts.st_mode):
        raise VideoError(f"{path}: neither a file nor a folder")
    if facts.st_size == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes)")
    return False


def check_frames(path: Path, frames: Sequence[int], num_frames: int) -> None:
    """Raise `VideoError` unless every number is that of a frame."""
    wrong = [int(frame) for frame in frames if not 0 <= frame < num_frames]
    if wrong:
        raise VideoError(f"{path}: there is no frame {wrong[0]}; the video has frames 0 to {num_frames - 1}")
