"""Videos in, clips of training and validation out."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from mcvd.data.clips.augment import Augmentation
from mcvd.data.clips.dataset import ClipDataset
from mcvd.data.clips.sampling import EvenClips, RandomClips
from mcvd.data.clips.signals import ClipSignals
from mcvd.data.clips.spec import ClipIndex, ClipSpec, find_clips
from mcvd.data.clips.times import ClipTimes
from mcvd.data.loader import ForkSafeLoader
from mcvd.data.signals.measure import check_signals, measure_signals
from mcvd.data.sources.cached import CachedVideos
from mcvd.data.sources.folder import VideoFolder
from mcvd.data.sources.latents import LatentVideos
from mcvd.data.sources.split import VideoSubset, train_val_split
from mcvd.data.videos import AbstractVideos
from mcvd.runtime.arrays import height_and_width
from mcvd.runtime.rng import check_seed
from mcvd.video.timing import FrameTimes


class VideoClips:
    """The clips that are trained on and those of validation, from collections of videos.

    Args:
        root: a folder of videos. Where it has a subfolder ``train`` only that is trained on, and a subfolder ``val``
            is the validation set.
        val_root: a folder of videos for validation.
        train: a collection of training videos, in place of ``root``.
        val: a collection of validation videos, in place of ``val_root``.
        num_frames: frames of a clip.
        size: height and width in pixels, one number for both or (height, width).
        channels: 3 for colour, 1 for grey.
        frame_rate_hz: rate at which videos are read, by time. None takes every frame as it comes; the videos must
            then have about the same rate (within 10% of the median). Of folders of frames, which do not tell their
            rate unless a file ``frames.yaml`` does, every frame is taken in either case.
        stride: take every ``stride``-th frame of that rate.
        crop: "centre", or "random": where the training window lies in the scaled frame.
        flip: mirror half of the training clips, left and right exchanged.
        batch_size: clips in a batch of one process; "auto" lets ``mcvd fit`` take the largest power of two that fits
            into memory (and is 8 elsewhere).
        num_workers: worker processes of each loader.
        seed: the same seed gives the same training clips in the same order, whatever the number of workers.
        max_val_clips: how many validation clips to take, at most, evenly spread over the validation videos; null
            takes all.
        engine: the decoder of video files, see `mcvd.video.open.open_video`.
        cache: a folder for decoded frames, so that each video is decoded only once; see `mcvd.data.CachedVideos`.
            Worth it at small sizes: a minute of 64x64 at 25 Hz takes 18 MB.
        cache_max_bytes: size limit of that folder; null: none.
        augment: further augmentation of training clips: colour, speed, direction of time, standing still.
        signals: names of numbers that are told beside the frames; see docs/signals.md. ``mcvd fit`` takes those of the
            model.
        mirrored_signals: those of them that change their sign when a clip is mirrored, such as steering; has to be said
            where ``flip`` mirrors, if only with an empty list.
        times: several frame rates of training clips, and first frames from long before: what models with
            `mcvd.nets.SpaceTimeUNet` are told. Where ``frame_rate_hz`` is None, the first of the rates is that of the
            clips of validation, and the model's own.
        latents: a folder that ``mcvd data encode`` made of the training videos: a latent model then trains without its
            encoder, on ``"video": float16 (B, T, c, h, w)``. It has to have the codec of these latents.

    Without validation videos every tenth training video is held out (the last one of fewer than ten; of a single
    video its last tenth).

    After `setup`, ``frame_rate_hz`` is the rate of the clips' own frames, stride included (what a model trained
    on them should remember), ``train_clips`` and ``val_clips`` are the data sets, and ``codec`` is the digest of the
    codec that made the latents, if there are some.
    """

    def __init__(
        self,
        root: str | Path | None = None,
        val_root: str | Path | None = None,
        train: AbstractVideos | None = None,
        val: AbstractVideos | None = None,
        num_frames: int = 7,
        size: tuple[int, int] | int = 64,
        channels: int = 3,
        frame_rate_hz: float | None = None,
        stride: int = 1,
        crop: Literal["centre", "random"] = "centre",
        flip: bool = False,
        batch_size: int | Literal["auto"] = 8,
        num_workers: int = 2,
        seed: int = 0,
        max_val_clips: int | None = 64,
        engine: str = "pyav",
        cache: str | Path | None = None,
        cache_max_bytes: int | None = None,
        augment: Augmentation | None = None,
        signals: list[str] | None = None,
        mirrored_signals: list[str] | None = None,
        times: ClipTimes | None = None,
        latents: str | Path | None = None,
    ) -> None:
        super().__init__()  # of Lightning's data module, where a training's is made
        height_width = height_and_width(size)
        if times is not None and times.rates and frame_rate_hz is None:
            frame_rate_hz = times.rates[0]
        self.spec = ClipSpec(num_frames, height_width, channels, frame_rate_hz, stride, crop, flip)
        batch_size = 8 if batch_size == "auto" else batch_size
        for name, value, least in (("batch_size", batch_size, 1), ("num_workers", num_workers, 0)):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name, videos in (("train", train), ("val", val)):
            if not isinstance(videos, AbstractVideos | None):
                folder = "root" if name == "train" else "val_root"
                raise ValueError(f"{name} must be a collection, an AbstractVideos; {folder} takes a folder: {videos!r}")
        check_seed(seed)
        if root is not None and train is not None:
            raise ValueError("give root or train, not both: each names the training videos")
        if val_root is not None and val is not None:
            raise ValueError("give val_root or val, not both: each names the validation videos")
        self.root = root
        self.val_root = val_root
        self.train_videos = train
        self.val_videos = val
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.max_val_clips = max_val_clips
        self.engine = engine
        self.augment = augment or Augmentation()
        self.times = times
        if times is not None:
            times.check(self.spec, self.augment.reverse, self.augment.max_speed > 1)
        self.signals = ClipSignals.of(signals, mirrored_signals, flip, self.augment)
        if latents is not None and self.augment.changes_colors:
            raise ValueError("latents are of colours as they are: leave those out of augment, or data.latents")
        self.latents = latents
        self.codec: str | None = None
        self.cache = cache
        self.cache_max_bytes = cache_max_bytes
        self.frame_rate_hz: float | None = None
        self._clips: tuple[ClipDataset, ClipDataset] | None = None  # of training and validation

    def setup(self) -> None:
        """Find the videos, index their clips and determine the frame rate; raises whatever is wrong with the data."""
        if self._clips is not None:
            return
        train, val = self._find_videos()
        for videos in (train, val):
            if videos is not None:
                videos.prepare()
        spec, read = self.spec, train
        if self.latents is not None:
            read = LatentVideos(train, self.latents, spec)
            self.codec, spec = read.codec, replace(spec, size=read.size, channels=read.channels)
        if val is None:
            part, val = train_val_split(train, self.spec)
            read = VideoSubset(read, part.excerpts)
        train = read
        longest = self.spec if self.times is None else self.times.slowest(self.spec)
        train_index, val_index = find_clips(train, longest, self.augment.max_speed), find_clips(val, self.spec)
        used = list(_used((train, train_index), (val, val_index)))
        self.frame_rate_hz = _clip_rate(_frame_rates(times for _, times in used), self.spec)
        if self.times is not None:
            related = (each for each in np.unique(train_index.video).tolist() if not train.is_unrelated(each))
            self.times.check_videos(((train.name(n), train.frame_times(n)) for n in related), self.frame_rate_hz)
        _warn_of_untold([name for name, times in used if not times.is_told], len(used), self.frame_rate_hz)
        order = RandomClips(train_index, spec, self.seed, self.augment, self.times)
        self._clips = (
            ClipDataset(train, spec, order, self.signals, self.times, self.frame_rate_hz),
            ClipDataset(val, self.spec, EvenClips(val_index, self.max_val_clips), self.signals),
        )
        if self.signals is not None:
            for clips, index in zip(self._clips, (train_index, val_index), strict=True):
                check_signals(clips.videos, np.unique(index.video).tolist(), self.signals.names)

    def training_videos(self) -> AbstractVideos:
        """All videos for training, before some are held out where none are for validation; prepared."""
        videos, _ = self._find_videos()
        videos.prepare()
        return videos

    def measure_signals(self) -> dict[str, tuple[float, ...]]:
        """Mean, std, low and high of each number in the training videos, as a model's signals take them."""
        assert self.signals is not None
        return measure_signals(self.train_clips.videos, self.signals.names)

    @property
    def train_clips(self) -> ClipDataset:
        """The training clips, after `setup`."""
        return self._datasets()[0]

    @property
    def val_clips(self) -> ClipDataset:
        """The validation clips, after `setup`."""
        return self._datasets()[1]

    def _datasets(self) -> tuple[ClipDataset, ClipDataset]:
        if self._clips is None:
            raise RuntimeError(f"{type(self).__name__} has no clips before setup()")
        return self._clips

    def _find_videos(self) -> tuple[AbstractVideos, AbstractVideos | None]:
        train, val = self.train_videos, self.val_videos
        train_root, val_root = self.root, self.val_root
        if train is None and train_root is None:
            raise ValueError("no training videos: name a folder of videos with --data.root FOLDER")
        if train_root is not None and (Path(train_root) / "train").is_dir():
            beside = Path(train_root) / "val"
            if val is None and val_root is None and beside.is_dir():
                val_root = beside
            train_root = Path(train_root) / "train"
        if train_root and val_root and Path(train_root).resolve() in Path(val_root).resolve().parents:
            raise ValueError(
                f"the validation videos in {val_root} would be trained on, as they lie below {train_root}; "
                "put them elsewhere, or into the subfolders train and val of one folder"
            )
        if train is None:
            assert train_root is not None  # or it was refused above
            train = self._folder(train_root)
        if val_root is not None:
            val = self._folder(val_root)
        return train, val

    def _folder(self, root: str | Path) -> AbstractVideos:
        videos = VideoFolder(root, self.engine, index=self.cache)
        if self.cache is None:
            return videos
        spec = self.spec
        return CachedVideos(videos, self.cache, spec.size, spec.crop, spec.channels, self.cache_max_bytes)


