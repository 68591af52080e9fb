"""Cuts of the scene within clips."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mcvd.data.clips.dataset import ClipDataset
from mcvd.data.clips.sampling import EvenClips
from mcvd.video.decoders.base import VideoError

_NUM_CLIPS = 64
_NAMED = 5
_COVER = (32, 32)
# A cut changes the picture by this many grey levels on average, and by this many times what the clip changes else.
_CUT_LEVELS, _CUT_RATIO = 16.0, 4.0


def cuts(clip: Tensor) -> list[int]:
    """Frames of a clip, uint8 (T, C, H, W), with which another scene begins."""
    steps = (clip[1:].float() - clip[:-1].float()).abs().mean((1, 2, 3)).numpy()
    found = []
    for place, step in enumerate(steps.tolist()):
        others = np.delete(steps, place)
        usual = float(np.median(others)) if len(others) else 0.0
        if step >= _CUT_LEVELS and step >= _CUT_RATIO * (usual + 1):
            found.append(place + 1)
    return found


def describe_cuts(*sides: ClipDataset) -> list[str]:
    """A line that tells in how many clips the scene is cut, of some evenly spread over all; none if in none."""
    places, num_read = [], 0
    for side in sides:
        chosen, videos = EvenClips(side.clips.index, _NUM_CLIPS), side.videos
        for number in range(len(chosen)):
            clip = chosen(number)
            # With the frame before: clips that lie side by side would hide a cut between them.
            frames = [max(0, clip.start - 1), *side.spec.frames(videos.frame_times(clip.video), clip.start)]
            try:
                found = cuts(videos.read(clip.video, frames, _COVER))
            except (VideoError, OSError):
                continue  # reading clips tells it
            num_read += 1
            if found:
                places.append(f"{videos.name(clip.video)} at frame {frames[found[0]]}")
    if not places:
        return []
    named = ", ".join(places[:_NAMED]) + (", ..." if len(places) > _NAMED else "")
    return [
        f"scene cuts: in {len(places)} of {num_read} clips looked at ({named}): training learns to continue one scene "
        "with another; cut such videos where the scene changes"
    ]
