"""The default reader of video files, on PyAV (FFmpeg): any frame, in any order, never a wrong one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from time import monotonic

import av
import numpy as np
import torch
from torch import Tensor

from mcvd.video.decoders.base import AbstractReader, VideoError, check_frames, library_faults
from mcvd.video.decoders.color import ColorError, HasColors, RGBConverter, color_notes, displayed_size, is_usual
from mcvd.video.decoders.container_crop import container_crop
from mcvd.video.decoders.frame_index import Entry, FrameIndex
from mcvd.video.decoders.open_film import PICTURE_CODECS, fault_text, open_film
from mcvd.video.decoders.packet_list import PacketList, check_gif
from mcvd.video.timing import NOMINAL_RATE_HZ, FrameTimes

# Decoding on is cheaper than seeking to a key frame that is only this far ahead.
_WORTH_SEEKING_FRAMES = 8
_MAX_PIXEL_ASPECT = 32


class _OutOfStepError(Exception):
    """The decoder did not return the frame which the index promised next."""

    def __str__(self) -> str:
        return "it does not come where the index has it"


class _TooLongError(Exception):
    """The time that a read may take is over; not an OSError, so that nobody takes it for a damaged file."""


class PyAVReader(AbstractReader):
    """Reads a video file by its presentation times: seek to a key frame, decode on, check every frame on the way.

    On opening, the packets are listed without decoding (milliseconds a file). The first frame is decoded when the size
    or pixels are asked for; at once, if the packets leave in doubt with which frame the video begins. A seek is
    believed only if it meets the listed key frame, and a frame only if its presentation time is the next of the
    list; otherwise the reader decodes from the start. Where the frames do not come in the order of their times
    (broken time stamps), the decoder's order counts and the sorted times are dealt out to it.
    Frames that the decoder marks as damaged are refused.

    Args:
        path: the file, which is one and no pipe.
        timeout_seconds: how long one `read` may decode; looked at after each packet.
    """

    checks_time = True

    def __init__(self, path: str | Path, timeout_seconds: float = math.inf) -> None:
        self.path = Path(path)
        self._timeout_seconds, self._deadline = timeout_seconds, math.inf
        self._run: Iterator[tuple[int, av.VideoFrame]] | None = None
        self._next = self._wanted = 0
        self._index_is_decoded = self._has_begun = False
        self._on_display: list[int] | None = None
        self._seeks = True
        self._open()
        try:
            self.packets = self._list_packets()
            plain = self.packets.plain_ticks()
            if plain is None:
                self._begin()
            else:
                self._set_times(*plain)
                self.notes = self._notes(None, self._stream.codec_context)
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        """Decode the first frame, once: it tells what to show, and what before it cannot be shown."""
        if self._has_begun:
            return
        with library_faults(self.path):
            self._index = self.packets.index
            if not self._index.num_frames:
                raise VideoError(f"{self.path}: none of its {len(self.packets)} frames is to be shown, it is damaged")
            self._first = self._decode_first()
            if not self._index.labels:
                self._index_by_decoding()
            self._set_times(self._index.ticks, self._index.last_ticks)
            self.notes = self._notes(self._index, self._first)
            stored = self._first.height, self._first.width
            order = [stream.index for stream in self._container.streams.video].index(self._stream.index)
            self._crop = container_crop(self.path, self.packets.format_name, order, self._stream.id, stored)
            self._size = displayed_size(self._first, self._pixel_aspect(), self._crop)
            self._to_rgb = RGBConverter(self._crop)
        self._has_begun = True

    @property
    def size(self) -> tuple[int, int]:  # type: ignore[override]
        """(height, width) as displayed: upright and with square pixels."""
        self._begin()
        return self._size

    def _read(self, frames: Sequence[int], size: tuple[int, int]) -> Tensor:
        height, width = size
        places: dict[int, list[int]] = {}
        for place, number in enumerate(frames):
            places.setdefault(number, []).append(place)
        video = np.empty((len(frames), 3, height, width), np.uint8)
        self._deadline = monotonic() + self._timeout_seconds
        try:
            for number in sorted(places):
                first, *others = places[number]
                frame = self._frame(number)
                try:
                    self._to_rgb.into(frame, video[first])
                except (av.FFmpegError, ColorError) as error:
                    raise VideoError(f"{self.path}: frame {number} cannot be scaled ({fault_text(error)})") from None
                for place in others:
                    video[place] = video[first]
        except _TooLongError:
            self._run = None
            raise TimeoutError(f"took longer than {self._timeout_seconds:g} s") from None
        finally:
            self._deadline = math.inf
        return torch.from_numpy(video)

    @property
    def start_seconds(self) -> float:
        """The presentation time that the file itself gives its first frame; 0 where it gives none."""
        self._begin()
        known = [label for label in self._index.labels if label is not None]
        return min(known, default=0) * float(self._stream.time_base)

    def doubt(self) -> str:
        """Why other engines, which do not check what a seek brings, may return wrong frames; empty: they do not."""
        self._begin()
        if self._index.doubt:
            return self._index.doubt
        if self.packets.has_palette:
            return "its palette comes only once"
        if any(self._crop):
            return "the container crops its pictures"
        if not is_usual(self._first):
            return "its colours are of an unusual kind"
        if self._stream.index != self._container.streams.video[0].index:
            return "its first track is not the one to be shown"
        entries = self._index.entries
        for place in np.unique(np.linspace(min(1, len(entries) - 1), len(entries) - 1, 5).astype(int)):
            self._frame(entries[place].frame)  # a key frame that is none (intra refresh) shows when sought
        return "" if self._seeks and not self._index_is_decoded else "its key frames or times are not what they seem"

    def close(self) -> None:
        """Give the file back."""
        self._run = None
        self._container.close()

    # Opening

    def _open(self) -> None:
        self._container, self._stream = open_film(self.path)

    def _list_packets(self) -> PacketList:
        packets = PacketList(self._stream)
        if not len(packets):
            promised = f", its header promises {self._stream.frames}" if self._stream.frames else ""
            fault = f" ({fault_text(packets.fault)})" if packets.fault else ""
            raise VideoError(f"{self.path}: holds no frame{promised}{fault}")
        if len(packets) == 1 and self._container.streams.audio and self._stream.name in PICTURE_CODECS:
            raise VideoError(f"{self.path}: holds no video, only audio and a cover picture")
        if self._stream.name == "gif":
            check_gif(self.path, packets)
        return packets

    def _decode_first(self) -> av.VideoFrame:
        """Decode the first frame that can be shown, and drop from the index those before it that cannot."""
        try:
            for frame in self._frames_from(self._index.entries[0]):
                if frame.is_corrupt:
                    raise VideoError(f"{self.path}: {self._damage('its first frame is damaged', 0)}")
                number = self._index.number.get(frame.pts, 0)
                if number:
                    self._index = self._index.without_first(number)
                return frame
            fault = "the decoder returns nothing"
        except (av.FFmpegError, OSError) as error:
            fault = fault_text(error)
        raise VideoError(f"{self.path}: {self._damage(fault, 0)}")

    def _pixel_aspect(self) -> Fraction | None:
        """Width of a stored pixel over its height; no camera's is far from 1, and a picture of it would fill memory."""
        aspect = self._stream.sample_aspect_ratio
        if aspect and not 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT:
            raise VideoError(f"{self.path}: its pixels are said to be {aspect} times as wide as high, it is damaged")
        return aspect

    def _set_times(self, ticks: np.ndarray | None, last_ticks: int) -> None:
        """Times of the frames; ``ticks`` None: they are counted. ``last_ticks`` 0: nobody knows the last one's end."""
        nominal_hz = float(self._stream.average_rate or self._stream.base_rate or NOMINAL_RATE_HZ)
        tick_seconds = float(self._stream.time_base)
        if ticks is None:
            times = FrameTimes.of(np.arange(self._index.num_frames) / nominal_hz, nominal_hz)
        elif last_ticks:
            starts = (ticks - ticks[0]) * tick_seconds
            end = float(starts[-1] + last_ticks * tick_seconds)
            times = FrameTimes(starts, end, tick_seconds=max(tick_seconds, 1e-3))
        else:
            times = FrameTimes.of((ticks - ticks[0]) * tick_seconds, nominal_hz, max(tick_seconds, 1e-3))
        self.times, self.frame_rate_hz = times, times.rate_hz

    def _notes(self, index: FrameIndex | None, colors: HasColors) -> tuple[str, ...]:
        """What had to be mended, and what is only taken approximately; ``index`` None: nothing in it had."""
        mended = []
        if self.packets.fault:
            fault = fault_text(self.packets.fault)
            mended.append(f"it breaks off ({fault}): read as far as its packet {len(self.packets)}")
        if index is not None and index.num_left_out:
            mended.append(f"pictures before its first key frame lack what they refer to: {index.num_left_out} left out")
        for frame, jump in index.jumps if index is not None else ():
            seconds = jump * float(self._stream.time_base)
            mended.append(f"its clock jumps by {seconds:.5g} s before frame {frame}: taken as shown without a pause")
        try:
            return (*mended, *color_notes(colors))
        except ColorError as error:
            raise VideoError(f"{self.path}: {error}") from None

    # Decoding

    def _frame(self, number: int) -> av.VideoFrame:
        """Frame ``number``, decoded; VideoError if it cannot be."""
        if self._on_display:
            number = self._displayed(number)
        if number == 0:
            return self._first
        try:
            for entry in (self._index.entry_before(number), self._index.entries[0]):
                try:
                    return self._decode(number, entry)
                except _OutOfStepError:
                    self._run, self._seeks = None, False
            if not self._index_is_decoded:
                self._index_by_decoding()
                number = self._displayed(number)
            check_frames(self.path, [number], self._index.num_frames)
            return self._decode(number, self._index.entries[0])
        except (av.FFmpegError, OSError, _OutOfStepError) as error:
            self._run = None
            damage = self._damage(fault_text(error), self._count_readable())
            raise VideoError(f"{self.path}: frame {number} cannot be decoded: {damage}") from None

    def _displayed(self, number: int) -> int:
        """Which of the frames that the decoder returns is on display as frame ``number``."""
        if not self._on_display:
            return number
        if self._on_display[number] < 0:
            raise VideoError(f"{self.path}: frame {number} cannot be decoded: its packet holds no picture")
        return self._on_display[number]

    def _decode(self, number: int, entry: Entry) -> av.VideoFrame:
        """Frame ``number``, decoding on from where the reader is, or else from ``entry``."""
        self._wanted = number
        if self._run is None or number < self._next or entry.frame > self._next + _WORTH_SEEKING_FRAMES:
            self._run = self._run_from(entry)
        for reached, frame in self._run:
            self._next = reached + 1
            if reached == number:
                return frame
        raise _OutOfStepError

    def _run_from(self, entry: Entry) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames from ``_wanted`` on with their numbers, each since ``entry`` checked to be the index's next."""
        expected, labels = entry.frame, self._index.labels
        for frame in self._frames_from(entry):
            if labels and (expected >= len(labels) or frame.pts != labels[expected]):
                if expected == entry.frame and self._index.number.get(frame.pts, -1) < entry.frame:
                    continue  # Leading pictures of an open group of pictures: they need the group before.
                raise _OutOfStepError
            if expected == entry.frame > 0 and entry.is_shown and not frame.key_frame:
                raise _OutOfStepError
            if frame.is_corrupt:
                raise av.InvalidDataError(0, "the decoder marks the frame as damaged")
            if expected >= self._wanted:
                yield expected, frame
            expected += 1

    def _frames_from(self, entry: Entry) -> Iterator[av.VideoFrame]:
        """What the decoder returns from ``entry`` on, and where the file breaks off also what it still held."""
        packets = self._packets_from(entry)
        while True:
            if monotonic() > self._deadline:
                raise _TooLongError
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError):
                yield from self._stream.codec_context.decode(None)
                raise
            if packet is None:
                return
            yield from packet.decode()

    def _packets_from(self, entry: Entry) -> Iterator[av.Packet]:
        """Packets to decode, beginning exactly with that of ``entry``."""
        begin = self._index.packets[entry.place]
        packets, packet = iter(()), None
        if begin.pts is not None and not self.packets.has_palette:
            with suppress(av.FFmpegError, OSError):
                self._container.seek(begin.pts, stream=self._stream)
                packets = self._container.demux(self._stream)
                packet = self._skip_to(packets, entry.place)
        if packet is None:
            # The container cannot seek there (MPEG-TS often cannot): count the packets from the start again.
            self._reopen()
            packets = self._container.demux(self._stream)
            packet = next(islice((packet for packet in packets if packet.size), entry.place, None), None)
            if packet is None:
                raise _OutOfStepError
        yield packet
        yield from packets

    def _skip_to(self, packets: Iterator[av.Packet], begin: int) -> av.Packet | None:
        """The packet at place ``begin`` of the file; None if the stream is already past it."""
        for packet in packets:
            place = self._index.places.get((packet.pts, packet.size, not packet.is_discard), -1)
            if place == begin:
                return packet
            if place > begin or not packet.size:
                return None
        return None

    def _reopen(self) -> None:
        self._container.close()
        self._open()

    # Files whose times cannot be trusted, or that are damaged

    def _index_by_decoding(self) -> None:
        """Learn the order of the frames, and their number, from the decoder: slow, and true whatever the times say."""
        self._run = None
        labels, fault, is_interlaced = [], None, False
        try:
            for frame in self._frames_from(self._index.entries[0]):
                labels.append(frame.pts)
                is_interlaced |= frame.interlaced_frame
        except (av.FFmpegError, OSError, _OutOfStepError) as error:
            fault = fault_text(error)
        self._index_is_decoded = True
        labels = labels[labels.index(self._first.pts) :]
        if fault:
            # What comes after the damage keeps the place that its time gives it.
            last = max(self._index.number.get(label, -1) for label in labels)
            labels += self._index.labels[last + 1 :]
        if self._has_begun and tuple(labels) != self._index.labels:  # counted already, with their times
            self._on_display = self._index.on_display(labels, is_interlaced)
            if self._on_display is None:
                text = "its time stamps contradict the order of its frames: its times are dealt out in their order"
                warnings.warn(f"{self.path}: {text}", stacklevel=2)
        self._index = self._index.in_order_of(labels)

    def _count_readable(self) -> int:
        """How many frames from the first on can be decoded."""
        count = self._wanted = 0
        with suppress(av.FFmpegError, OSError, _OutOfStepError):
            for number, _ in self._run_from(self._index.entries[0]):
                count = number + 1
        return count

    def _damage(self, fault: str, readable: int) -> str:
        total = self._index.num_frames
        if readable == 0:
            return f"no frame of {total} can be decoded, the file is damaged or encrypted ({fault})"
        return (
            f"only the first {readable} of {total} frames are readable, num_frames={readable} asks for these ({fault})"
        )
