"""Training clips made to differ from visit to visit: colour, speed and direction of time, one draw for a whole clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class AppliedAugmentation:
    """What is done to one clip.

    Args:
        speed: by how much the stride is multiplied.
        backwards: whether the last frame comes first.
        brightness, contrast, saturation: factors, 1 changes nothing.
        hue: turn of the colour circle, -0.5 to 0.5.
        still: whether the first frame is shown all the time.
    """

    speed: int = 1
    backwards: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    still: bool = False

    def __call__(self, video: Tensor) -> Tensor:
        """Change a clip, uint8 (T, C, H, W), C being 1 or 3; its speed was changed when it was read.

        Contrast is changed about the mean grey of each frame. Grey clips have no saturation and no hue.
        """
        if (self.brightness, self.contrast, self.saturation, self.hue) != (1, 1, 1, 0):
            video = self._coloured(video)
        if self.still:
            return video[:1].repeat(len(video), 1, 1, 1)
        return video.flip(0) if self.backwards else video

    def _coloured(self, video: Tensor) -> Tensor:
        from torchvision.transforms.v2 import functional  # slow to import

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
    """How training clips are varied, besides the random crop and flip of `mcvd.data.ClipSpec`.

    Args:
        brightness, contrast, saturation: up to how much, 0 to 1; a factor is drawn from 1 - x to 1 + x.
        hue: up to how far colours are turned, 0 to 0.5 of the circle, either way.
        reverse: play half of the clips backwards.
        max_speed: the stride of a clip is multiplied by 1, 2, ... or this, each as often; the frame rate that a model
            remembers stays that of speed 1.
        still: share of the clips, 0 to 1, in which nothing moves: their first frame all the time. A model that was
            seldom shown such moves what stands still.

    Example:
        >>> Augmentation(reverse=True, max_speed=3).draw(np.random.default_rng(0))
        Change(speed=3, backwards=False, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0, still=False)
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
        if self.max_speed < 1:
            raise ValueError(f"max_speed must be 1 or more, got {self.max_speed}")

    def draw(self, random: np.random.Generator) -> AppliedAugmentation:
        """The change of one clip; every call takes the same number of draws, whatever is switched on."""
        speed, direction, *colours, still = random.random(7).tolist()
        brightness, contrast, saturation, hue = (2 * colour - 1 for colour in colours)
        return AppliedAugmentation(
            speed=1 + int(speed * self.max_speed),
            backwards=self.reverse and direction < 0.5,
            brightness=1 + self.brightness * brightness,
            contrast=1 + self.contrast * contrast,
            saturation=1 + self.saturation * saturation,
            hue=self.hue * hue,
            still=still < self.still,
        )


UNCHANGED, NO_AUGMENTATION = AppliedAugmentation(), Augmentation()
