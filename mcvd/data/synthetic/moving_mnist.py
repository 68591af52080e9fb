"""`StochasticMovingMNIST`: two handwritten digits that move over a black square and bounce at random."""

from __future__ import annotations

import gzip
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mcvd.data.synthetic.drawn import DrawnVideos, ink_to_pixels
from mcvd.data.synthetic.moving_strokes import bounce, compose
from mcvd.video.decoders.base import VideoError

DIGIT_SIZE = 32
FILES = {True: "train-images-idx3-ubyte", False: "t10k-images-idx3-ubyte"}
MAX_DIGITS = 1_000_000


def read_idx_images(path: str | Path) -> NDArray[np.uint8]:
    """The pictures of an idx file (``idx3-ubyte``, also ``.gz``): uint8 (N, H, W).

    Raises:
        VideoError: if it is damaged or not such a file; sizes are checked before memory is allocated.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = np.frombuffer(file.read(16), ">u4")
            if len(head) != 4 or head[0] != 0x803:
                raise ValueError("it does not begin as an idx file of pictures")
            count, height, width = (int(number) for number in head[1:])
            if not (0 < count <= MAX_DIGITS and 0 < height <= 256 and 0 < width <= 256):
                raise ValueError(f"it claims {count} pictures of {height}x{width}")
            content = file.read(count * height * width)
            if len(content) != count * height * width:
                raise ValueError("it is cut off")
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise VideoError(f"{path}: cannot be read as MNIST's pictures ({error})") from None
    return np.frombuffer(content, np.uint8).reshape(count, height, width)


def find_digits(root: str | Path, train: bool) -> Path:
    """MNIST's file of pictures: in ``root`` or where torchvision puts it, ``root/MNIST/raw``; also as ``.gz``.

    Raises:
        FileNotFoundError: if it is not there.
    """
    name = FILES[train]
    for folder in (Path(root), Path(root) / "MNIST" / "raw"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                return path
    raise FileNotFoundError(
        f"no {name}[.gz] in {root}: run python datasets/smmnist/prepare.py, or train without a download on "
        "datasets/moving_strokes/data.yaml"
    )


MAX_DIGITS = 1 << 10


class StochasticMovingMNIST(DrawnVideos):
    """Grey videos of MNIST digits with the exact motion of Stochastic Moving MNIST (`moving_strokes.bounce`).

    Digits are enlarged from 28 to 32 pixels (Pillow, bilinear), added where they overlap and clipped at 1; grey levels
    are kept. A video is determined by (seed, number), where the published code draws a new one each time.

    Args:
        root: folder with MNIST's files.
        train: the digits of MNIST's training set, or of its test set.
        num_videos: number of videos.
        num_frames: frames of each video; a longer video begins with the shorter one.
        num_digits: digits in each video.
        pool: use only the first ``pool`` digits; None uses all. The published test set has 256.
        seed: which collection of videos, 0 or more.
        frame_rate_hz: frames per second.

    Raises (on first use):
        FileNotFoundError: if MNIST is not in ``root``.
    """

    title, canvas = "digits", 64

    def __init__(
        self,
        root: str | Path,
        train: bool = True,
        num_videos: int = 60_000,
        num_frames: int = 30,
        num_digits: int = 2,
        pool: int | None = None,
        seed: int = 0,
        frame_rate_hz: float = 10.0,
    ) -> None:
        super().__init__(num_videos, num_frames, frame_rate_hz, seed)
        if not 1 <= num_digits <= MAX_DIGITS:
            raise ValueError(f"num_digits must be 1 to {MAX_DIGITS}, got {num_digits}")
        self.num_digits, self.root, self.train, self.pool = num_digits, root, train, pool

    @cached_property
    def _digits(self) -> NDArray[np.uint8]:
        """The pool of digits, read on first use: a collection can be named in a configuration without its data."""
        digits = read_idx_images(find_digits(self.root, self.train))
        if self.pool is None:
            return digits
        if not 1 <= self.pool <= len(digits):
            raise ValueError(f"pool must be 1 to {len(digits)}, the digits that there are, got {self.pool}")
        return digits[: self.pool].copy()

    def __len__(self) -> int:
        _ = self._digits  # missing files are reported before training, not by its first clip
        return self.num_videos

    def _draw(self, generator: np.random.Generator, frames: NDArray[np.int64], cover: tuple[int, int]) -> Tensor:
        choice, motion = generator.spawn(2)
        chosen = choice.integers(len(self._digits), size=self.num_digits)
        shapes = np.stack([_enlarged(self._digits[which]) for which in chosen])
        positions = bounce(motion, self.num_frames, self.num_digits, self.canvas - DIGIT_SIZE)
        return ink_to_pixels(compose(shapes, positions[frames], self.canvas), cover)


def _enlarged(digit: NDArray[np.uint8]) -> NDArray[np.float32]:
    picture = Image.fromarray(digit).resize((DIGIT_SIZE, DIGIT_SIZE), Image.Resampling.BILINEAR)
    return (np.asarray(picture) / 255).astype(np.float32)
