"""The packets of a video stream, listed without decoding, and whether that tells all of its frames."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.format import Flags

from mcvd.video.decoders.base import VideoError
from mcvd.video.decoders.frame_index import FrameIndex, Packet, last_ticks
from mcvd.video.gif import count_images

# Codecs of which every packet that a container calls a key frame gives a picture of its own.
_PLAIN_CODECS = frozenset(
    ["vp8", "vp9", "libdav1d", "av1", "mjpeg", "ffv1", "prores", "png", "dnxhd", "rawvideo", "huffyuv", "ffvhuff"]
)
# Kinds of units that are pictures with which decoding can begin, and those that are other pictures.
_H264_KEYS, _H264_PICTURES = range(5, 6), range(1, 6)
_HEVC_KEYS, _HEVC_PICTURES = range(16, 22), range(32)
_HEAD_BYTES = 4096


# Browsers, and FFmpeg before its version 8, show what is to be shown for less for a tenth of a second.
_SHORTEST_GIF_TICKS = 2


class MisreadGifError(VideoError):
    """FFmpeg takes several frames of a GIF for one, a comment for a frame, or a delay of a hundredth as it stands."""


class PacketList:
    """What the packets of a video stream tell, in the order of the file, up to the first damage.

    Args:
        stream: of a container that stands at its beginning.

    Attributes:
        facts: of each packet, in the order of `Packet`'s fields.
        format_name: FFmpeg's name of the format of the file.
        has_palette: whether colours come with some packets, which FFmpeg hands out once: not again after a seek.
        fault: what ended the list; None: the file did.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self.fault, head = stream, None, b""
        self.format_name = str(stream.container.format.name)
        self.has_palette = stream.codec_context.pix_fmt == "pal8"
        is_hidden = _IS_HIDDEN.get(stream.codec_context.name)
        facts: list[tuple[int | None, int | None, int, int, bool, bool]] = []
        try:
            for packet in stream.container.demux(stream):
                if size := packet.size:
                    if not facts:
                        head = bytes(memoryview(packet)[:_HEAD_BYTES])
                    # Frames cut off by an edit list are decoded but never shown, nor are those that only others need.
                    is_shown = not packet.is_discard and not (is_hidden and is_hidden(packet))
                    facts.append((packet.pts, packet.dts, packet.duration or 0, size, packet.is_keyframe, is_shown))
        except (av.FFmpegError, OSError) as error:
            self.fault = error
        self.facts = facts
        self._begins_clean = bool(facts) and _is_clean(stream, head)

    def __len__(self) -> int:
        return len(self.facts)

    @cached_property
    def index(self) -> FrameIndex:
        """The frames in the order shown."""
        flags = self._stream.container.format.flags
        may_jump, are_counted = (bool(flags & flag.value) for flag in (Flags.ts_discont, Flags.no_timestamps))
        packets = list(map(Packet._make, self.facts))
        index = FrameIndex.of(packets, float(self._stream.time_base), may_jump, are_counted)
        return replace(index, entries=index.entries[:1]) if self.has_palette else index

    def plain_ticks(self) -> tuple[np.ndarray, int] | None:
        """`FrameIndex.ticks` and `FrameIndex.last_ticks`; None unless they are certain before a frame is decoded.

        That is so where every packet is shown at a time of its own, the first one first, and gives a picture of its
        own. It takes a tenth of the time of the index.
        """
        if not self._begins_clean or self._stream.container.format.flags & Flags.ts_discont.value:
            return None
        stamps, _, durations, _, _, are_shown = zip(*self.facts, strict=True)
        if None in stamps or not all(are_shown):
            return None
        ticks = np.array(stamps, dtype=np.int64)
        order = ticks.argsort(kind="stable")
        ticks = ticks[order]
        if order[0] or not (ticks[1:] > ticks[:-1]).all():
            return None
        return ticks.astype(np.float64), last_ticks(durations[order[-1]], float(self._stream.time_base))


def check_gif(path: Path, packets: PacketList) -> None:
    """Raise `MisreadGifError` unless the packets of a GIF are its frames, at times that it can mean."""
    count, shortest = count_images(path.read_bytes()), min(duration for _, _, duration, *_ in packets.facts)
    if len(packets) != count or shortest < _SHORTEST_GIF_TICKS:
        raise MisreadGifError(f"{path}: FFmpeg makes {len(packets)} frames of its {count}, or hurries")


def _is_hidden_vp8(packet: av.Packet) -> bool:
    """Whether a frame of VP8 is only a reference for others (RFC 6386, 9.1)."""
    return not memoryview(packet)[0] & 0x10


def _is_hidden_vp9(packet: av.Packet) -> bool:
    """Whether a packet of VP9 holds one frame, which is only a reference for others (VP9's bitstream, 6.2, annex B)."""
    content = memoryview(packet)
    if content[-1] & 0xE0 == 0xC0:  # several frames, of which one is shown
        return False
    shift = 0 if content[0] & 0x30 == 0x30 else 1  # the highest profile has a reserved bit
    shows_earlier, is_shown = content[0] >> (shift + 2) & 1, content[0] >> shift & 1
    return not (shows_earlier or is_shown)


_IS_HIDDEN = {"vp8": _is_hidden_vp8, "vp9": _is_hidden_vp9}


def _is_clean(stream: Any, head: bytes) -> bool:
    """Whether the first packet, which begins so, is seen to be a key frame that needs nothing else."""
    name, extradata = stream.codec_context.name, stream.codec_context.extradata or b""
    if not stream.codec_context.pix_fmt:  # FFmpeg, which looks at the first packets on opening, could not decode them
        return False
    if name in _PLAIN_CODECS:
        return True
    if name == "h264" and extradata[:1] == b"\1":
        kinds = (unit[0] & 31 for unit in _units(head, 1 + (extradata[4] & 3)))
        return next((kind in _H264_KEYS for kind in kinds if kind in _H264_PICTURES), False)
    if name == "hevc" and extradata[:1] == b"\1" and len(extradata) > 21:
        kinds = (unit[0] >> 1 & 63 for unit in _units(head, 1 + (extradata[21] & 3)))
        return next((kind in _HEVC_KEYS for kind in kinds if kind in _HEVC_PICTURES), False)
    return False


def _units(head: bytes, size_bytes: int) -> Any:
    """The beginnings of the units of H.264 or HEVC, each of which follows its size."""
    start = 0
    while start + size_bytes < len(head):
        size = int.from_bytes(head[start : start + size_bytes])
        start += size_bytes
        if size:
            yield head[start : start + 2]
        start += size