def _used(*sides: tuple[AbstractVideos, ClipIndex]) -> Iterator[tuple[str, FrameTimes]]:
    """Names and times of the videos of which there are clips."""
    for videos, clips in sides:
        for index in np.unique(clips.video).tolist():
            yield videos.name(index), videos.frame_times(index)


def _frame_rates(all_times: Iterable[FrameTimes]) -> np.ndarray:
    """Frames per second of videos, float64; a video of a single frame has none, and some pictures tell none."""
    starts = (times.starts for times in all_times if times.is_told and len(times) > 1)
    # Over the whole video, not from one frame to the next: single times may be rounded to milliseconds.
    return np.array([_rounded((len(t) - 1) / (t[-1] - t[0])) for t in starts])


def _rounded(rate_hz: float) -> float:
    """Without the error of stored times: of films to millionths; radar has a field in minutes."""
    return round(rate_hz, 6) if rate_hz >= 0.1 else float(f"{rate_hz:.9g}")


def _warn_of_untold(names: list[str], num_videos: int, rate_hz: float | None) -> None:
    """Say at which rate videos without one count, where there are others beside, or none tells one."""
    if not names or (rate_hz is not None and len(names) == num_videos):
        return  # all of them have the rate that was asked for
    which = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    taken = "the model will not know one either" if rate_hz is None else f"their frames count as {rate_hz:g} Hz"
    warnings.warn(
        f"{len(names)} of {num_videos} videos tell no frame rate ({which}): {taken}; to state one, write for example "
        "frame_rate_hz: 20 into a file frames.yaml beside the pictures, or, of arrays, among the init_args of "
        "mcvd.data.ArrayVideos",
        stacklevel=3,
    )


