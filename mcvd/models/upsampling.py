"""Whole videos at a multiple of their frame rate: all gaps between neighbouring frames filled, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Protocol

import torch
from torch import Tensor

from mcvd.diffusion.masking import Masking
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.signals import Given, Signals, told_signals
from mcvd.diffusion.tasks import INTERPOLATE
from mcvd.diffusion.told_times import ToldTimes
from mcvd.frames import FrameBlock, pixels_from_unit
from mcvd.models.codecs.base import AbstractCodec
from mcvd.runtime.numbers import NumbersError
from mcvd.runtime.piece_store import PieceStore
from mcvd.runtime.progress import progress_bar

GAPS_AT_ONCE = 32  # unless the options say otherwise; what is in memory does not grow with the video
MAX_FACTOR = 1000


class Interpolates(Protocol):
    """What `Upsampling` asks of a model; see `mcvd.models.video_model.VideoModel`."""

    block: FrameBlock
    masking: Masking
    codec: AbstractCodec
    signals: Signals | None
    times: ToldTimes | None

    @property
    def takes_single_frames(self) -> bool:
        """Whether single frames can be given among those that it makes."""

    def stream(
        self, past: Tensor | None, num_frames: int, *, future: Tensor | None = None, **options: Any
    ) -> Iterator[tuple[int, Tensor]]:
        """Blocks of the frames between past and future."""


@dataclass(frozen=True)
class Upsampling:
    """How a model brings a video to ``factor`` times its frame rate; given frames stay as they are.

    A gap is what lies between two neighbouring frames of the video, and is sampled by itself, so gaps go through the
    network as one batch, and none waits for another. The two frames fill all slots of the context, each repeated on its
    side: the model learns nothing of how the scene moved before, but of streets at 40 Hz from 10 Hz the bundled model
    was then 2 dB better than with these two alone in its context, and 6 dB better than with frames farther away, which
    seem to move ``factor`` times too fast.

    A block that has more frames than a gap needs is sampled as it was trained, from one side of the gap to the other,
    and frames between two of its frames are mixed of these two. One of ``factor - 1`` frames, or of a multiple of
    ``factor`` less one, needs no mixing.

    A model that was trained at several frame rates is told that of the frames of such a block, which lie closer
    together than those of the video, or the nearest rate that it was trained at.

    Args:
        model: one that interpolates.
        factor: how many frames there are afterwards for each step from one frame to the next.
        options: of sampling; ``first_video`` is the number of the first gap, ``batch_size`` how many gaps are filled at
            once, `GAPS_AT_ONCE` if it is not told, and ``frame_rate_hz`` the rate of the given frames.

    Raises:
        ValueError: the factor is out of range, the model cannot interpolate, or an option has no meaning here.
    """

    model: Interpolates
    factor: int
    options: SamplingOptions

    def __post_init__(self) -> None:
        if not (isinstance(self.factor, Integral) and 2 <= self.factor <= MAX_FACTOR):
            raise ValueError(f"factor must be a whole number from 2 to {MAX_FACTOR}, got {self.factor!r}")
        if self.options.known is not None or self.options.loop:
            raise ValueError("known frames and loops belong to one gap: use interpolate for that")
        if self.options.signals is not None:
            self._check_signals(self.options.signals)
        if isinstance(self.options.seed, Sequence):
            raise ValueError("seed must be one number: a video is one, however many gaps it has")
        rate = self.options.frame_rate_hz
        if rate is not None and not (isinstance(rate, Real) and rate > 0):
            raise ValueError(f"frame_rate_hz must be more than 0, the rate of the given frames, got {rate!r}")
        if not self.model.takes_single_frames:
            raise ValueError("this model codes frames together, and upsampling takes single ones")
        reason = INTERPOLATE.refusal(self.model.block, self.model.masking)
        if reason is not None:
            raise ValueError(reason)

    def _check_signals(self, signals: Given) -> None:
        """Refuse rows for single frames: each gap would take them for its own."""
        try:
            told_signals(self.model.signals, self.model.masking, signals, 1, 0, 1)
        except NumbersError:
            raise
        except ValueError as error:
            raise ValueError(f"upsampling tells the same signals of all frames, one row: {error}") from error

    def num_frames(self, num_given: int) -> int:
        """How many frames come of so many.

        Raises:
            ValueError: there is no gap.
        """
        if num_given < 2:
            raise ValueError(f"a video of {num_given} frames has no gap to fill: at least 2 are needed")
        return (num_given - 1) * self.factor + 1

    def gaps(self, num_given: int) -> Iterator[range]:
        """The gaps of so many frames in the order in which they are filled, those together that are filled at once."""
        self.num_frames(num_given)
        step = max(1, (self.options.batch_size or GAPS_AT_ONCE) // self.options.num_samples)
        for first in range(0, num_given - 1, step):
            yield range(first, min(first + step, num_given - 1))

    def fill(self, gaps: range, frames: Tensor) -> Tensor:
        """Fill some gaps.

        Args:
            gaps: their numbers, in a row; what is generated in each depends on its number and its two frames alone.
            frames: around them, (len(gaps) + 1, C, H, W), as the model takes them.

        Returns:
            The stretch of video that begins with the first of these frames and ends before the last one,
            (K, factor * len(gaps), C, H, W): given frames among generated ones.
        """
        model, options = self.model, self.options
        generated = self._generate(gaps, frames)  # (G, K, factor - 1, C, H, W)
        given = frames if options.rounded else model.codec.decode(model.codec.encode(frames), rounded=False)
        shown = given[:-1, None, None].expand(-1, options.num_samples, -1, -1, -1, -1)
        return torch.cat([shown.to(generated), generated], 2).transpose(0, 1).flatten(1, 2)

    def _generate(self, gaps: range, frames: Tensor) -> Tensor:
        block, wanted = self.model.block, self.factor - 1
        num_frames = max(block.current, wanted)
        before = frames[:-1, None].expand(-1, block.past, -1, -1, -1)
        after = frames[1:, None].expand(-1, block.future, -1, -1, -1)
        exact = (num_frames + 1) % self.factor == 0
        options = replace(
            self.options,
            first_video=self.options.first_video + gaps.start,
            rounded=self.options.rounded and exact,
            frame_rate_hz=self._told_rate(num_frames),
        )
        blocks = self.model.stream(before, num_frames, future=after, **vars(options))
        whole = torch.empty(0)
        for start, frames_of_block in blocks:
            part = frames_of_block if options.num_samples > 1 else frames_of_block[:, None]
            if not whole.numel():
                whole = part.new_empty(*part.shape[:2], num_frames, *part.shape[3:])
            whole[:, :, start : start + part.shape[2]] = part
        places = torch.arange(1, self.factor) * (num_frames + 1) / self.factor - 1  # among the generated frames
        low = places.floor().long()
        if exact:
            return whole[:, :, low]
        return self._mixed(whole, frames, places - low, low)

    def _told_rate(self, num_frames: int) -> float | None:
        """That of so many frames between two given ones, within the rates that the model was trained at."""
        rate, told = self.options.frame_rate_hz, self.model.times
        if rate is None or told is None or not told.frame_rates_hz:
            return rate
        return min(max(rate * (num_frames + 1), min(told.frame_rates_hz)), max(told.frame_rates_hz))

    def _mixed(self, whole: Tensor, frames: Tensor, weight: Tensor, low: Tensor) -> Tensor:
        """Frames between two generated or given ones, nearer to the later one by ``weight``."""
        codec, num_samples = self.model.codec, self.options.num_samples
        ends = codec.decode(codec.encode(frames), rounded=False)
        before, after = (end[:, None, None].expand(-1, num_samples, -1, -1, -1, -1) for end in (ends[:-1], ends[1:]))
        all_frames = torch.cat([before, whole, after], 2)
        later = all_frames[:, :, low + 2] * weight.view(-1, 1, 1, 1)
        mixed = all_frames[:, :, low + 1] * (1 - weight).view(-1, 1, 1, 1) + later
        return pixels_from_unit(mixed) if self.options.rounded and codec.dtype == torch.uint8 else mixed


def upsampled(
    upsampling: Upsampling, num_given: int, read: Callable[[range], Tensor], store: PieceStore | None = None
) -> Iterator[tuple[int, Tensor]]:
    """A whole video at a multiple of its frame rate, some gaps at a time, in the memory of a few gaps.

    Args:
        upsampling: how.
        num_given: frames of the video, 2 or more.
        read: called with a range of their numbers, gives these frames, (n, C, H, W).
        store: where finished stretches are kept, and taken from when the same work is started again.

    Yields:
        (start, frames): the place of the first of them in the result, and (K, n, C, H, W), in the order of time.
    """
    options, total = upsampling.options, upsampling.num_frames(num_given)
    with progress_bar(total * options.num_samples, "frames", options.progress) as bar:
        for number, gaps in enumerate(upsampling.gaps(num_given)):
            inside = replace(options, progress=False, on_progress=_share(options.on_progress, gaps, num_given - 1))
            given = read(range(gaps.start, gaps.stop + 1))
            shape = (options.num_samples, len(gaps) * upsampling.factor, *given.shape[1:])
            stored = None if store is None else store.load(number, shape, given.dtype)
            frames = replace(upsampling, options=inside).fill(gaps, given) if stored is None else stored
            if store is not None and stored is None:
                store.save(number, frames)
            yield gaps.start * upsampling.factor, frames
            bar.update(frames.shape[0] * frames.shape[1])
        last = read(range(num_given - 1, num_given))
        if not options.rounded:
            codec = upsampling.model.codec
            last = codec.decode(codec.encode(last), rounded=False)
        yield total - 1, last.expand(options.num_samples, -1, -1, -1, -1)
        bar.update(options.num_samples)


def _part(video: Tensor, frames: range) -> Tensor:
    return video[frames.start : frames.stop]


def _share(told: Callable[[float], None] | None, gaps: range, num_gaps: int) -> Callable[[float], None] | None:
    """Tells the share of the whole work that is done, given that of these gaps."""
    if told is None:
        return None
    return lambda done: told((gaps.start + done * len(gaps)) / num_gaps)


def upsampled_whole(model: Interpolates, video: Tensor, factor: int, **options: Any) -> Tensor:
    """What `VideoModel.upsample` is, for video (B, T, C, H, W)."""
    sampling = SamplingOptions.of(**options)
    upsampling = Upsampling(model, factor, sampling)
    num_gaps = video.shape[1] - 1
    results = []
    for number, each in enumerate(video):
        first = sampling.first_video + number * num_gaps
        own = replace(upsampling, options=replace(sampling, first_video=first))
        results.append(torch.cat([frames for _, frames in upsampled(own, len(each), partial(_part, each))], 1))
    whole = torch.stack(results)
    return whole if sampling.num_samples > 1 else whole[:, 0]
