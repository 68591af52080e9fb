"""What readers on other engines share: PyAV's reader judges whether they read a file right, or it is refused."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from mcvd.video.decoders.base import AbstractReader, VideoError
from mcvd.video.decoders.pyav import PyAVReader

TOLERANCE_SECONDS = 2e-3
# Decoders and colour conversions of different FFmpegs differ by a few grey levels; another frame by more.
_SAME_PICTURE_LEVELS = 8.0


class CheckedReader(AbstractReader):
    """A reader that refuses files of which its engine sees other frames, times or pixels than FFmpeg.

    Attributes:
        engine: its name in messages.
        faults: what its exceptions are.
        compared_size: the size that is covered by frames which are compared with FFmpeg's; None: as displayed.
        not_seeking: FFmpeg's names of formats in which it returns other frames after a seek.
        compares_last: whether the last frame is compared too, not only the first.
    """

    engine: ClassVar[str]
    faults: tuple[type[Exception], ...]
    compared_size: ClassVar[tuple[int, int] | None] = None
    not_seeking: ClassVar[frozenset[str]] = frozenset()
    compares_last: ClassVar[bool] = False

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._reader: Any = None
        with closing(PyAVReader(self.path)) as judge:
            self.times = judge.times
            self.notes = judge.notes
            self.frame_rate_hz = judge.frame_rate_hz
            self.size = judge.size
            self._start_seconds = judge.start_seconds
            compared = sorted({0, self.num_frames - 1}) if self.compares_last else [0]
            expected = judge.read(compared, self.compared_size)
            doubt = judge.doubt()
            if judge.packets.format_name in self.not_seeking:
                doubt = f"it does not find frames again in {judge.packets.format_name}"
        if doubt:
            raise self._disagreement(f"may return wrong frames of it ({doubt})")
        with self._faults_as_video_errors():
            self._reader = self._open()
            num_frames = len(self._reader)
        if num_frames != self.num_frames:
            raise self._disagreement(f"sees {num_frames} frames, FFmpeg {self.num_frames}")
        self._check_times()
        if (self.read(compared, self.compared_size).float() - expected.float()).abs().mean() > _SAME_PICTURE_LEVELS:
            raise self._disagreement("decodes other pixels than FFmpeg")

    @abstractmethod
    def _open(self) -> Any:
        """The engine's own reader of the file."""

    def _check_times(self) -> None:
        """Raise unless the engine sees the times that FFmpeg sees, where it tells them before it decodes."""

    def close(self) -> None:
        """Give the file back."""
        self._reader = None

    def _disagreement(self, fault: str) -> VideoError:
        self.close()
        return VideoError(f'{self.path}: {self.engine} {fault}; read it with engine="pyav"')

    @contextmanager
    def _faults_as_video_errors(self) -> Iterator[None]:
        """Turn the engine's exceptions of several kinds into one."""
        try:
            yield
        except self.faults as error:
            fault = re.sub(r"\[[\d:]{8}\] \S+:\d+: |Check failed: ", "", str(error).strip()).split("\n")[0][:120]
            told = f'{self.engine} cannot decode it ({fault}); read it with engine="pyav"'
            raise VideoError(f"{self.path}: {told}") from None


def scaled_to(size: tuple[int, int], video: Tensor) -> Tensor:
    """uint8 (T, C, H, W) scaled to (height, width)."""
    if tuple(video.shape[-2:]) == size:
        return video.contiguous()
    scaled = torch.nn.functional.interpolate(
        video.float(), size=size, mode="bicubic", antialias=True, align_corners=False
    )
    return scaled.round().clamp(0, 255).to(torch.uint8)
