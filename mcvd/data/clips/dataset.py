"""Clips: the short windows of videos that a model trains on, each found again by its sample number.

The index of a collection has an entry for every clip that fits into a video side by side with others. Training visits
every entry once per epoch, in random order, and starts its clip anywhere inside the entry; validation takes fixed,
evenly spread clips. Everything random about a sample derives from (seed, sample number), never from a global generator.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mcvd.data.clips.sampling import AbstractClips, ClipRef
from mcvd.data.clips.signals import ClipSignals
from mcvd.data.clips.spec import ClipSpec
from mcvd.data.clips.times import ClipTimes, far_frame, offsets_seconds, with_rate
from mcvd.data.videos import AbstractVideos
from mcvd.video.decoders.base import VideoError
from mcvd.video.transforms import fit_frames

MAX_FAILURES_IN_A_ROW = 100


def frames_of(videos: AbstractVideos, spec: ClipSpec, clip: ClipRef) -> Sequence[int]:
    """Numbers of the frames of one clip, which come one after the other."""
    return spec.at_speed(clip.augmentation.speed).frames(videos.frame_times(clip.video), clip.start)


def read_signals(videos: AbstractVideos, clip: ClipRef, signals: ClipSignals, frames: Sequence[int]) -> Tensor:
    """What is told beside these frames of one clip, float32 (T, A).

    Raises:
        SignalsError: it is not there, or wrong.
    """
    rows = torch.from_numpy(videos.signals(clip.video, signals.names)[[*frames]])
    return rows * signals.signs if clip.flip else rows


def read_clip(videos: AbstractVideos, spec: ClipSpec, clip: ClipRef, frames: Sequence[int] | None = None) -> Tensor:
    """Read one clip, or these frames for it: uint8 (T, C, H, W) as ``spec`` says.

    Raises:
        VideoError: if the video cannot be read.
    """
    frames = frames_of(videos, spec, clip) if frames is None else frames
    video = videos.read(clip.video, frames, spec.size)
    video = clip.augmentation(fit_frames(video, spec.size, spec.channels, clip.corner))
    return (video.flip(-1) if clip.flip else video).contiguous()


class ClipDataset(Dataset):
    """Clips by number: ``dataset[sample]`` is ``{"video": uint8 (T, C, H, W), "index": sample, "unrelated": bool}``,
    with signals ``"signals": float32 (T, A)``, and with ``times`` ``"times": float32 (T,)``, when its frames are, in
    seconds after the place of the first. ``unrelated`` is `AbstractVideos.is_unrelated` of its video.

    Args:
        videos: where frames come from.
        spec: what a clip is.
        clips: from a sample number to a clip, `RandomClips` or `EvenClips`.
        signals: what is told beside the frames; None: nothing.
        times: which times are drawn with the clips; None: all frames come one after the other at one rate.
        rate_hz: of clips that have none of their own; needed with ``times``.

    A video that can no longer be read (vanished, damaged) is named in one warning and its clips are replaced by
    others, the same ones each time; ``failures`` counts them per video, over all workers. After 100 replacements in
    a row the last error is raised.
    """

    def __init__(
        self,
        videos: AbstractVideos,
        spec: ClipSpec,
        clips: AbstractClips,
        signals: ClipSignals | None = None,
        times: ClipTimes | None = None,
        rate_hz: float | None = None,
    ) -> None:
        if spec.channels != videos.channels and {spec.channels, videos.channels} != {1, 3}:
            raise ValueError(f"clips of {spec.channels} channels cannot be made of videos with {videos.channels}")
        self.videos = videos
        self.spec = spec
        self.clips = clips
        self.signals = signals
        self.times = times
        self.rate_hz = rate_hz
        self.failures = torch.zeros(len(videos), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, sample: int) -> dict[str, Any]:
        for attempt in range(MAX_FAILURES_IN_A_ROW):
            clip = self.clips(sample, attempt)
            try:
                frames, seconds = self._frames(clip)
                found = {"video": read_clip(self.videos, self.spec, clip, frames), "index": sample}
                found["unrelated"] = self.videos.is_unrelated(clip.video)
                if self.signals is not None:
                    found["signals"] = read_signals(self.videos, clip, self.signals, frames)
                if seconds is not None:
                    found["times"] = seconds
                return found
            except (VideoError, OSError) as fault:
                error = fault
                self._report(clip.video, fault)
        raise VideoError(f"{MAX_FAILURES_IN_A_ROW} clips in a row could not be read; the last error: {error}")

    def _frames(self, clip: ClipRef) -> tuple[Sequence[int], Tensor | None]:
        """Numbers of the frames of a clip, and when they are, if times are told."""
        if self.times is None or clip.times is None:
            return frames_of(self.videos, self.spec, clip), None
        rate, spec = clip.times.frame_rate_hz or self.rate_hz, with_rate(self.spec, clip.times.frame_rate_hz)
        assert rate is not None
        frames, steps = [*frames_of(self.videos, spec, clip)], 0
        if clip.times.far is not None:
            times, most = self.videos.frame_times(clip.video), self.times.max_far_seconds
            if (found := far_frame(times, spec, clip.start, rate, most, clip.times.far)) is not None:
                frames[0], steps = found
        return frames, offsets_seconds(len(frames), rate, steps)

    def _report(self, video: int, fault: Exception) -> None:
        self.failures[video] += 1
        if self.failures[video] == 1:
            warnings.warn(f"{fault}; clips of this video are replaced by others", stacklevel=3)
