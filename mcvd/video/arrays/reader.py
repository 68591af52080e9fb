"""`FieldReader`: a sequence of fields, read as a video is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from mcvd.video.arrays.find import find_places, open_place
from mcvd.video.arrays.open import AMBIGUOUS, ENDINGS, ending_of
from mcvd.video.arrays.sequences import covering_fields
from mcvd.video.decoders.base import AbstractReader, VideoError
from mcvd.video.timing import FrameTimes


class FieldReader(AbstractReader):
    """Reads one sequence of a file, or of a folder of frames: float32 (T, C, H, W), NaN where missing.

    Args:
        path: the file or folder.
        axes, variables: as in `mcvd.data.ArrayVideos`.
        sequence: number of the sequence in a file with several.

    Attributes:
        known_values: makes values that stand for missing ones NaN, before frames are made smaller; may be set.

    Raises:
        FileNotFoundError: there is nothing at ``path``.
        VideoError: it cannot be read, or has no such sequence.
    """

    def __init__(
        self, path: str | Path, axes: str | None = None, variables: Sequence[str] = (), sequence: int | None = None
    ) -> None:
        self.path = Path(path)
        places = find_places(self.path, axes, variables)
        if len(places) > 1:
            raise VideoError(f"{path} holds {len(places)} files of sequences: name one of them")
        self._fields = open_place(places[0], axes, variables)
        several = self._fields.num_sequences
        if not 0 <= (sequence or 0) < several or (sequence is None and several > 1):
            self.close()
            asked = "" if sequence is None else f", not {sequence}"
            raise VideoError(f"{path} holds the sequences 0 to {several - 1}{asked}: choose one (--sequence)")
        self._sequence = sequence or 0
        times = self._fields.times_seconds
        self.times = FrameTimes.counted(self._fields.num_frames, None) if times is None else FrameTimes.of(times)
        self.frame_rate_hz = self.times.told_rate_hz
        self.size = self._fields.size
        self.channels = self._fields.channels
        self.unit = self._fields.unit
        self.known_values: Callable[[Tensor], Tensor] = lambda video: video

    def _read(self, frames: Sequence[int], size: tuple[int, int]) -> Tensor:
        return covering_fields(self.known_values(self._fields.read(self._sequence, frames)), size)

    def close(self) -> None:
        """Close the file."""
        self._fields.close()


def holds_values(path: str | Path) -> bool:
    """Whether a path is to be read as fields: by its ending, and where pictures may have it too, by what is in it."""
    path = Path(path)
    suffix = ending_of(path)
    if path.is_dir() and suffix != ".zarr":
        inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
        return any(ending_of(each) in ENDINGS for each in inside[:1]) and holds_values(inside[0])
    if suffix not in ENDINGS:
        return False
    if suffix not in AMBIGUOUS:
        return True
    return path.is_file() and _is_no_picture(path)


def _is_no_picture(path: Path) -> bool:
    if path.suffix.lower() == ".zip":
        return True
    from mcvd.video.decoders.pictures import opened_picture

    try:
        with opened_picture(path) as picture:
            return picture.mode not in ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
    except ValueError:  # a TIFF of several bands, or damaged
        return path.suffix.lower() in (".tif", ".tiff")
