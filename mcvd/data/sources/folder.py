"""`VideoFolder`: a folder of video files, or of folders of frames, as a collection."""

from __future__ import annotations

import os
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from mcvd.data.signals.beside import SignalsBeside
from mcvd.data.sources.frame_times_index import FrameTimesIndex, Probed
from mcvd.data.videos import AbstractVideos
from mcvd.runtime.progress import map_in_threads
from mcvd.runtime.timeout import TimeLimit, may_block
from mcvd.video.decoders.base import FRAME_SUFFIXES, VIDEO_SUFFIXES, AbstractReader, VideoError
from mcvd.video.find import find_videos
from mcvd.video.open import open_reader
from mcvd.video.timing import FrameTimes

MAX_OPEN_READERS = 8
MAX_SIGNAL_BYTES = 256 << 20  # of what was read beside videos, and is remembered
# A clip takes milliseconds to seconds; a long 4K file with a single key frame may take most of a minute.
TIMEOUT_SECONDS = 60.0


class VideoFolder(AbstractVideos):
    """Every video below a folder, in the order of their paths.

    What a video is, `mcvd.video.find.find_videos` says: a file, a folder of numbered frames, an animated picture. Each
    video is opened once at the start to read the times of its frames; one that cannot be opened is left out, with a
    warning that names it.

    Args:
        root: the folder; also a single video file.
        engine: the decoder, see `mcvd.video.open.open_video`.
        frame_rate_hz: rate of pictures for which nothing else tells it, see `mcvd.video.open.open_video`.
        timeout_seconds: time limit for opening a video, and for reading some of its frames; one that exceeds it is left
            out, or refused from then on, and nothing waits for it again.
        index: folder where the times of the files are remembered, so that a second start does not open each; None: in
            the user's cache, see `mcvd.data.sources.frame_times_index.FrameTimesIndex`.

    Attributes:
        paths: the videos.
        skipped: videos that could not be opened, with the reason.

    Raises:
        FileNotFoundError: if ``root`` does not exist.
        ValueError: if nothing below it can be read as a video.
    """

    def __init__(
        self,
        root: str | Path,
        engine: str = "pyav",
        frame_rate_hz: float | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        index: str | Path | None = None,
    ) -> None:
        if not timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be more than 0, got {timeout_seconds}")
        self.root = Path(root)
        self.engine = engine
        self.frame_rate_hz = frame_rate_hz
        self.paths: list[Path] = []
        self.skipped: dict[Path, str] = {}
        self.timeout_seconds = timeout_seconds
        self._readers = _OpenReaders()
        self._limit = TimeLimit()
        self._stuck: set[Path] = set()
        self._signals: dict[tuple[int, tuple[str, ...]], np.ndarray] = {}
        if not self.root.exists():
            raise FileNotFoundError(f"no such folder of videos: {root}")
        times = self._probe(list(find_videos(self.root)), FrameTimesIndex(self.root, engine, index))
        if not times:
            unreadable = f"; {len(self.skipped)} files could not be opened" if self.skipped else ""
            raise ValueError(
                f"no readable video below {root}{unreadable}: looked for films (.mp4, .avi, .mkv, .mov, .webm, .gif "
                f"and {len(VIDEO_SUFFIXES) - 6} other endings) and for folders of numbered frames "
                f"({', '.join(sorted(FRAME_SUFFIXES))})"
            )
        # One array for all videos: forked workers share it, where a list of arrays would be copied bit by bit.
        self._times = np.concatenate([own.starts for own in times])
        self._stops = np.cumsum([len(own) for own in times])
        self._ends = np.array([own.end for own in times])
        self._are_told = np.array([own.is_told for own in times])
        self._ticks = np.array([own.tick_seconds for own in times])

    def open(self, path: Path) -> AbstractReader:
        """A reader of one of the videos; the caller closes it."""
        return open_reader(path, self.engine, self.frame_rate_hz, self.timeout_seconds)

    def _probe(self, paths: list[Path], index: FrameTimesIndex) -> list[FrameTimes]:
        """Times of the frames of all videos that can be opened; fills ``paths`` and ``skipped``."""

        def probed(path: Path) -> Probed:
            with self.open(path) as reader:
                return Probed(reader.times, reader.notes)

        def probed_or_fault(path: Path) -> Probed | str:
            try:
                return TimeLimit().call(probed, path, seconds=self.timeout_seconds)
            except TimeoutError as fault:
                return f"{path}: opening it {fault}"
            except (VideoError, OSError) as fault:
                return str(fault)

        results = index.probe(paths, lambda new: map_in_threads(probed_or_fault, new, "Reading videos"))
        all_times: list[FrameTimes] = []
        for path, result in zip(paths, results, strict=True):
            if isinstance(result, str):
                self.skipped[path] = result
                warnings.warn(f"left out: {result}", stacklevel=3)
            else:
                self.paths.append(path)
                all_times.append(result.times)
                for note in result.notes:
                    warnings.warn(f"{path}: {note}", stacklevel=3)
        return all_times

    @property
    def channels(self) -> int:
        """3: every video is read in colour."""
        return 3

    def __len__(self) -> int:
        return len(self.paths)

    def times_seconds(self, index: int) -> np.ndarray:
        """Display times of the frames of video ``index``: float64 (num_frames,), increasing, the first 0."""
        return self._times[self._stops[index - 1] if index else 0 : self._stops[index]]

    def frame_times(self, index: int) -> FrameTimes:
        """Display times of the frames of video ``index``, the first 0, and the end of the last."""
        end, tick_seconds = float(self._ends[index]), float(self._ticks[index])
        return FrameTimes(self.times_seconds(index), end, bool(self._are_told[index]), tick_seconds)

    def read(self, index: int, frames: Sequence[int], cover: tuple[int, int]) -> Tensor:
        """Some frames of one video, uint8 (T, 3, H, W), at the size that just covers ``cover``, aspect ratio kept."""
        path = self.paths[index]
        if path in self._stuck:
            raise VideoError(f"{path}: reading it got stuck before")
        ends_by_itself = False
        try:
            reader = self._readers.get(path, self._open_in_time)
            if reader.size and reader.num_frames != len(self.times_seconds(index)):  # the size: a frame is decoded
                raise VideoError(f"{path}: has {reader.num_frames} frames, other than when it was looked at")
            ends_by_itself = reader.checks_time and not may_block(path)
            if ends_by_itself:
                return reader.read(frames, cover)
            return self._limit.call(reader.read, frames, cover, seconds=self.timeout_seconds)
        except TimeoutError as fault:
            self._stuck.add(path)
            (self._readers.discard if ends_by_itself else self._readers.abandon)(path)
            raise VideoError(f"{path}: reading {len(frames)} frames {fault}") from None
        except (VideoError, OSError):
            self._readers.discard(path)
            raise

    def _open_in_time(self, path: Path) -> AbstractReader:
        return self._limit.call(self.open, path, seconds=self.timeout_seconds)

    def name(self, index: int) -> str:
        """The path of video ``index`` below the root."""
        path = self.paths[index]
        return path.name if path == self.root else path.relative_to(self.root).as_posix()

    def signals(self, index: int, names: Sequence[str]) -> np.ndarray:
        """What files beside video ``index`` tell, float32 (num_frames, A); see `mcvd.data.signals.beside`."""
        key = (index, tuple(names))
        if key not in self._signals:
            if sum(each.nbytes for each in self._signals.values()) > MAX_SIGNAL_BYTES:
                self._signals.clear()
            self._signals[key] = self._beside(index).read(names)
        return self._signals[key]

    def signal_names(self, index: int) -> list[str]:
        """What they could tell."""
        return self._beside(index).names()

    def _beside(self, index: int) -> SignalsBeside:
        return SignalsBeside(self.paths[index], self.root, len(self.times_seconds(index)))

    def path(self, index: int) -> Path:
        """The file or folder of video ``index``."""
        return self.paths[index]

    def num_bytes(self, index: int) -> int:
        """Size of the file, or of all files of a folder of frames; 0 if it has vanished."""
        path = self.paths[index]
        try:
            files = path.iterdir() if path.is_dir() else path.parent.glob(path.name) if "*" in path.name else [path]
            return sum(each.stat().st_size for each in files)
        except OSError:
            return 0

    def close(self) -> None:
        """Close the files that this process has open; reading opens them again."""
        self._readers.close()


