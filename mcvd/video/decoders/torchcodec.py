"""The reader of video files on TorchCodec, an optional package; `mcvd.video.decoders.pyav` is the default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from mcvd.video.decoders.base import AbstractReader, VideoError, check_frames
from mcvd.video.decoders.pyav import PyAVReader
from mcvd.video.transforms import covering_size

_TOLERANCE_SECONDS = 2e-3
# As for decord: decoders and colour conversions of different FFmpegs differ by a few grey levels.
_SAME_PICTURE_LEVELS = 8.0


class TorchCodecReader(AbstractReader):
    """Reads a video file with TorchCodec in its exact mode, where it agrees with FFmpeg about times, size and pixels.

    The time of every frame it returns is compared with the one asked for. A file of which it sees other frames or
    times, or decodes the first or last frame to other pixels (colour range, rotation), is refused.

    Raises:
        ImportError: if TorchCodec is not installed, or finds no FFmpeg libraries.
        VideoError: if the file cannot be read, or not by TorchCodec.
    """

    def __init__(self, path: str | Path) -> None:
        decoders = import_decoders()
        self.path = Path(path)
        with closing(PyAVReader(self.path)) as judge:
            self.times_seconds = judge.times_seconds
            self.frame_rate_hz = judge.frame_rate_hz
            self.size = judge.size
            ends = sorted({0, self.num_frames - 1})
            expected = judge.read(ends, cover=(32, 32))
            self._start_seconds = judge.start_seconds
            is_plain = judge.is_plain()
        if not is_plain:
            raise self._disagreement("may return wrong frames of it (open groups of pictures, or times out of order)")
        with self._faults_as_video_errors():
            self._decoder = decoders.VideoDecoder(str(self.path), seek_mode="exact", num_ffmpeg_threads=1)
            num_frames = len(self._decoder)
        if num_frames != self.num_frames:
            raise self._disagreement(f"sees {num_frames} frames, FFmpeg {self.num_frames}")
        if (self.read(ends, cover=(32, 32)).float() - expected.float()).abs().mean() > _SAME_PICTURE_LEVELS:
            raise self._disagreement("decodes other pixels than FFmpeg")

    def read(self, frames: Sequence[int], cover: tuple[int, int] | None = None) -> Tensor:
        """Exactly these frames, uint8 (T, 3, H, W); see `AbstractReader.read`."""
        check_frames(self.path, frames, self.num_frames)
        size = covering_size(self.size, cover)
        with self._faults_as_video_errors():
            batch = self._decoder.get_frames_at([int(frame) for frame in frames])
        shown = batch.pts_seconds.numpy() - self._start_seconds
        if np.abs(shown - self.times_seconds[list(frames)]).max() > _TOLERANCE_SECONDS:
            raise self._disagreement("returns other frames than those asked for")
        if tuple(batch.data.shape[-2:]) == size:
            return batch.data.contiguous()
        scaled = torch.nn.functional.interpolate(
            batch.data.float(), size=size, mode="bicubic", antialias=True, align_corners=False
        )
        return scaled.round().clamp(0, 255).to(torch.uint8)

    def close(self) -> None:
        """Give the file back."""
        self._decoder = None

    def _disagreement(self, fault: str) -> VideoError:
        self.close()
        return VideoError(f'{self.path}: TorchCodec {fault}; read it with engine="pyav"')

    @contextmanager
    def _faults_as_video_errors(self) -> Iterator[None]:
        """Turn TorchCodec's exceptions of several kinds into one."""
        try:
            yield
        except (RuntimeError, ValueError, IndexError) as error:
            fault = " ".join(str(error).split())[:120]
            raise VideoError(f"{self.path}: TorchCodec cannot decode it ({fault})") from None


def import_decoders() -> ModuleType:
    """The module `torchcodec.decoders`. Raises ImportError, and says what to install, where it cannot be loaded."""
    try:
        from torchcodec import decoders

        try:
            decoders.VideoDecoder(b"no video")  # the libraries are loaded by the first decoder, not by the import
        except (RuntimeError, ValueError) as error:
            if "libtorchcodec" in str(error):
                raise
    except (ImportError, RuntimeError, OSError) as error:
        raise _cannot_load(error) from error
    try:  # without the libraries the import succeeds and the first decoder fails
        decoders.VideoDecoder(b"no video")
    except (RuntimeError, ValueError) as error:
        if "libtorchcodec" in str(error):
            raise _cannot_load(error) from error
    return decoders


def _cannot_load(error: Exception) -> ImportError:
    fault = (str(error).strip().splitlines() or ["no reason given"])[0]
    return ImportError(
        'engine="torchcodec" needs the package torchcodec (pip install "mcvd[torchcodec]") and the FFmpeg '
        f'libraries (apt install ffmpeg); engine="pyav" needs neither ({fault})'
    )
