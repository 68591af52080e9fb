"""The reader of video files on decord, an optional package; `mcvd.video.decoders.pyav` is the default."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mcvd.video.decoders.checked import TOLERANCE_SECONDS, CheckedReader, scaled_to

_stderr_lock = threading.Lock()


def import_decord() -> ModuleType:
    """The module `decord`, which decord2 has too. Raises ImportError, and says what to install, where there is none."""
    try:
        import decord
    except ImportError as error:
        raise ImportError(
            'engine="decord" needs the package decord (pip install "mcvd[decord]", Linux x86-64 only); '
            'engine="pyav" needs nothing more'
        ) from error
    return decord


class DecordReader(CheckedReader):
    """Reads a video file with decord, where decord agrees with FFmpeg about times, size and first frame.

    decord cannot be checked frame by frame: after seeking in a file with open groups of pictures, and in one whose
    time stamps are out of order, it may return another frame without a word. Such files, and others in which it is
    seen to go wrong (MPEG-TS among them), are refused.

    Raises:
        ImportError: if decord is not installed.
        VideoError: if the file cannot be read, or not by decord.
    """

    engine = "decord"
    not_seeking = frozenset({"asf"})

    def __init__(self, path: str | Path) -> None:
        decord = import_decord()
        # decord's decoding threads write whenever they like: silence them at the source too.
        decord.logging.set_level(decord.logging.QUIET)
        self.faults = (RuntimeError, decord.DECORDError)
        super().__init__(path)

    def _open(self) -> Any:
        import decord

        return decord.VideoReader(str(self.path), ctx=decord.cpu(0), num_threads=1)

    def _check_times(self) -> None:
        with self._faults_as_video_errors():
            starts = np.array([self._reader.get_frame_timestamp(number)[0] for number in range(self.num_frames)])
        if np.abs(starts - starts[0] - self.times_seconds).max() > TOLERANCE_SECONDS:
            raise self._disagreement("sees other frame times than FFmpeg")

    def _read(self, frames: Sequence[int], size: tuple[int, int]) -> Tensor:
        with self._faults_as_video_errors():
            # As numpy whatever bridge the process has set: decord's bridge is a global.
            pixels = self._reader.get_batch(list(frames))
            pixels = pixels.asnumpy() if type(pixels).__module__.startswith("decord") else np.asarray(pixels)
        return scaled_to(size, torch.from_numpy(pixels).permute(0, 3, 1, 2))

    @contextmanager
    def _faults_as_video_errors(self) -> Iterator[None]:
        """Keep decord's lines from the terminal too."""
        with super()._faults_as_video_errors(), _silent_stderr():
            yield


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send what C libraries write to the standard error stream nowhere; one thread at a time, as it is shared."""
    with _stderr_lock:
        sys.stderr.flush()
        saved = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(nowhere)
