"""The reader of video files on TorchCodec, an optional package; `mcvd.video.decoders.pyav` is the default."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from mcvd.runtime.error_text import first_line
from mcvd.video.decoders.checked import TOLERANCE_SECONDS, CheckedReader, scaled_to


class TorchCodecReader(CheckedReader):
    """Reads a video file with TorchCodec in its exact mode, where it agrees with FFmpeg about times, size and pixels.

    The time of every frame it returns is compared with the one asked for. A file of which it sees other frames or
    times, or decodes the first or last frame to other pixels (colour range, rotation), is refused.

    Raises:
        ImportError: if TorchCodec is not installed, or finds no FFmpeg libraries.
        VideoError: if the file cannot be read, or not by TorchCodec.
    """

    engine = "TorchCodec"
    faults = (RuntimeError, ValueError, IndexError)
    compared_size = (32, 32)
    compares_last = True

    def _open(self) -> Any:
        return import_decoders().VideoDecoder(str(self.path), seek_mode="exact", num_ffmpeg_threads=1)

    def _read(self, frames: Sequence[int], size: tuple[int, int]) -> Tensor:
        with self._faults_as_video_errors():
            batch = self._reader.get_frames_at(list(frames))
        shown = batch.pts_seconds.numpy() - self._start_seconds
        if np.abs(shown - self.times_seconds[list(frames)]).max() > TOLERANCE_SECONDS:
            raise self._disagreement("returns other frames than those asked for")
        return scaled_to(size, batch.data)


def import_decoders() -> ModuleType:
    """The module `torchcodec.decoders`. Raises ImportError, and says what to install, where it cannot be loaded."""
    try:
        from torchcodec import decoders

        try:
            decoders.VideoDecoder(b"no video")  # the libraries are loaded by the first decoder, not by the import
        except (RuntimeError, ValueError) as error:
            if "libtorchcodec" in str(error):
                raise
    except (ImportError, RuntimeError, OSError, ValueError) as error:
        raise ImportError(
            'engine="torchcodec" needs the package torchcodec (pip install "mcvd[torchcodec]") and the FFmpeg '
            f'libraries (apt install ffmpeg); engine="pyav" needs neither ({first_line(error)})'
        ) from error
    return decoders