class _OpenReaders:
    """The open readers of this process; beyond `MAX_OPEN_READERS` the least recently used one is closed.

    Open readers belong to one process: they are neither pickled nor used after a fork.
    """

    def __init__(self) -> None:
        self._readers: OrderedDict[Path, AbstractReader] = OrderedDict()
        self._process = os.getpid()
        self._abandoned: list[AbstractReader | None] = []
        self._inherited: list[OrderedDict[Path, AbstractReader]] = []
        weakref.finalize(self, _close_readers, self._readers, self._process)

    def get(self, path: Path, open_reader: Callable[[Path], AbstractReader]) -> AbstractReader:
        if self._process != os.getpid():
            # Not closed: closing would wait for decoder threads that only the parent process has.
            self._inherited.append(self._readers)
            self._readers, self._process = OrderedDict(), os.getpid()
        reader = self._readers.pop(path, None)
        if reader is None:
            reader = open_reader(path)
        self._readers[path] = reader
        if len(self._readers) > MAX_OPEN_READERS:
            self._readers.popitem(last=False)[1].close()
        return reader

    def discard(self, path: Path) -> None:
        reader = self._readers.pop(path, None)
        if reader is not None:
            reader.close()

    def abandon(self, path: Path) -> None:
        """Drop a reader that is stuck, without closing it, which would be stuck too."""
        self._abandoned.append(self._readers.pop(path, None))

    def close(self) -> None:
        _close_readers(self._readers, self._process)

    def __len__(self) -> int:
        return len(self._readers)

    def __reduce__(self) -> tuple[type[_OpenReaders], tuple[()]]:
        return _OpenReaders, ()


def _close_readers(readers: OrderedDict[Path, AbstractReader], process: int) -> None:
    while readers and process == os.getpid():
        readers.popitem()[1].close()
