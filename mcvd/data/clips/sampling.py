"""Which clip is next."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from mcvd.data.clips.augment import NO_AUGMENTATION, UNCHANGED, AppliedAugmentation, Augmentation
from mcvd.data.clips.spec import ClipIndex, ClipSpec


@dataclass(frozen=True)
class ClipRef:
    """One clip, completely determined.

    Args:
        video: number of the video.
        start: number of its first frame.
        corner: where the window lies, (down, right) as fractions in [0, 1) of the room there is; None is the centre.
        flip: whether left and right are exchanged.
        change: what else is done to it.
    """

    video: int
    start: int
    corner: tuple[float, float] | None = None
    flip: bool = False
    change: AppliedAugmentation = UNCHANGED


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


@lru_cache(maxsize=2)  # Batches fetched ahead may straddle two epochs.
def _epoch_order(seed: int, epoch: int, num_slots: int) -> np.ndarray:
    return _generator(seed, 0, epoch).permutation(num_slots)


class AbstractClips(Protocol):
    """From the number of a draw to a clip."""

    @property
    def slots(self) -> ClipIndex:
        """Where clips lie."""

    def __len__(self) -> int: ...

    def __call__(self, draw: int, attempt: int = 0) -> ClipRef:
        """The clip; ``attempt`` counts the replacements of one that could not be read."""


@dataclass(frozen=True)
class RandomClips:
    """The clips of training: every slot once per epoch, in random order, at a random start.

    Args:
        slots: where clips lie; with a speed, those of ``spec.at_speed(augmentation.max_speed)``, so that all clips fit.
        spec: whether to crop at random and to flip.
        seed: 0 or more; the same seed gives the same clips.
        augmentation: what else is drawn for each clip.

    Calling it with the number of a draw gives the clip; ``attempt`` counts the replacements of a clip that could not
    be read, each another random slot.
    """

    slots: ClipIndex
    spec: ClipSpec
    seed: int = 0
    augmentation: Augmentation = NO_AUGMENTATION

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, got {self.seed}")

    def __len__(self) -> int:
        return len(self.slots)

    def __call__(self, draw: int, attempt: int = 0) -> ClipRef:
        """The clip of a draw."""
        epoch, position = divmod(draw, len(self.slots))
        random = _generator(self.seed, 1, draw, attempt)
        replacement = random.integers(len(self.slots))
        slot = replacement if attempt else _epoch_order(self.seed, epoch, len(self.slots))[position]
        start = int(random.integers(self.slots.first[slot], self.slots.stop[slot]))
        down, right, mirror = random.random(3).tolist()
        return ClipRef(
            video=int(self.slots.video[slot]),
            start=start,
            corner=(down, right) if self.spec.crop == "random" else None,
            flip=self.spec.flip and mirror < 0.5,
            change=self.augmentation.draw(random),
        )


@dataclass(frozen=True)
class EvenClips:
    """The clips of validation: always the same, evenly spread over all videos, from the centre, never flipped.

    Args:
        slots: where clips lie.
        num_clips: how many to take, at most; None takes all.

    ``attempt`` counts the replacements of a clip that could not be read, each the next clip.
    """

    slots: ClipIndex
    num_clips: int | None = None

    def __post_init__(self) -> None:
        if self.num_clips is not None and self.num_clips < 1:
            raise ValueError(f"num_clips must be 1 or more, or None for all, got {self.num_clips}")

    def __len__(self) -> int:
        return len(self.slots) if self.num_clips is None else min(self.num_clips, len(self.slots))

    def __call__(self, draw: int, attempt: int = 0) -> ClipRef:
        """The clip of a draw."""
        slot = (draw + attempt) % len(self) * len(self.slots) // len(self)
        return ClipRef(int(self.slots.video[slot]), int(self.slots.even[slot]))
