"""Which frames a video file has, when they are shown, and where decoding can begin."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

# Beyond these, a clock that goes on is taken to have been set anew, as by FFmpeg's own tools.
_FORWARD_SECONDS, _BACKWARD_SECONDS = 10.0, 0.1
# A last frame that is said to be shown for longer is a damaged number.
_LONGEST_FRAME_SECONDS = 3600.0
# Of packets that say that the picture stays as it is: 2 of Camtasia, 7 of MPEG-4.
_UNCHANGED_BYTES = 16


class Packet(NamedTuple):
    """What a packet of the video stream tells before it is decoded; times are in ticks.

    Attributes:
        pts, dts: when its frame is shown and when it is decoded; None where the file does not say.
        duration: how long the frame is shown; 0 where the file does not say.
        size: bytes.
        is_key: whether decoding can begin with it.
        is_shown: False of what is decoded only because others need it: an edit list hides it, or it is a reference.
    """

    pts: int | None
    dts: int | None
    duration: int
    size: int
    is_key: bool
    is_shown: bool

    @property
    def identity(self) -> tuple[int | None, int, bool]:
        """By which it is found again after a seek."""
        return self.pts, self.size, self.is_shown


class Entry(NamedTuple):
    """A packet with which decoding can begin.

    Attributes:
        frame: the first frame that is shown from there on.
        place: the packet's number in the file.
        is_shown: whether that frame is the packet's own; False where it is hidden.
    """

    frame: int
    place: int
    is_shown: bool


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a file in the order shown, learnt without decoding.

    Attributes:
        packets: of the video stream, in the order of the file.
        labels: the time stamp of each frame as decoders return it; empty where the file has none: then frames are
            counted from the start.
        ticks: float64 (num_frames,), when each frame is shown, rising: the stamps less jumps and repetitions.
            None where the stamps tell nothing.
        entries: where decoding can begin, rising; the first leads to frame 0.
        jumps: (frame, ticks) of each jump of the clock that was closed.
        last_ticks: how long the last frame is shown; 0 where the file does not say.
        num_frames: how many.
        num_left_out: pictures before the first key frame, which nothing can decode (a recording that was cut).
    """

    packets: tuple[Packet, ...]
    labels: tuple[int | None, ...]
    ticks: np.ndarray | None
    entries: tuple[Entry, ...]
    jumps: tuple[tuple[int, int], ...]
    last_ticks: int
    num_frames: int
    num_left_out: int = 0

    @cached_property
    def number(self) -> dict[int | None, int]:
        """Time stamp -> frame number, the first of that stamp."""
        return {label: number for number, label in reversed(list(enumerate(self.labels))) if label is not None}

    @cached_property
    def places(self) -> dict[tuple[int | None, int, bool], int]:
        """Identity of a packet -> its place; without those that several packets share."""
        counts = Counter(packet.identity for packet in self.packets)
        return {packet.identity: place for place, packet in enumerate(self.packets) if counts[packet.identity] == 1}

    @cached_property
    def _entry_frames(self) -> list[int]:
        return [entry.frame for entry in self.entries]

    def entry_before(self, frame: int) -> Entry:
        """The last place at or before ``frame`` where decoding can begin."""
        return self.entries[bisect_right(self._entry_frames, frame) - 1]

    @property
    def doubt(self) -> str:
        """Why other decoders, which do not check what a seek brings, may return wrong frames; empty: they do not."""
        if self.jumps or len(set(self.labels)) < self.num_frames:
            return "frames have no time of their own"
        if not all(packet.is_shown for packet in self.packets):
            return "frames are hidden that others need"
        keys = {entry.place: entry.frame for entry in self.entries}
        earliest = self.num_frames
        for place in range(len(self.packets) - 1, -1, -1):
            if earliest < keys.get(place, -1):
                return "open groups of pictures"
            earliest = min(earliest, self.number.get(self.packets[place].pts, earliest))
        return ""

    @classmethod
    def of(
        cls, packets: Sequence[Packet], tick_seconds: float, closes_jumps: bool, are_counted: bool = False
    ) -> FrameIndex:
        """Learn the index from the packets.

        Args:
            packets: of the video stream, in the order of the file.
            tick_seconds: unit of their times.
            closes_jumps: whether the format allows the clock to be set anew in mid-stream (transport streams).
            are_counted: whether the format has no times (raw streams): those of the packets are FFmpeg's count of
                their durations, in which the last one shown may be wrong.
        """
        shifts, jumped = _shifts(packets, tick_seconds) if closes_jumps else ([0] * len(packets), {})
        first = next((place for place, packet in enumerate(packets) if packet.is_key), 0)
        shown = [place for place, packet in enumerate(packets) if packet.is_shown and place >= first]
        stamps = [packets[place].pts for place in shown]
        left_out = sum(packet.is_shown for packet in packets[:first])
        index = cls(tuple(packets), (), None, (Entry(0, first, True),), (), 0, len(shown), left_out)
        if not shown or None in stamps:
            return index
        times = {place: (packets[place].pts or 0) - shifts[place] for place in range(first, len(packets))}
        order = sorted(shown, key=lambda place: (times[place], place))
        ticks, labels = [times[place] for place in order], [packets[place].pts for place in order]
        numbers = {place: number for number, place in enumerate(order)}
        durations = [packets[place].duration for place in order]
        if are_counted and min(durations) > 0:
            ticks = [ticks[0], *(ticks[0] + ahead for ahead in itertools.accumulate(durations[:-1]))]
        return replace(
            index,
            labels=tuple(labels),
            ticks=rising(ticks),
            entries=_entries(packets, times, order, first),
            jumps=tuple((numbers.get(place, 0), jump) for place, jump in jumped.items()),
            last_ticks=last_ticks(durations[-1], tick_seconds),
        )

    def without_first(self, count: int) -> FrameIndex:
        """Without the first ``count`` frames, which cannot be decoded."""
        kept = [entry for entry in self.entries if entry.frame >= count]
        start = max((entry for entry in self.entries if entry.frame <= count), key=lambda entry: entry.frame)
        moved = [entry._replace(frame=entry.frame - count) for entry in kept]
        if not moved or moved[0].frame > 0:
            moved.insert(0, Entry(0, start.place, False))
        return replace(
            self,
            labels=self.labels[count:],
            ticks=None if self.ticks is None else self.ticks[count:],
            entries=tuple(moved),
            jumps=tuple((frame - count, jump) for frame, jump in self.jumps),
            num_frames=self.num_frames - count,
        )

    def on_display(self, labels: Sequence[int | None], is_interlaced: bool) -> list[int] | None:
        """For each frame, which of those that the decoder was seen to return is on display; -1: its own is lost.

        A packet without a picture says that nothing changes, if it is small or another has its time; or it is the
        second field of the picture just before.

        Args:
            labels: of the frames that the decoder returned.
            is_interlaced: whether any of them is.

        Returns:
            None unless all of these are frames of the index, fewer and in its order.
        """
        known = [label for label in labels if label is not None]
        rises = all(one < other for one, other in itertools.pairwise(known))
        if not self.labels or self.jumps or len(known) < len(labels) or len(labels) >= len(self.labels) or not rises:
            return None
        if not set(known) <= self.number.keys():
            return None
        size = {packet.pts: packet.size for packet in self.packets}
        field_ticks = np.median(np.diff(known)) * 0.75 if is_interlaced and len(known) > 1 else 0
        found = []
        for before, label in zip((None, *self.labels), self.labels, strict=False):
            place = max(0, bisect_right(known, label or 0) - 1)
            is_second_field = known[place] == before and (label or 0) - known[place] < field_ticks
            stays = known[place] == label or is_second_field or size[label] <= _UNCHANGED_BYTES
            found.append(place if stays else -1)
        return found

    def in_order_of(self, labels: Sequence[int | None]) -> FrameIndex:
        """The index with the frames, and in the order, that the decoder was seen to return.

        The known times are dealt out in rising order, and those between them are filled in.
        """
        known = sorted(label for label in labels if label is not None)
        ticks = None
        if len(known) > len(labels) / 2:
            places = [place for place, label in enumerate(labels) if label is not None]
            ticks = rising(np.interp(np.arange(len(labels)), places, known))
        if self.jumps and self.ticks is not None and len(labels) <= len(self.ticks):
            ticks = self.ticks[: len(labels)]
        whole = None not in labels and len(set(labels)) == len(labels)
        number = {label: place for place, label in enumerate(labels)} if whole else {}
        keys = {
            number[packet.pts]: Entry(number[packet.pts], place, True)
            for place, packet in enumerate(self.packets)
            if packet.is_key and packet.is_shown and packet.pts in number
        }
        start = self.entries[0]
        entries = {**keys, 0: start} if 0 not in keys else keys
        return replace(
            self,
            labels=tuple(labels) if known else (),
            ticks=ticks,
            entries=tuple(entries[frame] for frame in sorted(entries)),
            num_frames=len(labels),
        )


