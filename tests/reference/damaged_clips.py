"""Clips damaged more and more, and how far a Frechet distance of video features sees them from the undamaged ones."""

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.metrics.fvd import FrechetVideoDistance
from mcvd.metrics.i3d import random_i3d


def noise(clips: Tensor, grey_levels: float) -> Tensor:
    """Fresh noise on every pixel."""
    generator = torch.Generator().manual_seed(0)
    return (clips + grey_levels * torch.randn(clips.shape, generator=generator)).round().clamp(0, 255).to(torch.uint8)


def blur(clips: Tensor, sigma: float) -> Tensor:
    """Every frame blurred; sigma in pixels."""
    return gaussian_blur(clips.flatten(0, 1), [2 * int(3 * sigma) + 1] * 2, [sigma] * 2).unflatten(0, clips.shape[:2])


def shuffle(clips: Tensor, share: float) -> Tensor:
    """The first frames, this share of them, in random order."""
    generator, count = torch.Generator().manual_seed(0), round(share * clips.shape[1])
    orders = [torch.randperm(count, generator=generator) for _ in clips]
    return torch.stack([torch.cat([clip[order], clip[count:]]) for clip, order in zip(clips, orders, strict=True)])


def freeze(clips: Tensor, share: float) -> Tensor:
    """The last frames, this share of them, replaced by the one before."""
    count = round((1 - share) * clips.shape[1])
    return torch.cat([clips[:, :count], clips[:, count - 1 : count].expand(-1, clips.shape[1] - count, -1, -1, -1)], 1)


DAMAGES: dict[str, tuple[Callable[[Tensor, float], Tensor], str, tuple[float, ...]]] = {
    "noise": (noise, "grey levels", (5, 15, 45)),
    "blur": (blur, "pixels", (0.5, 1.0, 2.0)),
    "shuffled": (shuffle, "of the frames", (0.3, 0.6, 1.0)),
    "frozen": (freeze, "of the frames", (0.3, 0.6, 0.9)),
}


def streets(num_clips: int, num_frames: int = 10, size: int = 64) -> Tensor:
    """uint8 (num_clips, num_frames, 3, size, size)."""
    scenes = DrivingScenes(num_clips, seed=1)
    return torch.stack([scenes.read(i, range(num_frames), (size, size)) for i in range(num_clips)])


def undamaged(clips: Tensor, size: int) -> FrechetVideoDistance:
    """A metric that has seen the clips as the real ones, frames scaled to ``size``."""
    metric = FrechetVideoDistance(random_i3d(0), size=size)
    metric.update(clips, real=True)
    return metric


def distances(clips: Tensor, kind: str, clean: FrechetVideoDistance) -> list[float]:
    """How far the clips are from themselves under each strength of a damage; ``clean`` has seen them undamaged."""
    damage, _, strengths = DAMAGES[kind]
    found = []
    for strength in strengths:
        metric = copy.deepcopy(clean)
        metric.update(damage(clips, strength), real=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few videos: only compared with each other
            found.append(metric.compute().item())
    return found
