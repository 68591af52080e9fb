"""`MovingStrokes`: letters of a made-up alphabet that move and bounce by the rules of Stochastic Moving MNIST."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mcvd.data.synthetic.drawn import DrawnVideos, ink_to_pixels

SHAPE_SIZE = 32  # pixels; height and width of the square in which one shape is drawn
MAX_SPEED = 4  # pixels per frame along each axis
ALPHABET_SIZE = 10
ALPHABET_SEED = 1998


def bounce(generator: np.random.Generator, num_frames: int, num_shapes: int, room: int) -> NDArray[np.int64]:
    """Positions of shapes that move straight and leave a wall at random: the motion of Stochastic Moving MNIST.

    Initial positions are 0 to ``room - 1`` and initial speeds -4 to 4 along each axis. A shape that has left
    ``0 <= position < room`` is put back on the edge, and both its speeds are drawn anew: along the wall's axis strictly
    inward (1 to 4), along the other any (Denton and Fergus, arXiv 1802.07687, and their published generator).

    Args:
        generator: of all random numbers.
        num_frames: T, length of the motion; a longer one begins with the shorter one.
        num_shapes: N, shapes, which pass through each other.
        room: number of positions along each axis: the canvas minus the size of a shape.

    Returns:
        int64 (T, N, 2): top and left of each shape in pixels.

    Examples:
        >>> bounce(np.random.default_rng(0), num_frames=30, num_shapes=2, room=32).shape
        (30, 2, 2)
    """
    positions = np.empty((num_frames, num_shapes, 2), np.int64)
    for shape, rng in enumerate(generator.spawn(num_shapes)):
        position = rng.integers(0, room, 2)
        speed = rng.integers(-MAX_SPEED, MAX_SPEED + 1, 2)
        for t in range(num_frames):
            for axis in (0, 1):
                if 0 <= position[axis] < room:
                    continue
                inward = 1 if position[axis] < 0 else -1
                position[axis] = 0 if position[axis] < 0 else room - 1
                # In a corner the left or right wall comes last, and draws the vertical speed once more.
                speed = rng.integers(-MAX_SPEED, MAX_SPEED + 1, 2)
                speed[axis] = inward * rng.integers(1, MAX_SPEED + 1)
            positions[t, shape] = position
            position = position + speed
    return positions


def compose(shapes: NDArray[np.float32], positions: NDArray[np.int64], canvas: int) -> NDArray[np.float32]:
    """Frames with shapes at their positions, added where they overlap and clipped at 1.

    Args:
        shapes: float32 (N, h, w), 0 is background, 1 is full ink.
        positions: int64 (T, N, 2), top and left in pixels, as from `bounce`.
        canvas: height and width of the frames in pixels.

    Returns:
        float32 (T, canvas, canvas), 0 to 1.
    """
    height, width = shapes.shape[1:]
    frames = np.zeros((len(positions), canvas, canvas), np.float32)
    for frame, corners in zip(frames, positions.tolist(), strict=True):
        for shape, (top, left) in zip(shapes, corners, strict=True):
            frame[top : top + height, left : left + width] += shape
    return np.minimum(frames, 1)


def letter(which: int) -> NDArray[np.float64]:
    """The pen's path of one letter of the made-up alphabet: float64 (64, 2), down and right, -1 to 1.

    A letter is a smooth curve through a few points: a closed loop, a spiral, or a line that swings from side to side
    down the page.

    Args:
        which: 0 <= which < 10.
    """
    rng = np.random.default_rng([ALPHABET_SEED, which])
    closed = which % 3 == 0
    if which % 3 == 2:
        num_points = int(rng.integers(4, 6))
        swing = rng.choice([-1, 1]) * (-1) ** np.arange(num_points)
        down = np.linspace(-1, 1, num_points) + rng.uniform(-0.2, 0.2, num_points)
        points = np.stack([down, swing * rng.uniform(0.3, 1, num_points)], 1)
    else:
        num_points = 5 if closed else 7
        turns = np.arange(num_points) / num_points * (1 if closed else rng.uniform(1.1, 1.6))
        radius = rng.uniform(0.4, 1, num_points) if closed else np.linspace(0.3, 1.3, num_points)
        angle = 2 * np.pi * (rng.choice([-1, 1]) * turns + rng.random())
        points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    # Catmull-Rom: through all points, with continuous direction.
    around = np.concatenate([points[-1:], points, points[:2]] if closed else [points[:1], points, points[-1:]])
    num_arcs = len(around) - 3
    arc, part = np.divmod(np.linspace(0, num_arcs, 64, endpoint=False), 1)
    a, b, c, d = (around[arc.astype(int) + k] for k in range(4))
    u = part[:, None]
    path = b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
    low, high = path.min(0), path.max(0)
    return (path - (low + high) / 2) / ((high - low).max() / 2)


def draw_letter(which: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """One letter in random handwriting: slanted, rotated, stretched and thickened; float32 (32, 32), 0 to 1."""
    slant, turn = generator.uniform(-0.3, 0.3), generator.uniform(-0.25, 0.25)
    reach = generator.uniform([9.5, 6.5], [11.5, 10.0])  # pixels from the middle, down and right
    half_pen = generator.uniform(1.1, 1.9)
    down, right = letter(which).T
    right = right - slant * down
    path = np.stack([np.cos(turn) * down + np.sin(turn) * right, np.cos(turn) * right - np.sin(turn) * down])
    path *= (reach / np.abs(path).max(1))[:, None]
    pixels = np.arange(SHAPE_SIZE) + 0.5 - SHAPE_SIZE / 2
    starts, steps = path[:, :-1], np.diff(path)  # the path as short line segments
    from_start = pixels[None, :, None] - starts[:, None]  # (2, 32, 63), along each axis
    along = (from_start[0] * steps[0])[:, None] + (from_start[1] * steps[1])[None]
    along = (along / (steps**2).sum(0).clip(1e-9)).clip(0, 1)  # (32, 32, 63), the nearest point of each segment
    apart = (from_start[0][:, None] - along * steps[0]) ** 2 + (from_start[1][None] - along * steps[1]) ** 2
    return (half_pen + 0.5 - np.sqrt(apart.min(-1))).clip(0, 1).astype(np.float32)


MAX_SHAPES, MAX_CANVAS = 1 << 10, 1 << 12


class MovingStrokes(DrawnVideos):
    """Grey videos of letters that move over a black square and bounce at random. Nothing to download.

    The motion is that of Stochastic Moving MNIST; the shapes are not MNIST's digits but ten made-up letters, in another
    handwriting in every video, so no score on this collection can be compared with one on that data set.
    Collections with different seeds share no video; by convention seed 0 trains and seed 1 is held out.

    Args:
        num_videos: number of videos.
        num_frames: frames of each video; a longer video begins with the shorter one.
        num_shapes: letters in each video.
        canvas: height and width in pixels of the square in which the letters move, at least 33. Frames of another size
            are resized from it.
        seed: which collection of videos, 0 or more.
        frame_rate_hz: frames per second.

    Examples:
        >>> clip = MovingStrokes().read(0, range(10), cover=(64, 64))
        >>> clip.shape, clip.dtype
        (torch.Size([10, 1, 64, 64]), torch.uint8)
    """

    title = "strokes"

    def __init__(
        self,
        num_videos: int = 10_000,
        num_frames: int = 30,
        num_shapes: int = 2,
        canvas: int = 64,
        seed: int = 0,
        frame_rate_hz: float = 10.0,
    ):
        super().__init__(num_videos, num_frames, frame_rate_hz, seed)
        if not 1 <= num_shapes <= MAX_SHAPES:
            raise ValueError(f"num_shapes must be 1 to {MAX_SHAPES}, got {num_shapes}")
        if canvas > MAX_CANVAS:
            raise ValueError(f"canvas must be at most {MAX_CANVAS} pixels, got {canvas}")
        if canvas <= SHAPE_SIZE:
            raise ValueError(f"letters of {SHAPE_SIZE} pixels need a canvas of {SHAPE_SIZE + 1} or more, got {canvas}")
        self.num_shapes, self.canvas = num_shapes, canvas

    def _draw(self, generator: np.random.Generator, frames: NDArray[np.int64], cover: tuple[int, int]) -> Tensor:
        handwriting, motion = generator.spawn(2)
        hands = handwriting.spawn(self.num_shapes)
        shapes = np.stack([draw_letter(int(hand.integers(ALPHABET_SIZE)), hand) for hand in hands])
        positions = bounce(motion, self.num_frames, self.num_shapes, self.canvas - SHAPE_SIZE)
        return ink_to_pixels(compose(shapes, positions[frames], self.canvas), cover)
