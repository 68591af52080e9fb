"""The distance between two folders of videos, with the conditions without which such a number means nothing."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mcvd.data.clips.spec import ClipSpec, find_clips
from mcvd.data.sources.folder import VideoFolder
from mcvd.metrics.frechet import frechet_interval
from mcvd.metrics.fvd import FrechetVideoDistance
from mcvd.metrics.i3d import INPUT_SIZE, random_i3d
from mcvd.metrics.i3d_weights import KINETICS, cached_i3d, identify, load_i3d, load_kinetics_i3d
from mcvd.metrics.kernel import kernel_distance
from mcvd.metrics.preprocessing import Preprocessing, check_preprocessing
from mcvd.runtime.arrays import height_and_width
from mcvd.runtime.progress import progress_bar
from mcvd.video.read import read_frames


@dataclass(frozen=True)
class FolderDistance:
    """The distance between two folders of videos.

    Args:
        name: "FVD" only with known weights.
        value, interval_95, kernel_distance: the Frechet distance, see `frechet_interval`; KVD, with known weights.
        weights: of the network, in words.
        num_real, num_fake: clips of the two folders.
        num_frames, clips: the length of a clip, and which of each video, in words.
        frame_rate_hz: at which they were read; None: as they come.
        rates_of_files_hz: mean frame rates of the two folders; None of pictures that tell none.
        sizes: height x width of the clips of the two folders, before preprocessing.
        preprocessing: in words.
    """

    name: str
    value: float
    interval_95: tuple[float, float]
    kernel_distance: float
    weights: str
    num_real: int
    num_fake: int
    num_frames: int
    clips: str
    frame_rate_hz: float | None
    rates_of_files_hz: tuple[float | None, float | None]
    sizes: tuple[tuple[str, ...], tuple[str, ...]]
    preprocessing: str

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it: the fields by their names."""
        return json.loads(json.dumps(vars(self)))


def compare_folders(
    real: str | Path,
    fake: str | Path,
    *,
    num_frames: int = 16,
    size: int | tuple[int, int] | None = None,
    frame_rate_hz: float | None = None,
    every_clip: bool = False,
    preprocessing: Preprocessing = "mcvd",
    weights: str | Path | None = None,
    trust_weights: bool = False,
    random_seed: int | None = None,
    kinetics_i3d: str | Path | None = None,
    device: str | torch.device = "cpu",
    cache: str | Path | None = None,
) -> FolderDistance:
    """How far the videos below two folders are apart: FVD, with all that it depends on.

    Args:
        real: folder of true videos.
        fake: folder of generated ones.
        num_frames: length of the clips that are compared.
        size: frames are first scaled and cropped to this (height, width), or to a square of this side, as data sets are
            prepared; needed where the two folders differ in size. None: as they are.
        frame_rate_hz: read by time at this rate; None takes the frames as they come.
        every_clip: compare all clips of each video that lie side by side; otherwise its first one alone.
        preprocessing: from there to what the network sees, see `mcvd.metrics.preprocessing.prepare`.
        weights: file of I3D weights; None: that of the cache, downloaded at first use. See `load_i3d`.
        trust_weights: use ``weights`` of unknown checksum too; the result is then not called FVD.
        random_seed: use an I3D with random weights of this seed, without any file; the result is not called FVD.
        kinetics_i3d: use the I3D of the original Kinetics release in this file, which is another network than that of
            FVD; the result is not called FVD.
        device: where the network runs.
        cache: folder of downloaded weights.

    Raises:
        FileNotFoundError: a folder, or the weights; says what to download and where to put it.
        ValueError: too few videos, different sizes, or videos that cannot be read.

    Examples:
        >>> compare_folders("test", "samples", size=128).value  # doctest: +SKIP
        231.4
    """
    check_preprocessing(preprocessing)
    if sum(choice is not None for choice in (weights, random_seed, kinetics_i3d)) > 1:
        raise ValueError("one network at a time: --weights, --random-i3d or --kinetics-i3d, not two of them")
    cover = None if size is None else height_and_width(size)
    sides = [_Clips(folder, num_frames, cover, frame_rate_hz, every_clip) for folder in (real, fake)]
    _check(sides)
    name, origin, network = _network(weights, trust_weights, random_seed, kinetics_i3d, cache)
    metric = FrechetVideoDistance(network, preprocessing, INPUT_SIZE).to(device)
    for clips, is_real in zip(sides, (True, False), strict=True):
        with progress_bar(len(clips), f"clips of {clips.folder}") as bar:
            for number in range(len(clips)):
                metric.update(clips.read(number)[None], real=is_real)
                bar.update()
    value = metric.compute().item()
    features = metric.features()
    rates = [clips.mean_rate_hz() for clips in sides]
    told = [rate for rate in rates if rate is not None]
    if frame_rate_hz is None and len(told) == 2 and max(told) > 1.1 * min(told):
        found = f"the files of {real} have {told[0]:.4g} frames a second, those of {fake} {told[1]:.4g}"
        warnings.warn(f"{found}: to compare motion name one rate for both (--rate)", stacklevel=2)
    return FolderDistance(
        name=name,
        value=value,
        interval_95=frechet_interval(*features),
        kernel_distance=kernel_distance(*features).item(),
        weights=origin,
        num_real=len(sides[0]),
        num_fake=len(sides[1]),
        num_frames=num_frames,
        clips="all that lie side by side" if every_clip else "the first of each video",
        frame_rate_hz=frame_rate_hz,
        rates_of_files_hz=(rates[0], rates[1]),
        sizes=(sides[0].sizes, sides[1].sizes),
        preprocessing=f"{preprocessing}, {INPUT_SIZE}x{INPUT_SIZE}",
    )


