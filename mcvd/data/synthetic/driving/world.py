"""The streets of `DrivingScenes`: what stands along them, the traffic, and how the camera car moves.

Positions are ``(x, s)``: ``s`` metres along the road, ``x`` metres to the right of its middle. All random numbers are
drawn from one generator when the street is made, in the order in which the car passes, so a longer video of the same
street begins with the shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIGHT = 115.0  # metres; farther things are not drawn
STEP_SECONDS = 0.05  # of the simulated driving
WARM_UP_SECONDS = 6.0  # driven before the video begins, so that it may begin in the middle of a brake
LANE = 3.3  # metres, its width
STOREY = 3.1  # metres, its height


def colour(*rgb: float) -> Array:
    """A colour from numbers 0 to 255, as float (3,) 0 to 1."""
    return np.array(rgb) / 255


def palette(hexadecimal: str) -> tuple[Array, ...]:
    """Colours from their names in the web, ``"b06852 ceb894"``."""
    return tuple(colour(*bytes.fromhex(name)) for name in hexadecimal.split())


@dataclass(frozen=True)
class Light:
    """The light of a time of day: sky colours and what daylight does to every other colour; float (3,) 0 to 1."""

    zenith: Array
    horizon: Array
    ambient: Array
    contrast: float  # of sunlit against shaded sides
    lamps: float  # 0: off, 1: night

    def mixed(self, other: Light, part: float) -> Light:
        """This light with the fraction ``part`` of another one."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in Light.__dataclass_fields__)
        return Light(*(a + part * (b - a) for a, b in pairs))


NOON = Light(colour(84, 138, 205), colour(200, 218, 232), np.array([1.0, 1.0, 0.98]), 0.32, 0.0)
OVERCAST = Light(colour(150, 158, 168), colour(205, 208, 210), np.array([0.82, 0.84, 0.86]), 0.08, 0.1)
EVENING = Light(colour(92, 112, 165), colour(246, 190, 130), np.array([0.96, 0.82, 0.69]), 0.36, 0.5)
NIGHTFALL = Light(colour(24, 32, 66), colour(104, 90, 116), np.array([0.33, 0.35, 0.46]), 0.06, 1.0)
LIGHTS = (NOON, OVERCAST, EVENING, NIGHTFALL)

WALLS = palette("b06852 ceb894 9e968e e2dac8 88604c ba966e 7a848e d4a678")
PAINTS = palette("e2e2e0 ced0d2 969aa0 80868e 2c2e34 40444c ac2222 26468a d6b034 406252")
GLASS, LAMPLIGHT, ZEBRA = colour(70, 82, 96), colour(255, 214, 140), colour(226, 226, 220)
SALOON, VAN, LORRY = (1.78, 4.3, 1.5), (1.95, 5.2, 2.2), (2.35, 8.0, 3.1)  # width, length and height in metres
LEAVES = palette("4a6c2e 385c30 6e7a32 96682e 5c783e")


@dataclass(frozen=True)
class Building:
    """A box beside the road: ``x`` is its front, on the left or the right, ``s`` its near end."""

    x: float
    s: float
    length: float
    height: float
    wall: Array
    window: Array
    bay: float  # metres from window to window
    duty: float  # part of a bay that is window
    shop: bool


@dataclass(frozen=True)
class Tree:
    """A trunk and a crown."""

    x: float
    s: float
    height: float
    radius: float
    leaves: Array
    bumps: Array
    length: float = 0.0


@dataclass(frozen=True)
class Lamp:
    """A street lamp whose arm reaches towards the road."""

    x: float
    s: float
    height: float
    length: float = 0.0


@dataclass(frozen=True)
class Patch:
    """A rectangle painted on the ground."""

    x: tuple[float, float]
    s: tuple[float, float]
    paint: Array
    strength: float


@dataclass(frozen=True)
class Car:
    """A parked or moving car: ``s`` is its near end, one number or one for every frame."""

    x: float
    s: float | Array
    width: float
    length: float
    height: float
    paint: Array
    heading: int  # 1: we see its back, -1: its front
    braking: Array  # float (num_frames,), 0 to 1
    lit: bool = False


