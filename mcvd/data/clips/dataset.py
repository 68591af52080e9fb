"""Clips: the short windows of videos that a model trains on, each found again by its sample number.

The index of a collection has an entry for every clip that fits into a video side by side with others. Training visits
every entry once per epoch, in random order, and starts its clip anywhere inside the entry; validation takes fixed,
evenly spread clips. Everything random about a sample derives from (seed, sample number), never from a global generator.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mcvd.data.clips.sampling import AbstractClips, ClipRef
from mcvd.data.clips.signals import ClipSignals
from mcvd.data.clips.spec import ClipSpec
from mcvd.data.videos import AbstractVideos
from mcvd.video.decoders.base import VideoError
from mcvd.video.transforms import fit_frames

MAX_FAILURES_IN_A_ROW = 100


def read_signals(videos: AbstractVideos, spec: ClipSpec, clip: ClipRef, signals: ClipSignals) -> Tensor:
    """What is told beside the frames of one clip, float32 (T, A).

    Raises:
        SignalsError: it is not there, or wrong.
    """
    frames = spec.at_speed(clip.augmentation.speed).frames(videos.frame_times(clip.video), clip.start)
    rows = torch.from_numpy(videos.signals(clip.video, signals.names)[[*frames]])
    return rows * signals.signs if clip.flip else rows


def read_clip(videos: AbstractVideos, spec: ClipSpec, clip: ClipRef) -> Tensor:
    """Read one clip: uint8 (T, C, H, W) as ``spec`` says.

    Raises:
        VideoError: if the video cannot be read.
    """
    frames = spec.at_speed(clip.augmentation.speed).frames(videos.frame_times(clip.video), clip.start)
    video = videos.read(clip.video, frames, spec.size)
    video = clip.augmentation(fit_frames(video, spec.size, spec.channels, clip.corner))
    return (video.flip(-1) if clip.flip else video).contiguous()


class ClipDataset(Dataset):
    """Clips by number: ``dataset[sample]`` is ``{"video": uint8 (T, C, H, W), "index": sample, "unrelated": bool}``,
    and with signals ``"signals": float32 (T, A)``. ``unrelated`` is `AbstractVideos.is_unrelated` of its video.

    Args:
        videos: where frames come from.
        spec: what a clip is.
        clips: from a sample number to a clip, `RandomClips` or `EvenClips`.
        signals: what is told beside the frames; None: nothing.

    A video that can no longer be read (vanished, damaged) is named in one warning and its clips are replaced by
    others, the same ones each time; ``failures`` counts them per video, over all workers. After 100 replacements in
    a row the last error is raised.
    """

    def __init__(
        self, videos: AbstractVideos, spec: ClipSpec, clips: AbstractClips, signals: ClipSignals | None = None
    ) -> None:
        if spec.channels != videos.channels and {spec.channels, videos.channels} != {1, 3}:
            raise ValueError(f"clips of {spec.channels} channels cannot be made of videos with {videos.channels}")
        self.videos = videos
        self.spec = spec
        self.clips = clips
        self.signals = signals
        self.failures = torch.zeros(len(videos), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, sample: int) -> dict[str, Any]:
        for attempt in range(MAX_FAILURES_IN_A_ROW):
            clip = self.clips(sample, attempt)
            try:
                found = {"video": read_clip(self.videos, self.spec, clip), "index": sample}
                found["unrelated"] = self.videos.is_unrelated(clip.video)
                if self.signals is not None:
                    found["signals"] = read_signals(self.videos, self.spec, clip, self.signals)
                return found
            except (VideoError, OSError) as fault:
                error = fault
                self._report(clip.video, fault)
        raise VideoError(f"{MAX_FAILURES_IN_A_ROW} clips in a row could not be read; the last error: {error}")

    def _report(self, video: int, fault: Exception) -> None:
        self.failures[video] += 1
        if self.failures[video] == 1:
            warnings.warn(f"{fault}; clips of this video are replaced by others", stacklevel=3)
