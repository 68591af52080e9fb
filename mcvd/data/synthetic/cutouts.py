"""`Cutout`: a piece of a photograph with a smooth outline that moves over another, as things do before a scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

SUPERSAMPLING = 2  # along each axis
WAVES = 4  # of the outline around a circle
SPEEDS_UP_SECONDS = 4.0  # then a speed stays: what grows for minutes would be nothing but a blur


@dataclass(frozen=True)
class Cutout:
    """A piece of a picture and its way through a scene, in units of the shorter side of a camera's first view.

    Things that move over photographs with outlines of their own are how networks of optical flow learn what hides what
    (Dosovitskiy et al. 2015, arXiv 1504.06852).

    Args:
        centre: float64 (T, 2), right and down of the middle of the first view.
        radius: mean distance of the outline from the centre.
        angle: float64 (T,), radians, clockwise.
        stretch: float64 (T, 2), of its width and height, above 0.
        outline: float64 (2, WAVES): how strong each wave of the outline is, relative to the radius, and its phase.
        texture: float64 (2,), where in the picture its centre is, as shares of width and height.
    """

    centre: NDArray[np.float64]
    radius: float
    angle: NDArray[np.float64]
    stretch: NDArray[np.float64]
    outline: NDArray[np.float64]
    texture: NDArray[np.float64]

    @classmethod
    def drawn(cls, generator: np.random.Generator, num_frames: int, frame_rate_hz: float) -> Cutout:
        """A random one; in a longer video it begins as in the shorter one.

        Speeds are spread evenly over their orders of magnitude: 5% to 150% of the view a second, for two of three on
        their way, for one of three to and fro, 0.3 to 2 times a second; one in eight rests.
        """
        seconds = np.arange(num_frames) / frame_rate_hz

        def magnitude(low: float, high: float) -> float:
            return float(np.exp(generator.uniform(np.log(low), np.log(high))))

        towards, start = generator.uniform(0, 2 * np.pi), generator.uniform(-0.45, 0.45, 2)
        speed, hertz, phase = magnitude(0.05, 1.5), magnitude(0.3, 2.0), generator.uniform(0, 2 * np.pi)
        faster = generator.uniform(-0.5, 0.5)
        on_its_way = speed * way_after(seconds, faster)
        to_and_fro = speed / (2 * np.pi * hertz) * (np.sin(2 * np.pi * hertz * seconds + phase) - np.sin(phase))
        way = to_and_fro if generator.random() < 1 / 3 else on_its_way
        turn = np.radians(magnitude(2, 200)) * generator.choice((-1, 0, 1))
        if generator.random() < 1 / 8:
            way, turn = np.zeros(num_frames), 0.0
        share = way / speed  # its own time, in seconds: 0 where it rests
        wobble = generator.uniform(0, 0.2, 2) * np.sin(2 * np.pi * magnitude(0.2, 1.0) * share)[:, None]
        strength = generator.uniform(0, 0.35, WAVES) / np.arange(1, WAVES + 1)
        return cls(
            centre=start + way[:, None] * np.array([np.cos(towards), np.sin(towards)]),
            radius=magnitude(0.06, 0.35),
            angle=generator.uniform(0, 2 * np.pi) + turn * share,
            stretch=np.exp(wobble + generator.uniform(-0.3, 0.3, 2)),
            outline=np.stack([strength, generator.uniform(0, 2 * np.pi, WAVES)]),
            texture=generator.uniform(0.2, 0.8, 2),
        )


def way_after(seconds: NDArray[np.float64], faster: float) -> NDArray[np.float64]:
    """How far something is that begins at unit speed and is so much faster every second, for the first few of them."""
    speeds_up = np.minimum(seconds, SPEEDS_UP_SECONDS)
    return seconds + faster * speeds_up * (seconds - speeds_up / 2)


def put_over(
    views: Tensor, places: NDArray[np.complex64], cutout: Cutout, picture: Tensor, frames: NDArray[np.int64]
) -> Tensor:
    """Frames with a cut-out in front of them.

    Args:
        views: float32 (T, 3, H, W) in [0, 1].
        places: complex64 (T, 2H, 2W), right + 1j * down: where the samples of the views lie, in units of the cut-out.
        cutout: of at least the frames named.
        picture: float32 (1, 3, h, w) in [0, 1], what it is cut out of.
        frames: which of its frames these are.
    """
    centre, turn = cutout.centre[frames] @ (1, 1j), np.exp(-1j * cutout.angle[frames])
    away = (places - over_pixels(centre)) * over_pixels(turn)
    across, down = (over_pixels(cutout.radius * side) for side in cutout.stretch[frames].T)
    local = (away.real / across + 1j * away.imag / down).astype(np.complex64)
    distance = np.abs(local)  # the unit circle is the mean outline
    strength, phase = cutout.outline
    waves = np.polyval([*(strength * np.exp(1j * phase)).astype(np.complex64)[::-1], 0], local / (distance + 1e-6)).real
    inside = distance < 1 + waves
    pixels = 2 * cutout.radius * min(views.shape[2:])  # across, of the frames
    texture = reduced(picture, min(picture.shape[2:]) / 2 / (SUPERSAMPLING * pixels))
    height, width = picture.shape[2:]
    shares = np.stack([local.real / width, local.imag / height], -1) * min(height, width) / 4  # half of it across
    grid = torch.from_numpy(2 * (cutout.texture + shares) - 1).float()
    colours = grid_sample(
        texture.expand(len(grid), -1, -1, -1), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    alpha = torch.from_numpy(inside).float()[:, None]
    cover = avg_pool2d(alpha, SUPERSAMPLING)
    return views * (1 - cover) + avg_pool2d(colours * alpha, SUPERSAMPLING)


def reduced(picture: Tensor, times: float) -> Tensor:
    """A picture (1, 3, h, w) that is about so many times smaller, a whole number of times, of one pixel at least."""
    reduction = max(1, min(int(times), *picture.shape[2:]))
    return avg_pool2d(picture, reduction) if reduction > 1 else picture


def places_seen(
    centre: NDArray[np.float64], zoom: NDArray[np.float64], angle: NDArray[np.float64], cover: tuple[int, int]
) -> NDArray[np.complex64]:
    """Where the samples of each view lie in the scene: complex64 (T, 2H, 2W), right + 1j * down of the middle of the
    first view, in units of its shorter side.

    Args:
        centre: float64 (T, 2), of the views, right and down of the first one's, in units of width and height of it.
        zoom: float64 (T,), the field of view relative to the first.
        angle: float64 (T,), radians, clockwise.
        cover: H and W of the frames.
    """
    sides = np.array([cover[1], cover[0]]) / min(cover)
    down, right = ((np.arange(n) + 0.5) / n - 0.5 for n in (SUPERSAMPLING * cover[0], SUPERSAMPLING * cover[1]))
    across = right * sides[0] + 1j * down[:, None] * sides[1]
    middle = (centre * sides) @ (1, 1j)
    turn = zoom * np.exp(1j * angle)
    return over_pixels(turn) * across.astype(np.complex64) + over_pixels(middle)


def over_pixels(each: NDArray[Any]) -> NDArray[Any]:
    """Of each frame (T,), in single precision, with axes for height and width."""
    kind = np.complex64 if np.iscomplexobj(each) else np.float32
    return each.astype(kind)[:, None, None]
