"""The reader of video files on decord, an optional package; `mcvd.video.decoders.pyav` is the default."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcvd.video.decoders.base import AbstractReader, VideoError, check_frames
from mcvd.video.decoders.pyav import PyAVReader
from mcvd.video.transforms import covering_size

_TOLERANCE_SECONDS = 2e-3
# Decoders and colour conversions of different FFmpegs differ by a few grey levels; another frame by more.
_SAME_PICTURE_LEVELS = 8.0
_stderr_lock = threading.Lock()


class DecordReader(AbstractReader):
    """Reads a video file with decord, where decord agrees with FFmpeg about times, size and first frame.

    decord cannot be checked frame by frame: after seeking in a file with open groups of pictures, and in one whose
    time stamps are out of order, it may return another frame without a word. Such files, and others in which it is
    seen to go wrong (MPEG-TS among them), are refused.

    Raises:
        ImportError: if decord is not installed.
        VideoError: if the file cannot be read, or not by decord.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            import decord
        except ImportError as error:
            raise ImportError(
                'engine="decord" needs the package decord (pip install "mcvd[decord]", Linux x86-64 only); '
                'engine="pyav" needs nothing more'
            ) from error
        self.path = Path(path)
        with closing(PyAVReader(self.path)) as judge:
            self.times_seconds = judge.times_seconds
            self.frame_rate_hz = judge.frame_rate_hz
            self.size = judge.size
            first = judge.read([0])
            is_plain = judge.is_plain()
        if not is_plain:
            raise self._disagreement("may return wrong frames of it (open groups of pictures, or times out of order)")
        # decord's decoding threads write whenever they like: silence them at the source too.
        decord.logging.set_level(decord.logging.QUIET)
        with self._faults_as_video_errors():
            self._reader = decord.VideoReader(str(self.path), ctx=decord.cpu(0), num_threads=1)
            num_frames = len(self._reader)
            starts = np.array([self._reader.get_frame_timestamp(number)[0] for number in range(num_frames)])
        if num_frames != self.num_frames:
            raise self._disagreement(f"sees {num_frames} frames, FFmpeg {self.num_frames}")
        if np.abs(starts - starts[0] - self.times_seconds).max() > _TOLERANCE_SECONDS:
            raise self._disagreement("sees other frame times than FFmpeg")
        if (self.read([0]).float() - first.float()).abs().mean() > _SAME_PICTURE_LEVELS:
            raise self._disagreement("decodes another first frame than FFmpeg")

    def read(self, frames: Sequence[int], cover: tuple[int, int] | None = None) -> Tensor:
        """Exactly these frames, uint8 (T, 3, H, W); see `AbstractReader.read`."""
        check_frames(self.path, frames, self.num_frames)
        size = covering_size(self.size, cover)
        with self._faults_as_video_errors():
            # As numpy whatever bridge the process has set: decord's bridge is a global.
            pixels = self._reader.get_batch(list(frames))
            pixels = pixels.asnumpy() if type(pixels).__module__.startswith("decord") else np.asarray(pixels)
        video = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        if tuple(video.shape[-2:]) == size:
            return video.contiguous()
        scaled = torch.nn.functional.interpolate(
            video.float(), size=size, mode="bicubic", antialias=True, align_corners=False
        )
        return scaled.round().clamp(0, 255).to(torch.uint8)

    def close(self) -> None:
        """Give the file back."""
        self._reader = None

    def _disagreement(self, fault: str) -> VideoError:
        self.close()
        return VideoError(f'{self.path}: decord {fault}; read it with engine="pyav"')

    @contextmanager
    def _faults_as_video_errors(self) -> Iterator[None]:
        """Turn decord's exceptions of several kinds into one, and keep its lines from the terminal."""
        import decord

        try:
            with _silent_stderr():
                yield
        except (RuntimeError, decord.DECORDError) as error:
            fault = re.sub(r"\[[\d:]{8}\] \S+:\d+: |Check failed: ", "", str(error).strip()).split("\n")[0]
            raise VideoError(f"{self.path}: decord cannot decode it ({fault})") from None


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
