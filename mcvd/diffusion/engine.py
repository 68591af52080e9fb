"""Running a rollout on pixels: batches, samples, seeds and progress around the one loop of `mcvd.diffusion.rollout`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mcvd.diffusion.block_coding import BlockCoding
from mcvd.diffusion.block_sampler import AUTOCAST, BlockSampler, autocast
from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.keyframes import Keyframes
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.progress import SamplingProgress
from mcvd.diffusion.rolling import calls_per_frame, rolling_rollout
from mcvd.diffusion.rollout import rollout, windows
from mcvd.diffusion.signals import SignalTrack
from mcvd.diffusion.super_resolution import LowTrack
from mcvd.diffusion.told_times import WindowTimes
from mcvd.frames import FrameBlock
from mcvd.nets.compiled import CompiledNet, should_compile
from mcvd.nets.cuda_graph import CUDAGraphNet, should_graph
from mcvd.nets.modulation import NormModulation
from mcvd.runtime.device import NO_BF16, has_fast_bf16
from mcvd.runtime.progress import progress_bar
from mcvd.samplers import AbstractSampler

MAX_CACHE_BYTES = 8 << 30
MAX_STEERED = 16  # videos at once under a guide, if nobody says: autograd keeps all that the network computes


@dataclass(frozen=True)
class GenerationEngine:
    """How videos are generated from given ones.

    The batch is split so that what `Denoiser.bind` caches stays under 8 GiB, on a GPU with the copy that a CUDA graph
    reads under a quarter of its memory.

    Args:
        denoiser, block, options: of the model and of this work.
        encode: videos as given, (B, T, C, H, W), to what is diffused, float32 (B, T, planes, H, W).
        decode: the way back, to any dtype.
        times: what the network is told of time; None: nothing.
        coding: of frames that are coded together, which the others then do not; None: there are none.
    """

    denoiser: Denoiser
    block: FrameBlock
    options: SamplingOptions
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]
    times: WindowTimes | None = None
    coding: BlockCoding | None = None

    def stream(
        self,
        past: Tensor,
        future: Tensor,
        num_frames: int,
        signals: SignalTrack | None = None,
        low: LowTrack | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, decoded (B[, K], n, C, H, W)) block by block, from past and future (B, T, C, H, W).

        ``signals`` are those of a model that takes some, told or not; ``low`` what is made larger.

        Raises:
            ValueError: at once, for keyframes that do not fit, and for weights of which none is float32.
        """
        options = self.options
        dtypes = {weights.dtype for weights in self.denoiser.net.parameters()}
        if dtypes and torch.float32 not in dtypes:
            raise ValueError(
                f"the weights are {', '.join(sorted(map(str, dtypes)))}, and frames and noise are float32: call "
                'float() on the model; precision="bf16" or "fp16" computes the network in 16 bits'
            )
        keyframes = None
        if options.known is not None:
            keyframes = Keyframes.of(options.known, options.known_pixels, past, num_frames, self.encode)
        elif options.known_by == "condition":
            keyframes = Keyframes({}, {})  # given frames that a block covers again are as good
        return self._stream(past, future, num_frames, keyframes, signals, low)

    def _stream(
        self,
        past: Tensor,
        future: Tensor,
        num_frames: int,
        keyframes: Keyframes | None,
        signals: SignalTrack | None,
        low: LowTrack | None,
    ) -> Iterator[tuple[int, Tensor]]:
        options = self.options
        if options.precision == "bf16" and not has_fast_bf16(self._device):
            warnings.warn(NO_BF16, stacklevel=2)
        num_videos, num_samples = len(past), options.num_samples
        sampler = options.sampler_for(from_nothing=not past.shape[1] + future.shape[1])
        keys = self._keys(num_videos)
        nothing = self.encode(past[:0, :0])
        size = (nothing if self.coding is None else self.coding.encode(nothing)).shape[-2:]
        parts = list(self._parts(num_videos, size))
        places = () if keyframes is None else keyframes.frames
        lengths = past.shape[1], future.shape[1], num_frames
        num_blocks = len(parts) * sum(1 for _ in windows(self.block, *lengths, options.overlap, places, options.loop))
        calls_per_block, modulation = sampler.num_calls, None
        if options.rolling:
            num_blocks, calls_per_block = len(parts) * num_frames, calls_per_frame(self.block, sampler.num_calls)
        else:
            modulation = self._modulation(sampler)
        stand_in: CompiledNet | CUDAGraphNet | None = None
        if options.steers:
            pass  # both are for calls without gradients
        elif should_compile(options.compile, self._device, num_blocks * calls_per_block):
            stand_in = self.denoiser.compiled("reduce-overhead")
        elif should_graph(options.compile, self._device):
            stand_in = CUDAGraphNet(self.denoiser.net)
        with progress_bar(num_videos * num_samples * num_frames, "frames", options.progress) as bar:
            sample_block = BlockSampler(
                self.denoiser,
                self.block if self.coding is None else self.coding.block(self.block),
                options,
                sampler,
                stand_in,
                modulation,
                SamplingProgress(num_blocks, calls_per_block, bar, options.on_progress),
            )
            # All parts advance together: each yields the same block of its own videos.
            parallel = [
                rolling_rollout(
                    sample_block,
                    [keys[v][s] for v in videos for s in samples],
                    self.encode(past[videos.start : videos.stop].to(self._device)),
                    num_frames,
                    sampler.num_calls,
                    signals and signals.of_videos(videos, self._device),
                    self.times,
                )
                if options.rolling
                else rollout(
                    self._in_frames(partial(sample_block, part, [keys[v][s] for v in videos for s in samples])),
                    self.block,
                    self.encode(past[videos.start : videos.stop].to(self._device)),
                    self.encode(future[videos.start : videos.stop].to(self._device)),
                    num_frames,
                    len(samples),
                    options.overlap,
                    keyframes and keyframes.of_videos(videos, self._device),
                    options.loop,
                    signals and signals.of_videos(videos, self._device),
                    low and low.of_videos(videos, self._device),
                    self.times,
                    getattr(self.denoiser.reference, "memory", False),
                )
                for part, (videos, samples) in enumerate(parts)
            ]
            for blocks in zip(*parallel, strict=True):
                start, length = blocks[0][0], blocks[0][1].shape[1]
                frames = torch.empty(0)
                for (videos, samples), (_, generated) in zip(parts, blocks, strict=True):
                    finished = self.decode(generated).unflatten(0, (len(videos), len(samples))).cpu()
                    if not frames.numel():
                        frames = finished.new_empty(num_videos, num_samples, length, *past.shape[2:])
                    frames[videos.start : videos.stop, samples.start : samples.stop] = finished
                yield start, frames if num_samples > 1 else frames[:, 0]

    def _in_frames(self, sample_block: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """What samples blocks of what is diffused, as a rollout asks for them."""
        return sample_block if self.coding is None else self.coding.sampling(sample_block)

    @property
    def _device(self) -> torch.device:
        return next(self.denoiser.parameters()).device

    def _keys(self, num_videos: int) -> list[list[tuple[int, int, int]]]:
        """(seed, video, sample) of each video to be generated: what its noise depends on."""
        options = self.options
        if isinstance(options.seed, Sequence):
            names = [(seed, 0) for seed in options.seed]
        else:
            names = [(options.seed, options.first_video + video) for video in range(num_videos)]
        if len(names) != num_videos:
            raise ValueError(f"seed must be one number or one for each of the {num_videos} videos, got {len(names)}")
        samples = range(options.first_sample, options.first_sample + options.num_samples)
        return [[(*name, sample) for sample in samples] for name in names]

    def _parts(self, num_videos: int, size: Sequence[int]) -> Iterator[tuple[range, range]]:
        """Ranges of (videos, samples) generated together: whole videos while they fit, else some samples of one."""
        options, dtype = self.options, AUTOCAST[self.options.precision] or torch.float32
        per_condition = self.denoiser.net.cache_bytes(*size, dtype)  # type: ignore[operator]
        on_gpu = self._device.type == "cuda"
        room = torch.cuda.get_device_properties(self._device).total_memory // 4 if on_gpu else MAX_CACHE_BYTES
        per_video = per_condition * (1 if options.guidance == 1 else 2) * (2 if on_gpu else 1)
        fitting = room // max(per_video, 1)
        wanted = options.batch_size or (MAX_STEERED if options.steers else num_videos * options.num_samples)
        limit = max(1, min(wanted, fitting))
        videos, samples = max(1, limit // options.num_samples), min(limit, options.num_samples)
        for video in range(0, num_videos, videos):
            for sample in range(0, options.num_samples, samples):
                yield (
                    range(video, min(video + videos, num_videos)),
                    range(sample, min(sample + samples, options.num_samples)),
                )

    @torch.no_grad()
    def _modulation(self, sampler: AbstractSampler) -> NormModulation | None:
        """What the time says to the norms in all steps of the sampler, if it tells its times: once for all blocks."""
        times = sampler.times(self.denoiser.schedule)
        if times is None:
            return None
        if self.options.known_by == "condition":
            times = torch.cat([times, times.new_zeros(1)])  # of known frames
        with autocast(self.options.precision, self._device):
            return self.denoiser.modulation(times.to(self._device, torch.float32))
