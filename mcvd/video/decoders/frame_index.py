"""Which frames a video file has, and where decoding can begin."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

_Packets = dict[int | None, tuple[int, int]]


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a file in the order shown, learnt without decoding.

    Attributes:
        labels: presentation time of each frame, in ticks, by which a decoded frame is recognised; None where the
            file has no usable ones: then frames are counted from the start.
        num_frames: how many frames.
        keys: frames at which decoding can begin, rising, the first being 0.
        packets: presentation time -> (place in the file, bytes) of the packet; empty where labels is None.
    """

    labels: tuple[int, ...] | None
    num_frames: int
    keys: tuple[int, ...]
    packets: _Packets

    @cached_property
    def number(self) -> dict[int | None, int]:
        """Presentation time -> frame number; a decoder may ask for None, which is none of them."""
        return {} if self.labels is None else {label: number for number, label in enumerate(self.labels)}

    def key_before(self, frame: int) -> int:
        """The last frame at or before ``frame`` where decoding can begin."""
        return self.keys[bisect_right(self.keys, frame) - 1]

    @classmethod
    def of(cls, labels: Sequence[int], key_labels: Sequence[int], packets: _Packets) -> FrameIndex:
        """The index of a file whose frames have these presentation times; decoding can begin at ``key_labels``."""
        number = {label: place for place, label in enumerate(labels)}
        keys = {number[label] for label in key_labels if label in number} | {0}
        return cls(tuple(labels), len(labels), tuple(sorted(keys)), packets)
