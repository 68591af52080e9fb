"""Running a rollout on pixels: batches, samples, seeds and progress around the one loop of `mcvd.diffusion.rollout`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mcvd.diffusion.block_store import BlockStore
from mcvd.diffusion.denoiser import Denoiser, Dropped
from mcvd.diffusion.options import Precision
from mcvd.diffusion.plan import plan
from mcvd.diffusion.rollout import rollout
from mcvd.frames import Condition, FrameBlock, model_from_pixels, pixels_from_model, unit_from_model
from mcvd.nets.compiled import Compile, should_compile
from mcvd.nets.cuda_graph import CUDAGraphNet, should_graph
from mcvd.nets.modulation import NormModulation
from mcvd.runtime.device import NO_BF16, has_fast_bf16
from mcvd.runtime.progress import progress_bar, total_of
from mcvd.runtime.rng import KeyedNoise
from mcvd.samplers import AbstractSampler

MAX_CACHE_BYTES = 8 << 30
_AUTOCAST = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_OF_CONTEXT = 1 << 20  # in the name of a draw: beyond the draws of any sampler


@dataclass(frozen=True)
class GenerationEngine:
    """How videos are made from given ones; the options are those of `SamplingOptions`.

    Args:
        denoiser: of the model.
        block: of the model.
        max_cache_bytes: the batch is split so that what `Denoiser.bind` keeps stays under this; None is 8 GiB, on a GPU
            a quarter of its memory.
    """

    denoiser: Denoiser
    block: FrameBlock
    sampler: AbstractSampler
    guidance: float = 1.0
    guidance_drops: Dropped = "both"
    context_noise: float = 0.0
    overlap: int | None = None
    precision: Precision = "float32"
    compile: Compile = "auto"
    num_samples: int = 1
    seed: int | Sequence[int] = 0
    first_video: int = 0
    first_sample: int = 0
    batch_size: int | None = None
    progress: bool = True
    claim_past_visible: bool = False
    kept: BlockStore | None = None
    rounded: bool = True
    max_cache_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in _AUTOCAST:
            raise ValueError(f"precision must be one of {', '.join(_AUTOCAST)}, got {self.precision!r}")
        if self.num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {self.num_samples}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")

    def stream(self, past: Tensor, future: Tensor, num_frames: int) -> Iterator[tuple[int, Tensor]]:
        """Yield (start, uint8 (B[, K], n, C, H, W)) as blocks are made, from uint8 past and future (B, T, C, H, W).

        With ``rounded=False`` float32 in [0, 1].
        """
        if self.precision == "bf16" and not has_fast_bf16(self._device):
            warnings.warn(NO_BF16, stacklevel=2)
        door, dtype = (pixels_from_model, torch.uint8) if self.rounded else (unit_from_model, torch.float32)
        num_videos, samples = len(past), self.num_samples
        keys = self._keys(num_videos)
        num_steps = sum(1 for _ in plan(self.block, past.shape[1], future.shape[1], num_frames, self.overlap))
        parts = list(self._parts(num_videos, past.shape[-2:]))
        total = num_videos * samples * num_frames
        num_calls = num_steps * self.sampler.num_calls * len(parts)
        quick = should_compile(self.compile, self._device, num_calls)
        graphed = CUDAGraphNet(self.denoiser.net) if not quick and should_graph(self.compile, self._device) else None
        with progress_bar(total, "frames", self.progress) as bar:
            # All parts advance together: each yields the same block of its own videos.
            maker = partial(
                self._block_sampler,
                bar=bar,
                frames_a_call=total / num_calls,
                quick=quick,
                graphed=graphed,
                modulation=self._modulation(),
            )
            parallel = [
                rollout(
                    maker(part, [keys[v][s] for v in videos for s in chosen]),
                    self.block,
                    model_from_pixels(past[videos.start : videos.stop].to(self._device)),
                    model_from_pixels(future[videos.start : videos.stop].to(self._device)),
                    num_frames,
                    len(chosen),
                    self.overlap,
                )
                for part, (videos, chosen) in enumerate(parts)
            ]
            for pieces in zip(*parallel, strict=True):
                start, length = pieces[0][0], pieces[0][1].shape[1]
                frames = torch.empty(num_videos, samples, length, *past.shape[2:], dtype=dtype)
                for (videos, chosen), (_, made) in zip(parts, pieces, strict=True):
                    shown = door(made).unflatten(0, (len(videos), len(chosen)))
                    frames[videos.start : videos.stop, chosen.start : chosen.stop] = shown.cpu()
                yield start, frames if samples > 1 else frames[:, 0]

    @property
    def _device(self) -> torch.device:
        return next(self.denoiser.parameters()).device

    @property
    def _cache_bytes(self) -> int:
        if self.max_cache_bytes is None and self._device.type == "cuda":
            return torch.cuda.get_device_properties(self._device).total_memory // 4
        return self.max_cache_bytes or MAX_CACHE_BYTES

    @property
    def _start_scale(self) -> Tensor:
        """Size of the state at t = 1: 1 where variance is preserved, about sigma(1) where it explodes."""
        end = self.denoiser.schedule(torch.ones((), dtype=torch.float64))
        return (end.alpha**2 + end.sigma**2).sqrt()

    def _autocast(self) -> AbstractContextManager:
        """The network computes in the precision asked for; as it comes (perhaps under autocast) for float32."""
        dtype = _AUTOCAST[self.precision]
        return nullcontext() if dtype is None else torch.autocast(self._device.type, dtype)

    def _keys(self, num_videos: int) -> list[list[tuple[int, int, int]]]:
        """(seed, video, sample) of each video to be made: what its noise depends on."""
        if isinstance(self.seed, int):
            names = [(self.seed, self.first_video + video) for video in range(num_videos)]
        else:
            names = [(seed, 0) for seed in self.seed]
        if len(names) != num_videos:
            raise ValueError(f"seed must be one number or one for each of the {num_videos} videos, got {len(names)}")
        samples = range(self.first_sample, self.first_sample + self.num_samples)
        return [[(*name, sample) for sample in samples] for name in names]

    def _parts(self, num_videos: int, size: Sequence[int]) -> Iterator[tuple[range, range]]:
        """Ranges of (videos, samples) made together: whole videos while they fit, else some samples of one."""
        dtype = _AUTOCAST[self.precision] or torch.float32
        held = self.denoiser.net.cache_bytes(*size, dtype) * (1 if self.guidance == 1 else 2)  # type: ignore[operator]
        limit = max(1, min(self.batch_size or num_videos * self.num_samples, self._cache_bytes // max(held, 1)))
        videos, samples = max(1, limit // self.num_samples), min(limit, self.num_samples)
        for video in range(0, num_videos, videos):
            for sample in range(0, self.num_samples, samples):
                yield (
                    range(video, min(video + videos, num_videos)),
                    range(sample, min(sample + samples, self.num_samples)),
                )

    @torch.inference_mode()
    def _modulation(self) -> NormModulation | None:
        """What the time says to the norms in all steps of the sampler, if it tells its times: once for all blocks."""
        times = self.sampler.times(self.denoiser.schedule)
        if times is None:
            return None
        with self._autocast():
            return self.denoiser.modulation(times.to(self._device, torch.float32))

    def _block_sampler(
        self,
        part: int,
        keys: Sequence[tuple[int, ...]],
        bar: tqdm,
        frames_a_call: float,
        quick: bool,
        graphed: CUDAGraphNet | None,
        modulation: NormModulation | None,
    ) -> Callable[[Condition, int, bool], Tensor]:
        def make(condition: Condition, number: int, sees_made: bool) -> Tensor:
            blank = condition.past.new_empty(len(keys), self.block.current, *condition.past.shape[2:])
            done = self.kept.load(part, number, blank.shape) if self.kept else None
            if done is not None:
                bar.update(min(frames_a_call * self.sampler.num_calls, total_of(bar) - bar.n))
                return done.to(blank.device)
            draw = KeyedNoise([(*key, number) for key in keys])
            if self.context_noise and sees_made:
                level = condition.noise_level + self.context_noise
                condition = condition.noised(
                    level, KeyedNoise([(*key, number, _OF_CONTEXT) for key in keys])(condition.frames)
                )
            # Entered once a block: autocast keeps the weights that it has cast until it ends.
            compiled, replayed = self.denoiser.compiled(quick, mode="reduce-overhead"), self.denoiser.graphed(graphed)
            with torch.inference_mode(), evaluating(self.denoiser), self._autocast(), compiled, replayed:
                denoise = self.denoiser.bind(
                    condition, self.guidance, self.guidance_drops, self.claim_past_visible, modulation
                )

                def counted(noisy: Tensor, t: Tensor) -> Tensor:
                    bar.update(min(frames_a_call, total_of(bar) - bar.n))
                    return denoise(noisy, t)

                made = self.sampler(counted, draw(blank) * self._start_scale, self.denoiser.schedule, draw)
            if self.kept:
                self.kept.save(part, number, made)
            return made

        return make


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode (no dropout), put back afterwards."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
