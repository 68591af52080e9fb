"""Augmentation of training clips: colour, speed and direction of time, the same for all frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

MAX_SPEED = 1 << 10


@dataclass(frozen=True)
class AppliedAugmentation:
    """What is done to one clip: a value drawn from an `Augmentation`.

    Args:
        speed: factor of the stride.
        backwards: whether the last frame comes first.
        brightness, contrast, saturation: factors, 1 changes nothing.
        hue: shift of the hue in turns, -0.5 to 0.5.
        still: whether the first frame is repeated all the time.
    """

    speed: int = 1
    backwards: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    still: bool = False

    def __call__(self, video: Tensor) -> Tensor:
        """Change a clip, uint8 (T, C, H, W) with C 1 or 3; the speed was applied when the clip was read.

        Contrast is changed about the mean grey of each frame. Saturation and hue do nothing to a grey clip.
        """
        if (self.brightness, self.contrast, self.saturation, self.hue) != (1, 1, 1, 0):
            video = self._jitter_colors(video)
        if self.still:
            return video[:1].repeat(len(video), 1, 1, 1)
        return video.flip(0) if self.backwards else video

    def _jitter_colors(self, video: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional  # slow to import

        if video.is_floating_point():
            raise ValueError("brightness, contrast, saturation and hue are changed of pixels of 8 bits alone")
        if self.brightness != 1:
            video = functional.adjust_brightness(video, self.brightness)
        if self.contrast != 1:
            video = functional.adjust_contrast(video, self.contrast)
        if self.saturation != 1 and video.shape[1] == 3:
            video = functional.adjust_saturation(video, self.saturation)
        if self.hue and video.shape[1] == 3:
            video = functional.adjust_hue(video, self.hue)
        return video


@dataclass(frozen=True)
class Augmentation:
    """How training clips are augmented, besides the random crop and flip of `mcvd.data.ClipSpec`.

    Args:
        brightness, contrast, saturation: strength x, 0 to 1; a factor is drawn from 1 - x to 1 + x.
        hue: largest shift of the hue in turns, 0 to 0.5, either way.
        reverse: play half of the clips backwards.
        max_speed: the stride of a clip is multiplied by 1, 2, ... or this, with equal probability, or up to what a
            shorter video allows; the frame rate that a model remembers stays that of speed 1.
        still: fraction of the clips, 0 to 1, in which nothing moves: their first frame is repeated. A model that saw
            few of them sets still scenes in motion.

    Examples:
        >>> Augmentation(reverse=True, max_speed=3).draw(np.random.default_rng(0)).speed
        2
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    reverse: bool = False
    max_speed: int = 1
    still: float = 0.0

    def __post_init__(self) -> None:
        limits = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5, "still": 1.0}
        for name, limit in limits.items():
            if not 0 <= (value := getattr(self, name)) <= limit:
                raise ValueError(f"{name} must be 0 to {limit:g}, got {value}")
        if not 1 <= self.max_speed <= MAX_SPEED:
            raise ValueError(f"max_speed must be 1 to {MAX_SPEED}, got {self.max_speed}")

    @property
    def changes_colors(self) -> bool:
        """Whether brightness, contrast, saturation or hue are drawn."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    def draw(self, random: np.random.Generator, fastest: int = MAX_SPEED) -> AppliedAugmentation:
        """What is done to one clip; every call takes as many random numbers, whatever is switched on.

        Args:
            random: of all that is drawn.
            fastest: the highest speed at which such a clip fits into its video.
        """
        speed, direction, *jitter, still = random.random(7).tolist()
        brightness, contrast, saturation, hue = (2 * x - 1 for x in jitter)
        return AppliedAugmentation(
            speed=1 + int(speed * min(self.max_speed, fastest)),
            backwards=self.reverse and direction < 0.5,
            brightness=1 + self.brightness * brightness,
            contrast=1 + self.contrast * contrast,
            saturation=1 + self.saturation * saturation,
            hue=self.hue * hue,
            still=still < self.still,
        )


NO_AUGMENTATION, NOT_AUGMENTED = Augmentation(), AppliedAugmentation()
