"""Which clip a sample number stands for: random in training, evenly spread in validation, seeded in protocols."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from mcvd.data.clips.augment import NO_AUGMENTATION, NOT_AUGMENTED, AppliedAugmentation, Augmentation
from mcvd.data.clips.spec import ClipIndex, ClipSpec
from mcvd.data.clips.times import AppliedTimes, ClipTimes
from mcvd.runtime.rng import check_seed, keyed_generator


@dataclass(frozen=True)
class ClipRef:
    """One clip, completely determined.

    Args:
        video: number of the video.
        start: number of its first frame.
        corner: where the window lies, (down, right) as fractions in [0, 1) of the room there is; None is the centre.
        flip: whether left and right are exchanged.
        augmentation: what else is done to it.
        times: its own frame rate, and a first frame from before.
    """

    video: int
    start: int
    corner: tuple[float, float] | None = None
    flip: bool = False
    augmentation: AppliedAugmentation = NOT_AUGMENTED
    times: AppliedTimes | None = None


@lru_cache(maxsize=2)  # Batches fetched ahead may straddle two epochs.
def _epoch_order(seed: int, epoch: int, num_clips: int) -> np.ndarray:
    return keyed_generator(seed, 0, epoch).permutation(num_clips)


class AbstractClips(Protocol):
    """From a sample number to a clip."""

    @property
    def index(self) -> ClipIndex:
        """Where clips lie."""

    def __len__(self) -> int: ...

    def __call__(self, sample: int, attempt: int = 0) -> ClipRef:
        """The clip of a sample; ``attempt`` counts the replacements of one that could not be read."""


@dataclass(frozen=True)
class RandomClips:
    """The clips of training: every entry of the index once per epoch, in random order, at a random start.

    Args:
        index: where clips lie, and how fast they may be played.
        spec: whether to crop at random and to flip.
        seed: 0 or more; the same seed gives the same clips.
        augmentation: what else is drawn for each clip.
        times: what is drawn for each clip of when its frames are; None: they come one after the other.

    Sample numbers count over the whole training, epochs included. A replacement is another random entry.
    """

    index: ClipIndex
    spec: ClipSpec
    seed: int = 0
    augmentation: Augmentation = NO_AUGMENTATION
    times: ClipTimes | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def __len__(self) -> int:
        return len(self.index)

    def __call__(self, sample: int, attempt: int = 0) -> ClipRef:
        """The clip of a sample."""
        epoch, position = divmod(sample, len(self.index))
        random = keyed_generator(self.seed, 1, sample, attempt)
        replacement = random.integers(len(self.index))
        entry = replacement if attempt else _epoch_order(self.seed, epoch, len(self.index))[position]
        start = int(random.integers(self.index.first[entry], self.index.stop[entry]))
        down, right, mirror = random.random(3).tolist()
        return ClipRef(
            video=int(self.index.video[entry]),
            start=start,
            corner=(down, right) if self.spec.crop == "random" else None,
            flip=self.spec.flip and mirror < 0.5,
            augmentation=self.augmentation.draw(random, int(self.index.speed[entry])),
            times=None if self.times is None else self.times.draw(random),
        )


@dataclass(frozen=True)
class EvenClips:
    """The clips of validation: always the same, evenly spread over all videos, from the centre, never flipped.

    Args:
        index: where clips lie.
        num_clips: how many to take, at most; None takes all.

    A replacement is the next clip.
    """

    index: ClipIndex
    num_clips: int | None = None

    def __post_init__(self) -> None:
        if self.num_clips is not None and self.num_clips < 1:
            raise ValueError(f"num_clips must be 1 or more, or None for all, got {self.num_clips}")

    def __len__(self) -> int:
        return len(self.index) if self.num_clips is None else min(self.num_clips, len(self.index))

    def __call__(self, sample: int, attempt: int = 0) -> ClipRef:
        """The clip of a sample."""
        entry = (sample + attempt) % len(self) * len(self.index) // len(self)
        return ClipRef(int(self.index.video[entry]), int(self.index.even[entry]))


@dataclass(frozen=True)
class SeededClips:
    """The clips of a protocol: of evenly chosen videos, at starts that depend on seed and sample number alone.

    Args:
        index: where clips lie.
        num_clips: how many; videos are taken more than once where there are fewer.
        seed: of the starts.

    A replacement is of the next video.
    """

    index: ClipIndex
    num_clips: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def __len__(self) -> int:
        return self.num_clips

    def __call__(self, sample: int, attempt: int = 0) -> ClipRef:
        """The clip of a sample."""
        videos = np.unique(self.index.video)
        position = round(sample * (len(videos) - 1) / max(1, self.num_clips - 1))
        video = videos[(position + attempt) % len(videos)]
        own = self.index.video == video
        start = keyed_generator(self.seed, sample, attempt).integers(
            self.index.first[own].min(), self.index.stop[own].max()
        )
        return ClipRef(int(video), int(start))
