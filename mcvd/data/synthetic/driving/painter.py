"""Draws the streets of `DrivingScenes` as a camera car sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mcvd.data.synthetic.driving.canvas import CAMERA_HEIGHT, Canvas, pulse
from mcvd.data.synthetic.driving.world import LANE, SIGHT, STOREY, Building, Car, Lamp, Street, Tree, colour

Thing = Building | Tree | Lamp | Car
Place = tuple[np.ndarray, np.ndarray]  # in the camera's plan: metres to the right and forward, float32 (T,) each

SMALL_SIGHT = 65.0  # metres; small things that stand still are not drawn farther away


class Painter:
    """Draws some frames of a street from far to near.

    On either side, what stands farther from the middle of the road is always behind what stands nearer to it, so the
    order is: sky, ground, houses, trees, parked cars, traffic from the outer lanes to ours.
    """

    def __init__(self, street: Street, frames: np.ndarray, size: tuple[int, int]):
        self.street, self.frames = street, frames
        drive, light = street.drive, street.light
        self.s, self.x = drive.s[frames], drive.x[frames]
        self.bend, self.heading = street.bend(self.s), street.heading(self.s)
        self.brightness = street.brightness[frames].astype(np.float32)
        haze = 0.75 * light.horizon + 0.25 * light.zenith
        self.canvas = Canvas(len(frames), size, drive.pitch[frames], haze, clarity_metres=150.0)
        self.sunlit = {side: 1 - light.contrast * (side == street.sun_side) for side in (-1, 1)}

    def paint(self) -> np.ndarray:
        """The finished frames, float32 (3, T, H, W), about 0 to 1."""
        street = self.street
        self._sky()
        self._ground()
        self._draw(self._building, sorted(street.buildings, key=lambda item: -item.s), SIGHT)
        self._draw(self._tree, sorted(street.trees, key=lambda item: -item.s), SIGHT)
        self._draw(self._lamp, sorted(street.lamps, key=lambda item: -item.s), SMALL_SIGHT)
        self._draw(self._car, sorted(street.parked, key=lambda item: -item.s), SMALL_SIGHT)
        self._draw(self._car, street.traffic, SIGHT)
        return self.canvas.image * self.brightness[:, None, None]

    def _plan(self, x: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points of the road are in the camera's plan: metres to the right and forward, float32 (..., T)."""
        forward = s - self.s
        right = x + self.street.bend(s) - self.bend - self.heading * forward - self.x
        return right.astype(np.float32), forward.astype(np.float32)

    def _draw(self, paint: Callable[..., None], things: Sequence[Thing], sight: float) -> None:
        """Draw things of one kind, in this order, as they appear out of the haze ``sight`` metres ahead.

        ``paint`` takes a thing, its near and its far end in the camera's plan, and how solid it is, float32 (T,).
        """
        if not things:
            return
        x = np.array([thing.x for thing in things])[:, None]
        starts = np.array([thing.s + np.zeros(self.street.num_frames) for thing in things])[:, self.frames]
        lengths = np.array([thing.length for thing in things])[:, None]
        near, far = self._plan(x, starts), self._plan(x, starts + lengths)
        fade = ((sight - near[1]) / 30).clip(0, 1)
        seen = (fade > 0).any(1) & (far[1] > 0).any(1)
        for i in np.flatnonzero(seen).tolist():
            paint(things[i], (near[0][i], near[1][i]), (far[0][i], far[1][i]), fade[i])

    def _lit(self, paint: np.ndarray) -> np.ndarray:
        """A surface's own colour in the light of the day."""
        return paint * self.street.light.ambient

    def _sky(self) -> None:
        canvas, street, light = self.canvas, self.street, self.street.light
        elevation = (canvas.horizon[:, None] - canvas.rows) / canvas.focal  # (T, H)
        azimuth = (canvas.columns - canvas.width / 2) / canvas.focal + self.heading[:, None].astype(np.float32)
        upward = 1 - np.exp(-elevation.clip(0) / 0.28)
        horizon, zenith = (tone.astype(np.float32)[:, None, None] for tone in (light.horizon, light.zenith))
        canvas.image += (horizon + (zenith - horizon) * upward)[..., None]
        white = (0.35 * light.zenith + 0.75 * light.horizon).clip(0, 1).astype(np.float32)[:, None, None, None]
        for place, height, width, thickness, strength in street.cloud.astype(np.float32):
            across = np.exp(-(((azimuth - place) / width) ** 2))
            upright = strength * np.exp(-(((elevation - height) / thickness) ** 2))
            canvas.blend((slice(None),), upright[..., None] * across[:, None], white)
        waves = sum(
            a * np.sin(k * azimuth + p)
            for a, k, p in zip((0.4, 0.25, 0.12, 0.06), (2.1, 5.3, 11, 23), street.hill_phases, strict=True)
        )
        ridge = canvas.horizon[:, None] - canvas.focal * street.hill_height * (1 + waves)  # (T, W)
        below = (canvas.rows[:, None] + 0.5 - ridge[:, None]).clip(0, 1).astype(np.float32)
        hills = 0.55 * canvas.haze + 0.45 * self._lit(colour(78, 96, 92)).astype(np.float32)
        canvas.blend((slice(None),), below, hills[:, None, None, None])

    def _ground(self) -> None:
        canvas, street = self.canvas, self.street
        top = max(int(canvas.horizon.min()), 0)
        below = canvas.rows[top:] - canvas.horizon[:, None]  # (T, h), rows below the horizon
        s = (canvas.focal * CAMERA_HEIGHT / below.clip(0.15)).astype(np.float32)
        spread = s**2 / (canvas.focal * CAMERA_HEIGHT)  # metres of road seen by a row
        x = (
            s[..., None] * ((canvas.columns - canvas.width / 2) / canvas.focal) - self._middle(s)[..., None]
        )  # (T, h, W)
        per_metre = (canvas.focal / s)[..., None]  # columns per metre
        along = (self.s[:, None] + s).astype(np.float32)

        def beyond(edge: float) -> np.ndarray:
            return (0.5 + (x - np.float32(edge)) * per_metre).clip(0, 1)

        left, right_kerb = -float(street.kerb[0]), float(street.kerb[1])
        zones = [street.verge, street.paving, 0.78 * street.paving, street.asphalt, 0.78 * street.paving]
        zones += [street.paving, street.verge]
        edges = [left - street.sidewalk[0], left - 0.3, left, right_kerb, right_kerb + 0.3]
        edges += [right_kerb + street.sidewalk[1]]
        paint = np.empty((3, *x.shape), np.float32)
        paint[:] = self._lit(zones[0]).astype(np.float32)[:, None, None, None]
        for edge, before, after in zip(edges, zones, zones[1:], strict=False):
            paint += self._lit(after - before).astype(np.float32)[:, None, None, None] * beyond(edge)
        for patch in street.patches:
            forward = [(edge - self.s).astype(np.float32) for edge in patch.s]
            overlap = np.minimum(s + spread / 2, forward[1][:, None]) - np.maximum(s - spread / 2, forward[0][:, None])
            seen = (overlap / spread).clip(0, 1) * ((80 - forward[0]) / 20).clip(0, 1)[:, None]
            rows = np.flatnonzero(seen.any(0))
            if not len(rows):
                continue
            h = slice(int(rows[0]), int(rows[-1]) + 1)
            inside = (0.5 + (x[:, h] - np.float32(patch.x[0])) * per_metre[:, h]).clip(0, 1)
            inside -= (0.5 + (x[:, h] - np.float32(patch.x[1])) * per_metre[:, h]).clip(0, 1)
            inside *= np.float32(patch.strength) * seen[:, h, None]
            under = paint[:, :, h]
            under += inside * (self._lit(patch.paint).astype(np.float32)[:, None, None, None] - under)
        for place, width, dashed, tone in self._lines():
            mark = beyond(place - width / 2) - beyond(place + width / 2)
            if dashed:
                mark *= pulse(along / 9, spread / 9, 0.4)[..., None]
            paint += 0.85 * mark * (self._lit(tone).astype(np.float32)[:, None, None, None] - paint)
        waves = sum(
            np.sin(2 * np.pi * along / w + p) * np.sinc(spread / w)
            for w, p in zip((2.3, 5.1, 11, 23), street.texture_phases, strict=True)
        )
        paint *= (1 + 0.022 * waves)[..., None]
        clear = np.exp(-s / canvas.clarity_metres)[..., None]
        haze = canvas.haze[:, None, None, None]
        paint = haze + (paint - haze) * clear
        canvas.blend((slice(None), slice(None), slice(top, None)), (below + 0.5).clip(0, 1)[..., None], paint)

    def _middle(self, s: np.ndarray) -> np.ndarray:
        """Metres to the right of the camera at which the middle of the road lies ``s`` metres ahead, (T, h)."""
        near = s.clip(0, 300)
        bend = self.street.bend(self.s[:, None] + near) - self.bend[:, None] - self.heading[:, None] * near
        return (bend - self.x[:, None]).astype(np.float32)

    def _lines(self):
        """The lines along the road: place, width, whether dashed, colour."""
        street = self.street
        white = colour(228, 228, 222)
        yield 0.0, 0.18, street.middle_dashed, street.middle_line
        for lane in range(1, street.num_lanes):
            yield lane * LANE, 0.15, True, white
            yield -lane * LANE, 0.15, True, white
        for side, parking in zip((-1, 1), street.has_parking, strict=True):
            if parking:
                yield side * street.num_lanes * LANE, 0.13, False, white

    def _building(self, building: Building, near: Place, far: Place, fade: np.ndarray) -> None:
        (x0, s0), (x1, s1) = near, far
        canvas, side = self.canvas, 1 if building.x > 0 else -1
        gable = self._lit(building.wall * (1 - 0.6 * self.street.light.contrast))
        canvas.panels(x0, s0, [(min(side * 11, 0), max(side * 11, 0), 0, building.height, gable)], fade)
        if (wall := canvas.wall((x0, x1), (s0, s1))) is None:
            return
        window, coverage = canvas.band(wall, 0, building.height)
        metres = (wall.distance / canvas.focal)[:, None]  # (t, 1, w), metres of height seen by a row
        below_horizon = canvas.rows[window[2], None] - canvas.horizon[wall.t, None, None]
        y = CAMERA_HEIGHT - below_horizon * metres
        storeys = pulse((y - 0.9) / STOREY, metres / STOREY, 0.5)
        along = (wall.distance - s0[wall.t, None]) / building.bay - (1 - building.duty) / 2
        glass = storeys * pulse(along, (wall.spread / building.bay).clip(1e-3), building.duty)[:, None]
        front = self._lit(building.wall * self.sunlit[side])
        seen_wall = canvas.hazed(front, wall.distance)[:, :, None]
        seen_glass = canvas.hazed(self._lit(building.window), wall.distance)[:, :, None]
        canvas.blend(window, coverage * fade[wall.t, None, None], seen_wall + glass * (seen_glass - seen_wall))
        if building.shop:
            display, awning = 0.5 * self._lit(building.window), self._lit(0.8 * building.wall[::-1])
            canvas.paint_bands(wall, [(0.3, 2.5, display), (2.5, 3.2, awning)], fade)

    def _tree(self, tree: Tree, near: Place, far: Place, fade: np.ndarray) -> None:
        x, s = near
        half = 0.018 * tree.height + 0.06
        middle = tree.height - 1.15 * tree.radius
        self.canvas.panels(x, s, [(-half, half, 0, middle, self._lit(colour(84, 68, 54)))], fade)
        radius = (tree.radius, 1.15 * tree.radius)
        self.canvas.blob(x, s, middle, radius, self._lit(tree.leaves).astype(np.float32), tree.bumps.tolist(), fade)

    def _lamp(self, lamp: Lamp, near: Place, far: Place, fade: np.ndarray) -> None:
        metal, top, tip = self._lit(colour(96, 98, 102)), lamp.height, -1.6 * np.sign(lamp.x)
        head = metal + (colour(255, 232, 180) - metal) * self.street.light.lamps
        parts = [
            (-0.08, 0.08, 0, top, metal),
            (min(tip, 0), max(tip, 0), top - 0.12, top, metal),
            (tip - 0.35, tip + 0.35, top - 0.3, top - 0.05, head),
        ]
        self.canvas.panels(*near, parts, fade)

    def _car(self, car: Car, near: Place, far: Place, fade: np.ndarray) -> None:
        canvas, (width, height) = self.canvas, (car.width, car.height)
        (x, s), (far_x, far_s) = near, far
        close = fade * ((38 - s) / 12).clip(0, 1)  # details are seen from close by only
        paint, glass, dark = (self._lit(tone) for tone in (car.paint, colour(46, 54, 64), colour(22, 22, 24)))
        half, sill, belt = width / 2, 0.3, 0.58 * height
        back = 0.16 if height < 2 else 0.02  # where the cabin begins, as a part of the length
        roof = 0.94 * height

        def between(part: float) -> tuple[np.ndarray, np.ndarray]:
            return x + np.float32(part) * (far_x - x), s + np.float32(part) * (far_s - s)

        cabin, end = between(back), between(0.78)
        parts = [
            (-0.86 * half, 0.86 * half, 0.8 * belt, height, paint),
            (-0.76 * half, 0.76 * half, belt, 0.93 * height, glass),
            (-half, half, 0, sill, dark),
            (-half, half, sill, belt, paint),
        ]
        lamps = list(self._lamps(car, half, belt)) if close.any() else []
        left, right = (
            np.stack([of_cabin] * 2 + [of_body] * (2 + len(lamps)))
            for of_cabin, of_body in zip(cabin, near, strict=True)
        )
        canvas.panels(left, right, parts + lamps, np.stack([fade] * 4 + [close] * len(lamps)))
        if not lamps:
            return
        flank = np.where(x > 0, -half, half).astype(np.float32)  # the side that we see
        shade = self._lit(0.72 * car.paint)
        upper = canvas.wall((cabin[0] + 0.86 * flank, end[0] + 0.86 * flank), (cabin[1], end[1]))
        canvas.paint_bands(upper, [(belt, roof, 0.72 * glass), (roof, height, shade)], close)
        if lower := canvas.wall((x + flank, far_x + flank), (s, far_s)):
            canvas.paint_bands(lower, [(0, sill, dark), (sill, belt, shade)], close)
            axles = 0.62 * car.length  # metres from wheel to wheel
            along = (lower.distance - s[lower.t, None]) / axles - 0.16
            wheels = lower.across * pulse(along, (lower.spread / axles).clip(1e-3), 0.62 / axles)
            canvas.paint_bands(replace(lower, across=wheels), [(0, 0.62, dark)], close)

    def _lamps(self, car: Car, half: float, belt: float):
        """Lights and number plate of the end of a car that faces us, as `Canvas.panels` takes them."""
        if car.heading > 0:
            dim = colour(140, 20, 18) * (1 if car.lit else self.street.light.ambient)
            lamp = dim[:, None] + (colour(255, 52, 40) - dim)[:, None] * car.braking[self.frames]
        else:
            lamp = colour(255, 248, 220) if car.lit else self._lit(colour(222, 226, 226))
        for side in (-0.82 * half, 0.82 * half):
            yield side - 0.16 * half, side + 0.16 * half, belt - 0.26, belt - 0.08, lamp
        yield -0.28 * half, 0.28 * half, 0.42, 0.56, self._lit(colour(214, 214, 206))