def format_distance(distance: FolderDistance) -> str:
    """A distance as text: the number in the first line, its conditions below."""
    low, high = distance.interval_95
    kernel = "KVD" if distance.name == "FVD" else "kernel distance"
    if distance.frame_rate_hz is None:
        rates = " and ".join(
            "an unknown rate" if rate is None else f"{rate:.4g} Hz" for rate in distance.rates_of_files_hz
        )
        rate = f"as they come ({rates})"
    else:
        rate = f"at {distance.frame_rate_hz:g} Hz"
    sizes = " and ".join(", ".join(sizes) for sizes in distance.sizes)
    return (
        f"{distance.name} {distance.value:.3f}\n"
        f"  95% interval {low:.3f} to {high:.3f}; {kernel} {distance.kernel_distance:.5g}\n"
        f"  {distance.num_real} real and {distance.num_fake} generated clips ({distance.clips}) "
        f"of {distance.num_frames} frames {rate}\n"
        f"  frames of {sizes}; preprocessing {distance.preprocessing}; weights {distance.weights}"
    )


class _Clips:
    """Clips of one length of all videos below a folder."""

    def __init__(
        self,
        folder: str | Path,
        num_frames: int,
        size: tuple[int, int] | None,
        frame_rate_hz: float | None,
        every_clip: bool,
    ) -> None:
        self.folder = folder
        self._videos = VideoFolder(folder)
        self._size = size
        self._spec = ClipSpec(num_frames, size=(1, 1), frame_rate_hz=frame_rate_hz)
        index = find_clips(self._videos, self._spec)
        starts = index.even if every_clip else np.zeros_like(index.even)
        self._clips = sorted(set(zip(index.video.tolist(), starts.tolist(), strict=True)))
        self._sizes: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        return len(self._clips)

    def read(self, number: int) -> Tensor:
        """uint8 (T, 3, H, W)."""
        video, start = self._clips[number]
        frames = self._spec.frames(self._videos.frame_times(video), start)
        with self._videos.open(self._videos.paths[video]) as reader:
            clip = read_frames(reader, frames, self._size, channels=3)
        self._sizes.add((clip.shape[-2], clip.shape[-1]))
        if self._size is None and len(self._sizes) > 1:
            sizes = " and ".join(self.sizes)
            raise ValueError(f"{self.folder} has videos of {sizes} pixels: say at which size to compare them (--size)")
        return clip

    @property
    def sizes(self) -> tuple[str, ...]:
        """Height x width of the clips read so far."""
        return tuple(f"{height}x{width}" for height, width in sorted(self._sizes))

    def mean_rate_hz(self) -> float | None:
        """Of the files that tell theirs, averaged; None: no file does."""
        rates = [self._videos.frame_times(video).told_rate_hz for video in {video for video, _ in self._clips}]
        told = [rate for rate in rates if rate is not None]
        return float(np.mean(told)) if told else None


def _check(sides: list[_Clips]) -> None:
    """Raises ValueError, before any work, for too few clips or different sizes."""
    for clips in sides:
        if len(clips) < 2:
            raise ValueError(
                f"a distance needs 2 or more clips of each side, {clips.folder} gives {len(clips)}: take more videos, "
                "or all clips of each (--every-clip)"
            )
        clips.read(0)
    real, fake = sides
    if real.sizes != fake.sizes:
        raise ValueError(
            f"the videos of {real.folder} have {real.sizes[0]} pixels, those of {fake.folder} {fake.sizes[0]}: "
            "say at which size to compare them (--size)"
        )


def _network(
    weights: str | Path | None,
    trust: bool,
    random_seed: int | None,
    kinetics_i3d: str | Path | None,
    cache: str | Path | None,
) -> tuple[str, str, nn.Module]:
    """What the distance is called, where its weights are from, and the network."""
    if kinetics_i3d is not None:
        return "kinetics_i3d_distance", f"{KINETICS.what}, {KINETICS.digest}", load_kinetics_i3d(kinetics_i3d)
    if random_seed is not None:
        return "random_i3d_distance", f"random, seed {random_seed}", random_i3d(random_seed)
    path = cached_i3d(cache) if weights is None else Path(weights)
    network = load_i3d(path, trust=trust)
    known = identify(path)
    if known is None:
        return "unverified_i3d_distance", f"{path}, of unknown checksum", network
    return "FVD", f"{known.name}, {known.what}, {known.digest}", network