def _clip_rate(source_rates_hz: np.ndarray, spec: ClipSpec) -> float | None:
    """Frames per second of clips, from the rates of their videos; None if those have no rate."""
    if spec.frame_rate_hz is not None:
        rate = spec.frame_rate_hz / spec.stride
        num_slower = int((source_rates_hz < 0.9 * rate).sum())
        if num_slower:
            warnings.warn(
                f"{num_slower} of {len(source_rates_hz)} videos have fewer frames per second (the slowest "
                f"{source_rates_hz.min():.4g}) than the {rate:g} wanted: some of their frames are repeated, "
                "where nothing moves",
                stacklevel=3,
            )
        return rate
    if len(source_rates_hz) == 0:
        return None
    median = float(np.median(source_rates_hz))
    if np.abs(source_rates_hz - median).max() >= 0.1 * median:
        counts = Counter(f"{rate:.3g}" for rate in source_rates_hz)
        found = ", ".join(f"{rate} Hz ({count})" for rate, count in sorted(counts.items(), key=lambda c: float(c[0])))
        raise ValueError(
            f"the videos have different frame rates: {found}; name the rate to read all of them at, for example "
            f"--data.frame_rate_hz {source_rates_hz.min():.3g} (in Python frame_rate_hz={source_rates_hz.min():.3g})"
        )
    return median / spec.stride


def collect_clips(data: VideoClips, num_clips: int | None = None) -> Tensor:
    """Validation clips as one tensor, always the same, evenly spread over its videos.

    Its ``num_frames`` are those of context and target together, which may be more than a block of the model.

    Args:
        data: set up or not.
        num_clips: how many, at most; None takes all that ``data.max_val_clips`` allows.

    Returns:
        uint8 (N, T, C, H, W).
    """
    data.setup()
    available = len(data.val_clips)
    num_clips = available if num_clips is None else min(num_clips, available)
    chosen = Subset(data.val_clips, [i * available // num_clips for i in range(num_clips)])
    loader = ForkSafeLoader(chosen, batch_size=data.batch_size, num_workers=data.num_workers)
    return torch.cat([batch["video"] for batch in loader])