def last_ticks(duration: int, tick_seconds: float) -> int:
    """How long the last frame is shown: the duration of its packet, or 0 where that cannot be."""
    return duration if 0 < duration * tick_seconds <= _LONGEST_FRAME_SECONDS else 0


def rising(ticks: Sequence[int] | np.ndarray) -> np.ndarray:
    """Times, float64 (N,), not falling, with those that are equal spread evenly up to the next one.

    Examples:
        >>> rising([0, 10, 10, 30]).tolist()
        [0.0, 10.0, 20.0, 30.0]
    """
    times = np.asarray(ticks, dtype=np.float64)
    if (times[1:] > times[:-1]).all():
        return times
    values, starts, counts = np.unique(times, return_index=True, return_counts=True)
    steps = np.diff(values)
    room = np.append(steps, np.median(steps) if len(steps) else 1.0) / counts
    return np.repeat(values, counts) + (np.arange(len(times)) - np.repeat(starts, counts)) * np.repeat(room, counts)


def _shifts(packets: Sequence[Packet], tick_seconds: float) -> tuple[list[int], dict[int, int]]:
    """How many ticks the clock is ahead at each packet, and by how many it jumps at which places."""
    shift, shifts, jumped = 0, [], {}
    before, step = None, 0
    for place, packet in enumerate(packets):
        if packet.dts is not None:
            if before is not None:
                ahead = (packet.dts - before) * tick_seconds
                if not -_BACKWARD_SECONDS <= ahead <= _FORWARD_SECONDS:
                    jumped[place] = packet.dts - before - step
                    shift += jumped[place]
                elif ahead > 0:
                    step = packet.dts - before
            before = packet.dts
        shifts.append(shift)
    return shifts, jumped


def _entries(packets: Sequence[Packet], times: dict[int, int], order: Sequence[int], first: int) -> tuple[Entry, ...]:
    """Where decoding can begin; ``order`` are the places of the shown packets in the order shown."""
    numbers = {place: number for number, place in enumerate(order)}
    counts = Counter(times[place] for place in order)
    found: dict[int, Entry] = {}
    earliest = len(order)  # the first frame of those that come later in the file
    for place in range(len(packets) - 1, first - 1, -1):
        packet = packets[place]
        if packet.is_shown:
            earliest = min(earliest, numbers[place])
        if packet.is_key and packet.is_shown and counts[times[place]] == 1:
            found.setdefault(numbers[place], Entry(numbers[place], place, True))
        # Pictures that are shown before a key frame and stored after it cannot be decoded from there.
        hidden_key = packet.is_key and not packet.is_shown
        if hidden_key and earliest < len(order) and times[order[earliest]] >= times[place]:
            found.setdefault(earliest, Entry(earliest, place, False))
    found.setdefault(0, Entry(0, first, False))
    return tuple(found[frame] for frame in sorted(found))
