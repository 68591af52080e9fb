"""Long videos frame by frame: a window whose frames are the noisier the later they are moves along the video.

Rolling diffusion (Ruhe et al. 2024, arXiv 2402.09470), and the pyramid of noise levels of diffusion forcing (Chen et
al. 2024, arXiv 2407.01392). Frame i of a video begins at tick ``i * k``, is cleaned by S = N * k calls of the network,
one a tick, and then is context. So a frame costs k calls, and videos have no borders between blocks.

Legend: S -> num_steps, k -> calls for each frame, N -> frames of the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.diffusion.block_sampler import BlockSampler
from mcvd.diffusion.bound_denoiser import BoundDenoiser
from mcvd.diffusion.plan import Window
from mcvd.diffusion.rollout import condition_of
from mcvd.diffusion.signals import SignalTrack
from mcvd.diffusion.told_times import WindowTimes
from mcvd.frames import FrameBlock
from mcvd.noise import noise_from_clean
from mcvd.runtime.rng import KeyedNoise
from mcvd.samplers.base import Denoise
from mcvd.samplers.spacing import log_snr

_OF_TICKS, _OF_WINDOW = (1 << 20) + 1, (1 << 20) + 2  # in the keys of noise: beyond the draws of any sampler


def calls_per_frame(block: FrameBlock, num_steps: int) -> int:
    """k: as many that a frame gets ``num_steps`` calls at least while it is in the window."""
    return -(-num_steps // block.current)


def frame_times(block: FrameBlock, first: int, tick: int, num_steps: int) -> Tensor:
    """The times of the frames of the window that begins with frame ``first``, float64 (N,): 1 is not begun, 0 done.

    Examples:
        >>> frame_times(FrameBlock(0, 4), first=0, tick=3, num_steps=8).tolist()  # 2 calls a frame
        [0.625, 0.875, 1.0, 1.0]
    """
    begins = (first + torch.arange(block.current, dtype=torch.float64)) * calls_per_frame(block, num_steps)
    length = block.current * calls_per_frame(block, num_steps)
    return (1 - (tick - begins) / length).clamp(0, 1)


@dataclass
class _State:
    """The window: what its frames are estimated to be, in the model's range, and their noise, both (B * K, N, ...).

    Noisy frames follow from these in any units, whatever the context; frames that have not begun are noise alone.
    """

    clean: Tensor
    noise: Tensor

    def moved(self, noise: Tensor) -> _State:
        """The window one frame later, with the noise (B * K, 1, ...) of its last frame."""
        blank = torch.zeros_like(noise)
        return _State(torch.cat([self.clean[:, 1:], blank], 1), torch.cat([self.noise[:, 1:], noise], 1))


def rolling_rollout(
    sampler: BlockSampler,
    keys: Sequence[tuple[int, ...]],
    past: Tensor,
    num_frames: int,
    num_steps: int,
    signals: SignalTrack | None = None,
    times: WindowTimes | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Frames after given ones, or from nothing, one after the other.

    Every step is ancestral (as `mcvd.samplers.DDPM`'s), each frame at its own times.

    Args:
        sampler: of the denoiser, the options and the progress; its own method and block store are not used.
        keys: of each of B * K videos: what its noise depends on.
        past: float (B, P, C, H, W), the given frames before, any number of them, 0 too.
        num_frames: to be made.
        num_steps: calls that each frame gets at least.
        signals: of the B videos, by the places of their frames; each window is told those of its own.
        times: what windows are told of time; None: frames come one after the other.

    Yields:
        (start, frames): number of the frame and float (B * K, 1, C, H, W) in the model's range, not clamped.

    Raises:
        NumbersError: the model generated what is not finite.
    """
    block, num_past, rows = sampler.block, past.shape[1], len(keys)
    each = calls_per_frame(block, num_steps)
    kept = range(times is not None and times.farthest is not None)  # the frame that is always seen, if there is one
    known = {i: past[:, i] for i in range(num_past) if i in kept or i >= num_past - block.past}
    shape = (rows, 1, *past.shape[2:])

    def noise_of(frame: int) -> Tensor:
        return KeyedNoise([(*key, frame, _OF_WINDOW) for key in keys])(past.new_empty(shape))

    beginning = torch.cat([noise_of(i) for i in range(block.current)], 1)
    state, tick = _State(torch.zeros_like(beginning), beginning), 0
    for first in range(num_frames):
        start = num_past + first
        current = range(start, start + block.current)
        nothing = range(current.stop, current.stop)
        window = Window(range(max(0, start - block.past), start), current, current[:1], nothing)
        condition = condition_of(known, window, block, past, rows // len(past), signals, times=times)
        ticks = range(tick, (first + block.current) * each)
        with sampler.binding(keys, condition, first, first > 0) as (bound, denoise):
            for tick in ticks:
                now, then = (frame_times(block, first, tick + n, num_steps).to(past.device) for n in (0, 1))
                draw = KeyedNoise([(*key, tick, _OF_TICKS) for key in keys])
                state = _step(sampler, bound, denoise, state, now, then, draw)
        tick = ticks.stop
        frame = state.clean[:, :1]
        sampler.check(frame, first)
        sampler.progress.finish_block()
        yield first, frame
        state = state.moved(noise_of(first + block.current))
        known[start] = frame[:, 0]
        if start - block.past not in kept:
            known.pop(start - block.past, None)


def _step(
    sampler: BlockSampler,
    bound: BoundDenoiser,
    denoise: Denoise,
    state: _State,
    now: Tensor,
    then: Tensor,
    draw: KeyedNoise,
) -> _State:
    """One call of the network: every frame from its time to the next."""
    schedule = sampler.denoiser.schedule
    at = schedule(now[None]).like(state.clean)
    begun = (now < 1)[None, :, None, None, None]
    # A frame that has not begun is noise, as the state of every sampler is at t = 1.
    size = (at.alpha**2 + at.sigma**2).sqrt()
    noisy = torch.where(begun, at.alpha * bound.from_frames(state.clean) + at.sigma * state.noise, size * state.noise)
    estimate = denoise(noisy, now.to(noisy)[None].expand(len(noisy), -1))
    clean = bound.to_frames(estimate).clamp(-1, 1)
    noise = noise_from_clean(noisy, estimate, at)
    # Of the noise of now is kept (alpha sigma') / (alpha' sigma): the root of the signal-to-noise ratios' quotient.
    kept = ((log_snr(now, schedule) - log_snr(then, schedule)) / 2).exp().to(noisy)[None, :, None, None, None]
    mixed = kept * noise + (1 - kept**2).clamp(min=0).sqrt() * draw(noisy)
    moves = ((then < now) & (then < 1))[None, :, None, None, None]
    return _State(torch.where(moves, clean, state.clean), torch.where(moves, mixed, state.noise))
