"""Open a video with the engine that reads it exactly."""

from __future__ import annotations

import math
import warnings
from importlib.metadata import version
from pathlib import Path

from mcvd.video.decoders.base import AbstractReader, VideoError, check_exists, library_faults

ENGINES = ("pyav", "decord", "torchcodec")


def open_video(
    path: str | Path, engine: str = "pyav", frame_rate_hz: float | None = None, timeout_seconds: float = math.inf
) -> AbstractReader:
    """Open a video file, or a folder of numbered pictures, for reading any of its frames.

    What could not be taken as the file says it (`AbstractReader.notes`) is told in a warning.

    Args:
        path: a file of any format FFmpeg knows, gif among them; an animated picture (WebP, AVIF, PNG, TIFF); or a
            folder that holds the frames as pictures, or one of several sequences in it such as ``day1/A_*``.
        engine: "pyav", which never returns a wrong frame, "decord" or "torchcodec" (see `mcvd.video.decoders.decord`,
            `mcvd.video.decoders.torchcodec`), which refuse files that they would read wrongly.
        frame_rate_hz: the rate of pictures for which nothing else tells it (``frames.yaml``, see
            `mcvd.video.decoders.frame_folder`); None: it is unknown.
        timeout_seconds: how long one read may take, where the reader looks at the time (``checks_time``).

    Raises:
        FileNotFoundError: if there is nothing at ``path``.
        VideoError: if it cannot be read as a video.

    Examples:
        >>> with open_video("clip.mp4") as reader:  # doctest: +SKIP
        ...     first_and_last = reader.read([0, reader.num_frames - 1], cover=(128, 128))
    """
    reader = open_reader(path, engine, frame_rate_hz, timeout_seconds)
    try:
        reader.size  # noqa: B018 - a file of which no frame can be decoded is refused here
    except VideoError:
        reader.close()
        raise
    for note in reader.notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return reader


def open_reader(
    path: str | Path, engine: str, frame_rate_hz: float | None = None, timeout_seconds: float = math.inf
) -> AbstractReader:
    """`open_video` without warnings, and perhaps without decoding anything: for whoever only wants the times."""
    path = Path(path)
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    is_pattern = "*" in path.name and path.parent.is_dir() and not path.exists()
    holds_pictures = is_pattern or check_exists(path)
    with library_faults(path):
        return _reader_of(path, holds_pictures, engine, frame_rate_hz, timeout_seconds)


def _reader_of(
    path: Path, holds_pictures: bool, engine: str, frame_rate_hz: float | None, timeout_seconds: float
) -> AbstractReader:
    if holds_pictures:
        from mcvd.video.decoders.frame_folder import FrameFolderReader

        return FrameFolderReader(path, frame_rate_hz)
    from mcvd.video.decoders.animation import AnimationReader, is_animation

    if is_animation(path):
        return AnimationReader(path, frame_rate_hz)
    from mcvd.video.decoders.packet_list import MisreadGifError

    try:
        return _film_reader(path, engine, timeout_seconds)
    except MisreadGifError:
        return AnimationReader(path, frame_rate_hz)


def _film_reader(path: Path, engine: str, timeout_seconds: float) -> AbstractReader:
    if engine == "decord":
        from mcvd.video.decoders.decord import DecordReader

        return DecordReader(path)
    if engine == "torchcodec":
        from mcvd.video.decoders.torchcodec import TorchCodecReader

        return TorchCodecReader(path)
    from mcvd.video.decoders.pyav import PyAVReader

    return PyAVReader(path, timeout_seconds)


def engine_version(engine: str) -> str:
    """Name and version of what decodes and scales: pixels are the same while it is.

    Raises:
        ImportError: the engine is not installed; says what to install.
    """
    if engine == "decord":
        from mcvd.video.decoders.decord import import_decord

        # Not of a package: decord2 has a module of this name, and where both are installed either may be it.
        return f"decord {import_decord().__version__} torch {version('torch')}"
    if engine == "torchcodec":
        from mcvd.video.decoders.torchcodec import import_decoders

        import_decoders()
        return f"torchcodec {version('torchcodec')} torch {version('torch')}"
    return f"av {version('av')} pillow {version('pillow')}"
