"""`StochasticMovingMNIST`: two handwritten digits that move over a black square and bounce at random."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mcvd.data.synthetic.drawn import DrawnVideos, ink_to_pixels
from mcvd.data.synthetic.moving_strokes import bounce, compose
from mcvd.data.videos import SignalsError, check_request
from mcvd.runtime.suggest import did_you_mean
from mcvd.video.decoders.base import VideoError

DIGIT_SIZE = 32
FILES = {True: "train-images-idx3-ubyte", False: "t10k-images-idx3-ubyte"}
LABEL_FILES = {True: "train-labels-idx1-ubyte", False: "t10k-labels-idx1-ubyte"}
LABELS = tuple(f"label={digit}" for digit in range(10))
MAX_PICTURES = 1_000_000
MAX_DIGITS = 1 << 10  # in a video


def read_idx_images(path: str | Path) -> NDArray[np.uint8]:
    """The pictures of an idx file (``idx3-ubyte``, also ``.gz``): uint8 (N, H, W).

    Raises:
        VideoError: if it is damaged or not such a file; sizes are checked before memory is allocated.
    """
    return _read_idx(Path(path), "pictures", 3)


def read_idx_labels(path: str | Path) -> NDArray[np.uint8]:
    """The labels of an idx file (``idx1-ubyte``, also ``.gz``): uint8 (N,), 0 to 9.

    Raises:
        VideoError: if it is damaged or not such a file.
    """
    labels = _read_idx(Path(path), "labels", 1)
    if labels.max() >= len(LABELS):
        raise VideoError(f"{path}: cannot be read as MNIST's labels (label {labels.argmax()} is {labels.max()})")
    return labels


def _read_idx(path: Path, kind: str, num_axes: int) -> NDArray[np.uint8]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = np.frombuffer(file.read(4 * (1 + num_axes)), ">u4")
            if len(head) != 1 + num_axes or head[0] != 0x800 + num_axes:
                raise ValueError(f"it does not begin as an idx file of {kind}")
            count, *sides = (int(number) for number in head[1:])
            if not (0 < count <= MAX_PICTURES and all(0 < side <= 256 for side in sides)):
                raise ValueError(f"it claims {count} {kind}" + (f" of {'x'.join(map(str, sides))}" if sides else ""))
            content = file.read(count * prod(sides))
            if len(content) != count * prod(sides):
                raise ValueError("it is cut off")
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise VideoError(f"{path}: cannot be read as MNIST's {kind} ({error})") from None
    return np.frombuffer(content, np.uint8).reshape(count, *sides)


def find_digits(root: str | Path, train: bool) -> Path:
    """MNIST's file of pictures; see `find_file`."""
    return find_file(root, FILES[train])


def find_file(root: str | Path, name: str) -> Path:
    """A file of MNIST: in ``root`` or where torchvision puts it, ``root/MNIST/raw``; also as ``.gz``.

    Raises:
        FileNotFoundError: if it is not there.
    """
    for folder in (Path(root), Path(root) / "MNIST" / "raw"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                return path
    raise FileNotFoundError(
        f"no {name}[.gz] in {root}: run python datasets/smmnist/prepare.py, or train without a download on "
        "datasets/moving_strokes/data.yaml"
    )


class StochasticMovingMNIST(DrawnVideos):
    """Grey videos of MNIST digits with the exact motion of Stochastic Moving MNIST (`moving_strokes.bounce`).

    Digits are enlarged from 28 to 32 pixels (Pillow, bilinear), added where they overlap and clipped at 1; grey levels
    are kept. A video is determined by (seed, number), where the published code draws a new one each time. With MNIST's
    file of labels beside that of the pictures it tells ``label=0`` to ``label=9``: whether there is such a digit in it.

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

    @cached_property
    def _labels(self) -> NDArray[np.uint8]:
        """Which digit each of MNIST's is, uint8 (N,)."""
        labels = read_idx_labels(find_file(self.root, LABEL_FILES[self.train]))
        if len(labels) < len(self._digits):
            raise VideoError(f"{self.root}: {len(labels)} labels for {len(self._digits)} digits")
        return labels

    def signal_names(self, index: int) -> list[str]:
        """The labels, where their file is there."""
        try:
            _ = self._labels
        except FileNotFoundError:
            return []
        return [*LABELS]

    def signals(self, index: int, names: Sequence[str]) -> NDArray[np.float32]:
        """Which digits are in the video, float32 (num_frames, A) of 0 and 1."""
        check_request(index, (), self.num_videos, self.num_frames)
        for name in names:
            if name not in LABELS:
                known = f"{LABELS[0]} to {LABELS[-1]}"
                raise SignalsError(f"{self.name(index)}: there is no {name}{did_you_mean(name, LABELS)} ({known})")
        choice, _ = np.random.default_rng([self.seed, index]).spawn(2)
        digits = {f"label={digit}" for digit in self._labels[self._chosen(choice)]}
        row = np.array([name in digits for name in names], np.float32)
        return np.broadcast_to(row, (self.num_frames, len(names))).copy()

    def __len__(self) -> int:
        _ = self._digits  # missing files are reported before training, not by its first clip
        return self.num_videos

    def _draw(self, generator: np.random.Generator, frames: NDArray[np.int64], cover: tuple[int, int]) -> Tensor:
        choice, motion = generator.spawn(2)
        shapes = np.stack([_enlarged(self._digits[which]) for which in self._chosen(choice)])
        positions = bounce(motion, self.num_frames, self.num_digits, self.canvas - DIGIT_SIZE)
        return ink_to_pixels(compose(shapes, positions[frames], self.canvas), cover)

    def _chosen(self, choice: np.random.Generator) -> NDArray[np.int64]:
        return choice.integers(len(self._digits), size=self.num_digits)


def _enlarged(digit: NDArray[np.uint8]) -> NDArray[np.float32]:
    picture = Image.fromarray(digit).resize((DIGIT_SIZE, DIGIT_SIZE), Image.Resampling.BILINEAR)
    return (np.asarray(picture) / 255).astype(np.float32)
