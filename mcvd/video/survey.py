"""What a look through a whole video finds that reading some of its frames would not tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from mcvd.video.decoders.animation import is_animation
from mcvd.video.decoders.base import library_faults
from mcvd.video.decoders.frame_folder import check_all_sizes
from mcvd.video.decoders.open_film import TOLERANT

# Key frames that are decoded at most: those of an hour at one in ten seconds; of films of key frames alone, a part.
_MAX_FRAMES = 360
_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class Survey:
    """What a video holds beside the frames that are read.

    Args:
        num_tracks: video tracks of the file, cover pictures not counted.
        sizes: (height, width) of its frames as stored, in the order in which they come; one if it does not change.
        is_interlaced: whether frames are two half pictures of different times.
        transfer: "PQ" or "HLG" of HDR, otherwise empty.
    """

    num_tracks: int = 1
    sizes: tuple[tuple[int, int], ...] = ()
    is_interlaced: bool = False
    transfer: str = ""


NOTHING_ODD = Survey()


def survey(path: Path) -> Survey:
    """Look through a video that can be opened.

    Only key frames of a file are decoded, as sizes change there and nowhere else.

    Raises:
        VideoError: if it cannot be looked through, or is a folder of pictures of different sizes.
    """
    with library_faults(path):
        if not path.is_file():
            check_all_sizes(path)
            return NOTHING_ODD
        return NOTHING_ODD if is_animation(path) else _survey_file(path)


def holds_video(path: Path) -> bool:
    """Whether FFmpeg finds moving pictures in a file, whatever its ending."""
    try:
        with _opened(path) as container:
            return any(_is_film(stream) and next(container.demux(stream)).size for stream in container.streams.video)
    except Exception:  # whatever the library raises of a file that was never meant to be a video
        return False


def _opened(path: Path) -> Any:
    av.logging.set_level(None)
    options = {"container_options": {"protocol_whitelist": "file"}, **TOLERANT}
    return av.open(f"file:{path}", **options)  # type: ignore[call-overload]


def _is_film(stream: Any) -> bool:
    still = stream.container.format.name.endswith(("_pipe", "image2")) or stream.codec_context is None
    return not still and not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)


def _survey_file(path: Path) -> Survey:
    sizes: list[tuple[int, int]] = []
    is_interlaced, transfer, count = False, "", 0
    with _opened(path) as container:
        films = [stream for stream in container.streams.video if _is_film(stream)]
        if not films:
            return NOTHING_ODD
        stream = max(films, key=lambda film: bool(film.disposition & Disposition.default))
        stream.codec_context.skip_frame = "NONKEY"
        for frames in _key_frames(container, stream):
            for frame in frames:
                if (frame.height, frame.width) not in sizes[-1:]:
                    sizes.append((frame.height, frame.width))
                is_interlaced = is_interlaced or frame.interlaced_frame
                transfer = transfer or _TRANSFERS.get(int(frame.color_trc), "")
                count += 1
            if count >= _MAX_FRAMES:
                break
    return Survey(len(films), tuple(sizes), is_interlaced, transfer)


def _key_frames(container: Any, stream: Any) -> Iterator[list[av.VideoFrame]]:
    """What the decoder returns for each key packet, up to the first damage: reading says where that is."""
    with suppress(av.FFmpegError):
        try:
            for packet in container.demux(stream):
                if packet.is_keyframe or not packet.size:
                    yield packet.decode()
        except av.FFmpegError:
            yield stream.codec_context.decode(None)
