"""Videos of the validation set that show, in whole or in part, what a training video shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mcvd.data.fingerprint import Fingerprint, Run, same_run
from mcvd.data.probe import Probe

_NAMED = 5
# Of each validation video, so many looks are compared with all of all training videos, and of these the videos with
# most that may show the same are compared in full.
_NUM_LOOKS, _MAX_COMPARED = 64, 16
_AT_ONCE = 1 << 16
_NEAR_LEVELS = 20.0
_USUAL_SPEED = 0.25  # a copy at a speed so near to the original's is not told to have another


def describe_copies(train: Sequence[Probe], val: Sequence[Probe]) -> list[str]:
    """A line that names the validation videos which show what a training video shows; none if none does."""
    known = [one for one in train if len(one.looks.times) > 1]
    if not known:
        return []
    search = _Search([one.looks for one in known])
    found: list[str] = []
    for one in val:
        if not len(one.looks.times):
            continue
        for place in search.like(one.looks):
            run = None if known[place].path == one.path else same_run(one.looks, known[place].looks)
            if run:
                found.append(f"{one.path} {_relation(run, one)} {known[place].path}{_details(run, one)}")
                break
    if not found:
        return []
    return [
        f"the same video in training and validation: {len(found)} of {len(val)} ({', '.join(found[:_NAMED])}"
        f"{', ...' * (len(found) > _NAMED)}): scores would be too good; take it out of one of them"
    ]


def _relation(run: Run, one: Probe) -> str:
    whole = run.stop - run.start >= 0.8 * np.ptp(one.looks.times)
    return "is" if whole else f"shows, from {max(0.0, run.start):.1f} to {run.stop:.1f} s,"


def _details(run: Run, one: Probe) -> str:
    if not one.times.is_told:
        return ""
    speed = f", at about {run.speed:.1f} times the speed" if abs(np.log(run.speed)) > _USUAL_SPEED else ""
    return f" from {max(0.0, run.other_start):.1f} s on{speed}" if run.other_start > 0.5 else speed


class _Search:
    """Finds the videos of which some look is near."""

    def __init__(self, videos: Sequence[Fingerprint]) -> None:
        self._cells = np.concatenate([video.cells for video in videos])
        self._starts = np.cumsum([0, *(len(video.times) for video in videos)])[:-1]

    def like(self, video: Fingerprint) -> list[int]:
        """Numbers of the videos that may show the same, the likeliest first."""
        chosen = np.unique(np.linspace(0, len(video.times) - 1, _NUM_LOOKS).astype(int))
        nearest = np.minimum.reduceat(self._levels(video.cells[chosen].astype(np.float32)), self._starts, axis=1)
        near = nearest < _NEAR_LEVELS
        # Those with many near looks first, and among them the nearest ones.
        order = np.lexsort((nearest.clip(0, _NEAR_LEVELS).sum(0), -near.sum(0)))
        return [int(place) for place in order[:_MAX_COMPARED] if near[:, place].any()]

    def _levels(self, looks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Root mean square difference of looks (N, 64) from all known ones (M, 64), in levels: (N, M)."""
        squares = np.empty((len(looks), len(self._cells)), np.float32)
        own = (looks**2).sum(1)[:, None]
        for first in range(0, len(self._cells), _AT_ONCE):
            part = self._cells[first : first + _AT_ONCE].astype(np.float32)
            squares[:, first : first + len(part)] = own + (part**2).sum(1) - 2 * looks @ part.T
        return np.sqrt(squares.clip(0) / looks.shape[1])
