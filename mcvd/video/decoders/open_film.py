"""Opening a video file with PyAV, and which of its tracks is the one to be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from av.codec.context import Flags as CodecFlags
from av.stream import Disposition

from mcvd.runtime.error_text import one_line
from mcvd.video.decoders.base import VideoError

# Two threads decode large frames in two thirds of the time, and cost small ones up to half as much again; more help
# one reader little and cost many readers much.
_TWO_THREADS_FROM_PIXELS = 640 * 480
# A live playlist, or a disk that has gone, would otherwise be waited for without end.
_PATIENCE_SECONDS = 15.0
# Titles in a broken encoding are no reason to refuse a video; PyAV 19 takes them without being told.
TOLERANT = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
# Still pictures: one of these beside sound is the cover of a record, not a video.
PICTURE_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "webp"})


def open_film(path: Path) -> tuple[Any, Any]:
    """The container of a video file, which the caller closes, and the stream of it that is to be shown.

    Raises:
        VideoError: if FFmpeg finds no video in it.
    """
    # FFmpeg would write its complaints to the terminal; what matters comes back as an exception.
    av.logging.set_level(None)
    try:
        # "file:" keeps a name such as "a:b.mp4" from being read as a protocol, the list keeps playlists from
        # reaching the network; as `options` it would crash PyAV before 18 on formats that show streams late (mpg).
        container = av.open(  # type: ignore[call-overload]
            f"file:{path}",
            **TOLERANT,  # type: ignore[arg-type]
            container_options={"protocol_whitelist": "file,crypto,data"},
            timeout=_PATIENCE_SECONDS,
        )
    except PermissionError:
        raise VideoError(f"{path}: permission denied") from None
    except (av.FFmpegError, ValueError, OSError) as error:
        raise VideoError(f"{path}: cannot be opened as a video ({fault_text(error)})") from None
    try:
        streams = container.streams
        if not streams.video:
            kinds = sorted({stream.type for stream in streams})
            raise VideoError(f"{path}: holds no video" + (f", only {' and '.join(kinds)}" if kinds else ""))
        decodable = [stream for stream in streams.video if stream.codec_context is not None]
        if not decodable:
            raise VideoError(f"{path}: FFmpeg has no decoder for its video")
        # The first of those that are switched on, as the order is the author's; but a cover may come before it.
        stream = min(
            decodable,
            key=lambda one: (one.name in PICTURE_CODECS, not one.disposition & Disposition.default),
        )
        stream.thread_type = "SLICE"
        decoder = stream.codec_context
        # Or a crop on the left would be rounded down to what vector instructions like.
        decoder.flags |= CodecFlags.unaligned
        decoder.thread_count = 2 if decoder.width * decoder.height >= _TWO_THREADS_FROM_PIXELS else 1
    except BaseException:
        container.close()
        raise
    return container, stream


def fault_text(error: Exception) -> str:
    """What went wrong, in one line."""
    return one_line(error.strerror if isinstance(error, OSError | av.FFmpegError) else error)
