"""A pinhole camera above a road, and a painter of upright walls, ground and blobs with exact pixel coverage.

All frames of a clip are painted at once. Everything is drawn far to near by its coverage of each pixel, never by
sampling pixel centres, so that small things fade with distance instead of flickering, at any resolution.
Lengths are metres in the camera's plan: ``x`` to the right, ``s`` forward, ``y`` up from the ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]  # float32 wherever there is much of it
Window = tuple[slice, slice, slice, slice]  # of an image (3, T, H, W): channels, frames, rows, columns
Panel = tuple[float, float, float, float, Array]  # left, right, bottom, top in metres and colour

NEAR = 0.8  # metres; what is closer to the camera is cut off
FOCAL = 1.05  # focal length in image heights: 51 degrees from bottom to top
HORIZON = 0.48  # rows above the horizon when the camera is level, in image heights
CAMERA_HEIGHT = 1.35  # metres above the ground


def pulse(position: Array, width: Array, duty: float) -> Array:
    """A train of on-off pulses averaged over a pixel: 1 inside a pulse, 0 outside, ``duty`` when far away.

    Args:
        position: centre of the pixel, in periods; a pulse is on for ``n <= position < n + duty``.
        width: extent of the pixel, in periods, above 0.
        duty: part of the period that is on, 0 to 1.
    """

    def integral(p: Array) -> Array:
        whole = np.floor(p)
        return whole * duty + np.minimum(p - whole, duty)

    return (integral(position + width / 2) - integral(position - width / 2)) / width


@dataclass(frozen=True)
class Wall:
    """The columns in which an upright wall is seen, whatever its height.

    Args:
        t: the frames that may see it.
        columns: the columns that may see it.
        across: float (t, w), how much of each column's width it covers, 0 to 1.
        distance: float (t, w), metres from the camera.
        spread: float (t, w), metres along the wall that one column sees.
    """

    t: slice
    columns: slice
    across: Array
    distance: Array
    spread: Array


class Canvas:
    """Frames being painted, with the camera that sees them.

    Args:
        num_frames: how many frames are painted together, T.
        size: (height, width) in pixels.
        pitch: float (T,), radians the camera looks up.
        haze: float (3,), colour which far things take on, 0 to 1.
        clarity_metres: distance after which 37 % of a thing's own colour is left.
    """

    def __init__(self, num_frames: int, size: tuple[int, int], pitch: Array, haze: Array, clarity_metres: float):
        self.height, self.width = size
        self.image = np.zeros((3, num_frames, *size), np.float32)
        self.focal = np.float32(FOCAL * self.height)
        self.horizon = (HORIZON * self.height + self.focal * pitch).astype(np.float32)  # (T,), in rows
        self.rows = np.arange(self.height, dtype=np.float32) + 0.5
        self.columns = np.arange(self.width, dtype=np.float32) + 0.5
        self.haze = haze.astype(np.float32)
        self.clarity_metres = np.float32(clarity_metres)

    def hazed(self, colour: ArrayLike, distance: Array) -> Array:
        """Colour (3,) as seen from ``distance`` of any shape: float (3, *distance.shape)."""
        clear = np.exp(-distance / self.clarity_metres)
        haze = self.haze.reshape(3, *[1] * distance.ndim)
        return haze + (np.asarray(colour, np.float32).reshape(haze.shape) - haze) * clear

    def blend(self, window: tuple[slice, ...], coverage: Array, colour: Array) -> None:
        """Lay ``colour``, broadcastable to (3, t, h, w), over the picture by ``coverage`` (t, h, w)."""
        under = self.image[window]
        under += coverage * (colour - under)

    def wall(self, x: tuple[Array, Array], s: tuple[Array, Array]) -> Wall | None:
        """Where an upright wall is seen that stands straight between two points of the ground, or None.

        Args:
            x: float (T,) twice, metres to the right of its near and its far end.
            s: float (T,) twice, metres forward of its near and its far end, the first less than the second.
        """
        (x0, x1), (s0, s1) = x, s
        cut = ((NEAR - s0) / (s1 - s0)).clip(0, 1)  # the part that is too near to be seen
        inverse0, inverse1 = 1 / np.maximum(s0, NEAR), 1 / np.maximum(s1, NEAR)
        u0 = self.width / 2 + self.focal * (x0 + cut * (x1 - x0)) * inverse0
        u1 = self.width / 2 + self.focal * x1 * inverse1
        left, right = np.minimum(u0, u1), np.maximum(u0, u1)
        seen = ((s1 > NEAR) & (right > 0) & (left < self.width) & (right - left > 1e-3)).nonzero()[0]
        if not len(seen):
            return None
        t = slice(int(seen[0]), int(seen[-1]) + 1)
        columns = slice(max(int(left[seen].min()), 0), min(int(right[seen].max()) + 1, self.width))
        u = self.columns[columns]
        left, right, u0 = left[t, None], right[t, None], u0[t, None]
        across = (np.minimum(u + 0.5, right) - np.maximum(u - 0.5, left)).clip(0, 1) * (s1 > NEAR)[t, None]
        # Along a straight wall the inverse of the distance is linear in the column.
        run = u1[t, None] - u0
        slope = (inverse1 - inverse0)[t, None] / np.where(np.abs(run) < 1e-3, 1, run)
        distance = 1 / (inverse0[t, None] + slope * (u.clip(left, right) - u0))
        return Wall(t, columns, across, distance, np.abs(slope) * distance**2)

    def band(self, wall: Wall, bottom: float, top: float) -> tuple[Window, Array]:
        """The part of a wall between two heights: its window of the image and its coverage (t, h, w)."""
        scale, horizon = self.focal / wall.distance, self.horizon[wall.t, None]
        upper, lower = horizon + (CAMERA_HEIGHT - top) * scale, horizon + (CAMERA_HEIGHT - bottom) * scale
        first, last = max(int(upper.min()), 0), max(min(int(lower.max()) + 1, self.height), 0)
        rows = self.rows[first:last, None]
        upright = np.minimum(rows + 0.5, lower[:, None]) - np.maximum(rows - 0.5, upper[:, None])
        window = (slice(None), wall.t, slice(first, last), wall.columns)
        return window, upright.clip(0, 1) * wall.across[:, None]

    def paint_bands(self, wall: Wall | None, bands: Iterable[tuple[float, float, Array]], fade: Array) -> None:
        """Paint plain bands of a wall: each its lower and upper edge in metres and its colour (3,).

        Args:
            wall: from `wall`; nothing is painted for None.
            bands: what to paint, in this order.
            fade: float (T,), 0 to 1, how solid it is.
        """
        if wall is None:
            return
        for bottom, top, colour in bands:
            window, coverage = self.band(wall, bottom, top)
            self.blend(window, coverage * fade[wall.t, None, None], self.hazed(colour, wall.distance)[:, :, None])

    def panels(self, x: Array, s: Array, panels: Sequence[Panel], fade: Array) -> None:
        """Paint upright rectangles that face the camera.

        Args:
            x: float (T,), metres to the right of the place where they stand, or (F, T), one row for each panel.
            s: float (T,) or (F, T), metres forward.
            panels: F times the left and right edge in metres from the place, lower and upper edge in metres above the
                ground, colour (3,) or (3, T); painted in this order.
            fade: float (T,) or (F, T), 0 to 1, how solid they are.
        """
        x, s, fade = np.atleast_2d(x), np.atleast_2d(s), np.atleast_2d(fade)
        scale = self.focal / np.maximum(s, NEAR)
        middle, ground = self.width / 2 + scale * x, self.horizon + scale * CAMERA_HEIGHT
        edges = np.array([panel[:4] for panel in panels], np.float32).T[..., None]  # (4, F, 1)
        left, right, lower, upper = edges * scale  # (F, T) each
        left, right, lower, upper = middle + left, middle + right, ground - lower, ground - upper
        first, last, high, low = left.min(0), right.max(0), upper.min(0), lower.max(0)
        in_front = s > NEAR
        inside = (last > 0) & (first < self.width) & (low > 0) & (high < self.height)
        seen = (in_front.any(0) & inside).nonzero()[0]
        if not len(seen):
            return
        t = slice(int(seen[0]), int(seen[-1]) + 1)
        columns = slice(max(int(first[seen].min()), 0), min(int(last[seen].max()) + 1, self.width))
        rows = slice(max(int(high[seen].min()), 0), min(int(low[seen].max()) + 1, self.height))
        u, v = self.columns[columns], self.rows[rows]
        left, right, lower, upper = (edge[:, t, None] for edge in (left, right, lower, upper))
        across = (np.minimum(u + 0.5, right) - np.maximum(u - 0.5, left)).clip(0, 1)
        upright = (np.minimum(v + 0.5, lower) - np.maximum(v - 0.5, upper)).clip(0, 1)
        upright *= (fade * in_front)[:, t, None]
        coverage = upright[..., None] * across[:, :, None]  # (F, t, h, w)
        clear = np.exp(-s[:1, t].clip(0) / self.clarity_metres)
        haze, window = self.haze[:, None], (slice(None), t, rows, columns)
        for covered, (*_, colour) in zip(coverage, panels, strict=True):
            own = np.asarray(colour, np.float32).reshape(3, -1)
            own = own[:, t] if own.shape[1] > 1 else own
            self.blend(window, covered, (haze + (own - haze) * clear)[..., None, None])

    def blob(
        self,
        x: Array,
        s: Array,
        y: float,
        radius: tuple[float, float],
        colour: Array,
        bumps: Sequence[float],
        fade: Array,
    ):
        """Paint a bumpy ellipse that faces the camera, lighter above and darker below: the crown of a tree.

        Args:
            x: float (T,), metres to the right of its centre.
            s: float (T,), metres forward.
            y: height of its centre above the ground in metres.
            radius: half its width and half its height in metres.
            colour: float (3,), 0 to 1.
            bumps: four phases of the bumps in radians.
            fade: float (T,), 0 to 1, how solid it is.
        """
        scale = self.focal / np.maximum(s, NEAR)
        u, v = self.width / 2 + scale * x, self.horizon + scale * (CAMERA_HEIGHT - y)
        half_width, half_height = scale * radius[0], scale * radius[1]
        reach = 1.2
        seen = np.flatnonzero(
            (s > NEAR)
            & (u + reach * half_width > -1)
            & (u - reach * half_width < self.width + 1)
            & (v + reach * half_height > -1)
        )
        if not len(seen):
            return
        t = slice(int(seen[0]), int(seen[-1]) + 1)

        def span(centre: Array, half: Array, limit: int) -> slice:
            low, high = (centre - reach * half)[seen].min() - 1, (centre + reach * half)[seen].max() + 2
            return slice(max(int(low), 0), max(min(int(high), limit), 0))

        rows, columns = span(v, half_height, self.height), span(u, half_width, self.width)
        dx = (self.columns[columns] - u[t, None]) / half_width[t, None]
        dy = (self.rows[rows] - v[t, None]) / half_height[t, None]
        wave = np.sin(3.1 * dy + bumps[0])[:, :, None] * np.sin(4.3 * dx + bumps[1])[:, None]
        wave += 0.6 * np.sin(7.9 * dy + bumps[2])[:, :, None] * np.sin(6.1 * dx + bumps[3])[:, None]
        square = dy[:, :, None] ** 2 + dx[:, None] ** 2 + 0.13 * wave
        coverage = (0.5 + (1 - square) * (0.5 * half_width[t, None, None])).clip(0, 1)
        coverage *= (fade * (s > NEAR))[t, None, None]
        light = 1 - 0.13 * wave - 0.3 * dy[:, :, None]
        clear = np.exp(-s[t].clip(0) / self.clarity_metres)[:, None, None]
        haze = self.haze[:, None, None, None]
        seen_colour = haze + (colour.reshape(3, 1, 1, 1) * light - haze) * clear
        self.blend((slice(None), t, rows, columns), coverage, seen_colour)
