"""`MovingStills`: a camera that pans, zooms, turns and shakes over photographs, and things that move before them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from mcvd.data.synthetic.cutouts import SUPERSAMPLING, Cutout, places_seen, put_over, reduced, way_after
from mcvd.data.synthetic.drawn import DrawnVideos
from mcvd.video.decoders.base import FRAME_SUFFIXES
from mcvd.video.decoders.pictures import load_picture

MAX_CUTOUTS = 20
MAX_ZOOM = 32.0  # either way, of the field of view: long videos would see less than a pixel, or more than numbers hold
ROLL = 0.3  # radians that a shaking hand turns while it moves by the width of the view
LONGEST = 1024  # pixels of a photograph's longer side that are kept


@dataclass(frozen=True)
class CameraMove:
    """Where a camera looks in each frame, in units of its own field of view at the first frame.

    Args:
        centre: float64 (T, 2), how far right and down of where it began.
        zoom: float64 (T,), the field of view relative to the first, above 0.
        angle: float64 (T,), radians, clockwise.
    """

    centre: NDArray[np.float64]
    zoom: NDArray[np.float64]
    angle: NDArray[np.float64]

    @classmethod
    def drawn(
        cls, generator: np.random.Generator, num_frames: int, frame_rate_hz: float, inward: NDArray[np.float64]
    ) -> CameraMove:
        """A random move; a longer one begins with the shorter one.

        Args:
            generator: of all random numbers.
            num_frames: T.
            frame_rate_hz: frames per second.
            inward: (2,), 1 or -1: whether there is more room right or left, down or up, where it pans to.

        Speeds are spread evenly over their orders of magnitude: a pan of 2% to 100% of the view a second, a zoom of
        1% to 40%, a turn of 0.2 to 20 degrees, each absent in some moves; one in ten stands on a tripod. A hand that
        shakes adds a speed of 1% to 100% of the view a second and a turn, in any direction, which it forgets within
        0.03 to 3 seconds: what film of hands does next is not always what it did. Pans, zooms and turns speed up or
        slow down in the first four seconds.
        """
        from scipy.signal import lfilter  # seconds of import, for who draws

        seconds = np.arange(num_frames) / frame_rate_hz
        on_tripod = generator.random() < 0.1

        def speed(low: float, high: float, likely: float) -> float:
            magnitude = np.exp(generator.uniform(np.log(low), np.log(high)))
            there = generator.random() < likely and not on_tripod
            return float(magnitude) if there else 0.0

        pan, zoom, turn = speed(0.02, 1.0, 0.8), speed(0.01, 0.4, 0.5), np.radians(speed(0.2, 20, 0.3))
        shake, memory_seconds = speed(0.01, 1.0, 0.6), np.exp(generator.uniform(np.log(0.03), np.log(3.0)))
        zoom, turn = (each * generator.choice((-1, 1)) for each in (zoom, turn))
        towards, tilt, faster = generator.uniform((0, -0.1, -0.2), (np.pi / 2, 0.1, 0.2))
        way = way_after(seconds, faster)
        keeps = np.exp(-1 / (frame_rate_hz * memory_seconds))
        kicks = generator.normal(size=(num_frames, 3)) * np.sqrt(1 - keeps**2)  # last: longer ones begin alike
        kicks[:1] /= np.sqrt(1 - keeps**2)  # it is as fast at first as later
        shaken = shake / frame_rate_hz * np.cumsum(lfilter([1.0], [1.0, -keeps], kicks, axis=0), 0)
        shaken -= shaken[0]  # it begins where it is said to, with what it sees inside the photograph
        centre = pan * way[:, None] * inward * np.array([np.cos(towards), np.sin(towards)]) + shaken[:, :2]
        bound = np.log(MAX_ZOOM)
        angle = tilt + turn * way + ROLL * shaken[:, 2]
        return cls(centre, np.exp(np.clip(zoom * way, -bound, bound)), angle)


class MovingStills(DrawnVideos):
    """Photographs seen by a moving camera: pans, zooms, turns and hand shake, of all speeds; some stand still.

    What moves in them is the camera, which much of real film is about, and pieces of other photographs where
    ``max_cutouts`` allows it, at the price of a folder of pictures. Where the camera leaves a photograph it sees its
    mirror image.

    Args:
        root: a folder of pictures (jpg, png, webp and others), all levels of it.
        num_videos: number of videos, each over a picture taken at random.
        num_frames: frames of each video; a longer video begins with the shorter one.
        frame_rate_hz: frames per second.
        seed: which collection, 0 or more.
        max_cutouts: at most so many pieces of other pictures, of any outline, move over each; their number is drawn.

    Raises (on first use):
        FileNotFoundError: if there is no picture.
        VideoError: if a picture cannot be read.
    """

    title = "still"

    def __init__(
        self,
        root: str | Path,
        num_videos: int = 1000,
        num_frames: int = 20,
        frame_rate_hz: float = 10.0,
        seed: int = 0,
        max_cutouts: int = 0,
    ):
        super().__init__(num_videos, num_frames, frame_rate_hz, seed)
        if not 0 <= max_cutouts <= MAX_CUTOUTS:
            raise ValueError(f"MovingStills takes 0 to {MAX_CUTOUTS} for max_cutouts, got {max_cutouts}")
        self.root, self.max_cutouts = Path(root), max_cutouts

    @property
    def channels(self) -> int:
        """3: red, green, blue."""
        return 3

    def __len__(self) -> int:
        return self.num_videos if self._files else 0  # a folder without pictures is told before the first clip

    @cached_property
    def _files(self) -> list[Path]:
        files = sorted(path for path in self.root.rglob("*") if path.suffix.lower() in FRAME_SUFFIXES)
        if not files:
            endings = ", ".join(sorted(FRAME_SUFFIXES))
            raise FileNotFoundError(
                f"no picture in {self.root} ({endings}): name a folder of pictures (--data.train.init_args.root)"
            )
        return files

    @cached_property
    def _opened(self) -> dict[Path, Tensor]:
        return {}

    def _picture(self, file: Path) -> Tensor:
        """float32 (1, 3, H, W) in [0, 1], kept in memory once read."""
        if file not in self._opened:
            picture = load_picture(file)
            picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
            self._opened[file] = rearrange(torch.from_numpy(np.asarray(picture) / np.float32(255)), "h w c -> 1 c h w")
        return self._opened[file]

    def _drawn_picture(self, generator: np.random.Generator) -> Tensor:
        return self._picture(self._files[generator.integers(len(self._files))])

    def _draw(self, generator: np.random.Generator, frames: NDArray[np.int64], cover: tuple[int, int]) -> Tensor:
        picture = self._drawn_picture(generator)
        height, width = picture.shape[2:]
        # The first view: of the shape of the frames, a third to all of what fits, anywhere in the picture.
        view = np.array([cover[1], cover[0]]) / max(cover[0] / height, cover[1] / width) * generator.uniform(0.35, 1)
        start = generator.uniform(view / 2, np.array([width, height]) - view / 2)
        inward = np.where(start < np.array([width, height]) / 2, 1.0, -1.0)
        of_cutouts = generator.spawn(1)[0]  # they take nothing from the draws of the camera
        move = CameraMove.drawn(generator, self.num_frames, self.frame_rate_hz, inward)
        views = torch.cat(
            [
                _view(picture, view * move.zoom[frame], start + move.centre[frame] * view, move.angle[frame], cover)
                for frame in frames
            ]
        )
        if num_cutouts := int(of_cutouts.integers(self.max_cutouts + 1)):
            places = places_seen(move.centre[frames], move.zoom[frames], move.angle[frames], cover)
            for each in of_cutouts.spawn(num_cutouts):
                cutout = Cutout.drawn(each, self.num_frames, self.frame_rate_hz)
                views = put_over(views, places, cutout, self._drawn_picture(each), frames)
        return (views * 255 + 0.5).clamp(0, 255).to(torch.uint8)


def _view(
    picture: Tensor, view: NDArray[np.float64], centre: NDArray[np.float64], angle: float, cover: tuple[int, int]
) -> Tensor:
    """What a camera sees: float32 (1, 3, H, W) of ``cover = (H, W)``.

    Args:
        picture: float32 (1, 3, h, w).
        view: width and height that it sees, in pixels of the picture.
        centre: right and down, in pixels of the picture.
        angle: radians, clockwise.
    """
    size = np.array([picture.shape[3], picture.shape[2]])
    # Reduced until a sample steps at most over two pixels: averages of four then see all of them.
    picture = reduced(picture, min(view / cover[::-1]) / SUPERSAMPLING)
    cos, sin = np.cos(angle), np.sin(angle)
    half = view / size  # grids run from -1 to 1 over the picture
    turned = np.array([[cos * half[0], -sin * view[1] / size[0]], [sin * view[0] / size[1], cos * half[1]]])
    theta = torch.from_numpy(np.column_stack([turned, 2 * centre / size - 1])).float()[None]
    fine = [1, 3, *(SUPERSAMPLING * side for side in cover)]
    grid = affine_grid(theta, fine, align_corners=False)
    seen = grid_sample(picture, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return avg_pool2d(seen, SUPERSAMPLING)
