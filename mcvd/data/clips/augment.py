"""Training clips made to differ from visit to visit: colour, pace and direction of time, one draw for a whole clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Change:
    """What is done to one clip.

    Args:
        pace: by how much the stride is multiplied.
        backwards: whether the last frame comes first.
        brightness, contrast, saturation: factors, 1 changes nothing.
        hue: turn of the colour circle, -0.5 to 0.5.
        still: whether the first frame is shown all the time.
    """

    pace: int = 1
    backwards: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    still: bool = False

    def __call__(self, video: Tensor) -> Tensor:
        """Change a clip, uint8 (T, C, H, W), C being 1 or 3; its pace was changed when it was read.

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
    """How training clips are varied, besides the random crop and flip of `mcvd.data.clips.spec.ClipSpec`.

    Args:
        brightness, contrast, saturation: up to how much, 0 to 1; a factor is drawn from 1 - x to 1 + x.
        hue: up to how far colours are turned, 0 to 0.5 of the circle, either way.
        reverse: play half of the clips backwards.
        max_pace: the stride of a clip is multiplied by 1, 2, ... or this, each as often; the frame rate that a model
            remembers stays that of pace 1.
        still: share of the clips, 0 to 1, in which nothing moves: their first frame all the time. A model that was
            seldom shown such moves what stands still.

    Example:
        >>> Augmentation(reverse=True, max_pace=3).draw(np.random.default_rng(0))
        Change(pace=3, backwards=False, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0, still=False)
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    reverse: bool = False
    max_pace: int = 1
    still: float = 0.0

    def __post_init__(self) -> None:
        limits = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.5, "still": 1.0}
        for name, limit in limits.items():
            if not 0 <= (value := getattr(self, name)) <= limit:
                raise ValueError(f"{name} must be 0 to {limit:g}, got {value}")
        if self.max_pace < 1:
            raise ValueError(f"max_pace must be 1 or more, got {self.max_pace}")

    def draw(self, random: np.random.Generator) -> Change:
        """The change of one clip; every call takes the same number of draws, whatever is switched on."""
        pace, direction, *colours, still = random.random(7).tolist()
        brightness, contrast, saturation, hue = (2 * colour - 1 for colour in colours)
        return Change(
            pace=1 + int(pace * self.max_pace),
            backwards=self.reverse and direction < 0.5,
            brightness=1 + self.brightness * brightness,
            contrast=1 + self.contrast * contrast,
            saturation=1 + self.saturation * saturation,
            hue=self.hue * hue,
            still=still < self.still,
        )


UNCHANGED, NO_AUGMENTATION = Change(), Augmentation()