@dataclass(frozen=True)
class Drive:
    """How the camera car moves, one value per frame: float (num_frames,)."""

    s: Array  # metres along the road
    x: Array  # metres to the right of the middle
    speed: Array  # metres per second
    pitch: Array  # radians, up
    gap: Array  # metres to the car ahead
    ahead_braking: Array  # 0 to 1, brake lights of the car ahead


class Street:
    """One street of one scene with everything on it.

    Args:
        generator: of all random numbers.
        num_frames: how long the camera drives.
        frame_rate_hz: frames per second.
    """

    def __init__(self, generator: np.random.Generator, num_frames: int, frame_rate_hz: float):
        plan, driving, left, right, ground, traffic = generator.spawn(6)
        self.num_frames = num_frames
        self.seconds = np.arange(num_frames) / frame_rate_hz
        self._plan(plan)
        self.drive = self._drive(driving)
        end = float(self.drive.s[-1]) + SIGHT
        self.buildings: list[Building] = []
        self.trees: list[Tree] = []
        self.lamps: list[Lamp] = []
        self.parked: list[Car] = []
        for side, rng in ((-1, left), (1, right)):
            self._line(rng, side, end)
        self.patches = self._patches(ground, end)
        self.traffic = self._traffic(traffic)

    def _plan(self, rng: np.random.Generator) -> None:
        """Draw the properties of the street as a whole."""
        first, second = rng.choice(4, 2, replace=False, p=[0.38, 0.22, 0.25, 0.15])
        self.light = LIGHTS[first].mixed(LIGHTS[second], rng.uniform(0, 0.35))
        self.sun_side = int(rng.choice([-1, 1]))
        self.num_lanes = int(rng.choice([1, 2], p=[0.65, 0.35]))  # each way
        self.lane = int(rng.integers(self.num_lanes))  # ours, 0 beside the middle
        self.has_parking = rng.random(2) < 0.55
        self.kerb = self.num_lanes * LANE + np.where(self.has_parking, 2.3, 0.5)  # (2,): left and right
        self.sidewalk = rng.uniform(2.2, 4.5, 2)
        self.setback = rng.choice([0.0, 0.0, 2.5, 7.0]) + rng.uniform(0, 1.5)
        self.storeys = rng.uniform(1.6, 6.5)
        self.gap_chance = rng.uniform(0.1, 0.8)
        self.tree_gap = float(np.exp(rng.uniform(np.log(8), np.log(45))))
        self.tree_height = rng.uniform(5, 10)
        self.walls = [WALLS[i] for i in rng.choice(len(WALLS), 4, replace=False)]
        self.leaves = LEAVES[rng.integers(len(LEAVES))]
        grey = rng.uniform(70, 118)
        self.asphalt = colour(grey, grey, grey + rng.uniform(0, 10))
        self.paving = colour(*(rng.uniform(128, 172) + np.array([6, 0, -8])))
        self.verge = [colour(96, 112, 62), colour(150, 140, 120), colour(128, 122, 112)][rng.integers(3)]
        self.middle_line = [colour(232, 232, 224), colour(222, 184, 70)][rng.integers(2)]
        self.middle_dashed = bool(rng.random() < 0.5)
        # Curves: sine waves with bends no tighter than a 250 m radius, so that no bend hides the road within sight.
        self.wavenumbers = 2 * np.pi / rng.uniform([180, 320], [320, 640])
        self.bends = rng.uniform([0.0005, 0.0005], [0.0022, 0.0016]) / self.wavenumbers**2
        self.bend_phases = rng.uniform(0, 2 * np.pi, 2)
        self.texture_phases = rng.uniform(0, 2 * np.pi, 4)
        self.hill_phases = rng.uniform(0, 2 * np.pi, 4)
        self.hill_height = rng.uniform(0.01, 0.09)
        self.cloud = rng.uniform([-1.2, 0.08, 0.1, 0.015, 0.1], [1.2, 0.42, 0.45, 0.06, 0.75], (6, 5))
        self.drift = rng.uniform([0.03, 0.15, 0], [0.09, 0.6, 2 * np.pi])
        self.brightness = 1 + self.drift[0] * np.sin(self.drift[1] * self.seconds + self.drift[2])

    def bend(self, s: Array) -> Array:
        """How far the middle of the road lies to the right of the straight line, in metres, at ``s`` of any shape."""
        return (self.bends * np.sin(np.asarray(s)[..., None] * self.wavenumbers + self.bend_phases)).sum(-1)

    def heading(self, s: Array) -> Array:
        """The slope of `bend`: the road's direction in radians, positive to the right."""
        slopes = self.bends * self.wavenumbers
        return (slopes * np.cos(np.asarray(s)[..., None] * self.wavenumbers + self.bend_phases)).sum(-1)

    def _drive(self, rng: np.random.Generator) -> Drive:
        """Follow a car that now and then brakes, with a fixed time headway.

        The speed approaches that of the car ahead with time constant ``headway``; the gap is then exactly
        ``standing + headway * speed``, as careful drivers keep it.
        """
        headway, standing = rng.uniform(0.7, 1.6), rng.uniform(4, 9)
        cruise = rng.uniform(5.5, 14)
        phases = rng.uniform(0, 2 * np.pi, 4)
        num_steps = int(np.ceil((self.seconds[-1] + WARM_UP_SECONDS) / STEP_SECONDS)) + 2
        ahead = ours = target = cruise
        pull, place, until = 0.0, 0.0, 0
        trace = np.empty((num_steps, 4))
        for step in range(num_steps):
            if step >= until:
                until = step + int(rng.uniform(1.5, 4.5) / STEP_SECONDS)
                brakes = rng.random() < 0.35
                target = cruise * (rng.uniform(0.1, 0.6) if brakes else rng.uniform(0.9, 1.15))
            wish = min(max((target - ahead) / 1.2, -4.0), 2.0)
            pull += (wish - pull) * STEP_SECONDS / 0.35
            ahead = max(ahead + pull * STEP_SECONDS, 0.0)
            acceleration = (ahead - ours) / headway
            ours += acceleration * STEP_SECONDS
            place += ours * STEP_SECONDS
            trace[step] = place, ours, acceleration, pull
        clock = np.arange(num_steps) * STEP_SECONDS - WARM_UP_SECONDS
        places, speeds, accelerations, pulls = (np.interp(self.seconds, clock, column) for column in trace.T)
        bounce = 0.0022 * np.sin(7.1 * self.seconds + phases[0]) * np.sin(1.3 * self.seconds + phases[1])
        wander = 0.16 * np.sin(0.7 * self.seconds + phases[2]) + 0.1 * np.sin(1.9 * self.seconds + phases[3])
        return Drive(
            s=places,
            x=(self.lane + 0.5) * LANE + wander,
            speed=speeds,
            pitch=0.0035 * accelerations + bounce,
            gap=standing + headway * speeds,
            ahead_braking=(-pulls / 1.0).clip(0, 1),
        )

    def _line(self, rng: np.random.Generator, side: int, end: float) -> None:
        """Line one side of the road with buildings, trees, lamps and parked cars, from the start to ``end``."""
        which = (side + 1) // 2
        kerb, front = float(self.kerb[which]), float(self.kerb[which] + self.sidewalk[which] + self.setback)
        houses, trees, lamps, parked = rng.spawn(4)

        s = -40.0 + houses.uniform(0, 20)
        while s < end:
            length = houses.uniform(8, 24)
            storeys = max(1, round(self.storeys * houses.uniform(0.6, 1.5)))
            wall = self.walls[houses.integers(len(self.walls))] * houses.uniform(0.8, 1.12)
            glass = GLASS * houses.uniform(0.6, 1.3)
            if houses.random() < self.light.lamps * 0.6:
                glass = LAMPLIGHT / self.light.ambient.clip(0.5)
            building = Building(
                x=side * (front + houses.choice([0, 0, 1.2])),
                s=s,
                length=length,
                height=STOREY * storeys + houses.uniform(0.5, 1.0),
                wall=wall.clip(0, 1),
                window=glass.clip(0, 1),
                bay=houses.uniform(2.2, 3.8),
                duty=houses.uniform(0.35, 0.6),
                shop=bool(houses.random() < 0.35 and self.setback < 2),
            )
            self.buildings.append(building)
            gap = houses.uniform(3, 16)
            s += length + (gap if houses.random() < self.gap_chance else 0)

        s = -20 + trees.uniform(0, self.tree_gap)
        while s < end:
            height = self.tree_height * trees.uniform(0.75, 1.25)
            self.trees.append(
                Tree(
                    x=side * (kerb + trees.uniform(0.9, 1.5)),
                    s=s,
                    height=height,
                    radius=height * trees.uniform(0.2, 0.32),
                    leaves=(self.leaves * trees.uniform(0.75, 1.2)).clip(0, 1),
                    bumps=trees.uniform(0, 2 * np.pi, 4),
                )
            )
            s += self.tree_gap * trees.uniform(0.6, 1.6)

        s = lamps.uniform(-20, 10)
        while s < end:
            self.lamps.append(Lamp(x=side * (kerb + 0.6), s=s, height=7.0))
            s += 30

        s, still = -10 + parked.uniform(0, 6), np.zeros(self.num_frames)
        while self.has_parking[which] and s < end:
            if parked.random() < 0.6:
                x = side * (kerb - 1.1)
                self.parked.append(Car(x, s, *self._model(parked), heading=side, braking=still))
            s += 6.2 if parked.random() < 0.85 else parked.uniform(12, 30)

    def _model(self, rng: np.random.Generator) -> tuple[float, float, float, Array]:
        """Width, length, height and paint of a car, van or lorry."""
        paint = PAINTS[rng.integers(len(PAINTS))]
        kind = rng.random()
        size = SALOON if kind < 0.8 else VAN if kind < 0.95 else LORRY
        return *size, (paint * rng.uniform(0.85, 1.1)).clip(0, 1)

    def _patches(self, rng: np.random.Generator, end: float) -> list[Patch]:
        """Crossings, mended asphalt and manholes, which make the motion of the road itself visible."""
        left, right = -float(self.kerb[0]), float(self.kerb[1])
        patches, s = [], rng.uniform(-5, 12)
        while s < end:
            kind, x, paint = rng.choice(3, p=[0.62, 0.26, 0.12]), rng.uniform(left + 1, right - 2), self.asphalt
            if kind == 0:
                width, length = rng.uniform(0.8, 3), rng.uniform(2, 12)
                patches.append(Patch((x, x + width), (s, s + length), paint * rng.choice([0.72, 1.2]), 0.8))
            elif kind == 1:
                patches.append(Patch((x, x + 0.7), (s, s + 0.7), paint * 0.45, 1.0))
            else:
                for stripe in np.arange(left + 0.6, right - 0.7, 1.2):
                    patches.append(Patch((stripe, stripe + 0.6), (s, s + 3.2), ZEBRA, 0.9))
            s += rng.uniform(7, 26)
        return patches

    def _traffic(self, rng: np.random.Generator) -> list[Car]:
        """Moving cars, from the outer lanes to ours and, within a lane, from far to near."""
        still = np.zeros(self.num_frames)
        lit = self.light.lamps > 0.4
        ahead, *lanes = rng.spawn(1 + 2 * self.num_lanes)
        cars: list[Car] = []
        for lane, lane_rng in enumerate(lanes, -self.num_lanes):
            towards = lane < 0
            if lane == self.lane:
                continue
            speed = lane_rng.uniform(6, 14)
            swing = lane_rng.uniform([0.05, 0.4, 0], [0.25, 0.9, 2 * np.pi])
            way = speed * (self.seconds - swing[0] * np.cos(swing[1] * self.seconds + swing[2]) / swing[1])
            density = lane_rng.uniform(18, 70)
            s, convoy = lane_rng.uniform(-30, 30), []
            last = SIGHT + self.drive.s[0] + (2 * float(way[-1] - way[0]) + 200 if towards else 0)
            while s < last:
                heading = -1 if towards else 1
                place = self.drive.s[0] + s + heading * (way - way[0])
                model = self._model(lane_rng)
                convoy.append(Car((lane + 0.5) * LANE, place, *model, heading, still, lit))
                s += 12 + lane_rng.exponential(density)
            cars += convoy[::-1]
        # Ours: the car that we follow, and those which it follows at a fixed distance.
        if ahead.random() < 0.75:
            rear, convoy = self.drive.s + self.drive.gap, []
            for _ in range(3):
                car = Car((self.lane + 0.5) * LANE, rear, *self._model(ahead), 1, self.drive.ahead_braking, lit)
                convoy.append(car)
                rear = rear + car.length + ahead.uniform(10, 45)
            cars += convoy[::-1]
        return cars
