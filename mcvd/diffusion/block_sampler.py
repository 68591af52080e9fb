"""Sampling one block of a rollout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isnan
from typing import Any

import torch
from torch import Tensor, nn

from mcvd.diffusion.bound_denoiser import BoundDenoiser
from mcvd.diffusion.bridge import Bridge, bridge
from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.given_reference import GivenReference
from mcvd.diffusion.guidance import AbstractNoisyGuide, Guide, conditioned, expected, guided, guided_by_state, replaced
from mcvd.diffusion.guides import KnownFrames
from mcvd.diffusion.keyframes import KnownPart
from mcvd.diffusion.options import Precision, SamplingOptions
from mcvd.diffusion.progress import SamplingProgress
from mcvd.frames import Condition, FrameBlock
from mcvd.nets.compiled import CompiledNet
from mcvd.nets.cuda_graph import CUDAGraphNet
from mcvd.nets.modulation import NormModulation
from mcvd.noise import AbstractNoiseSchedule
from mcvd.runtime.numbers import NumbersError
from mcvd.runtime.rng import KeyedNoise
from mcvd.samplers import AbstractSampler
from mcvd.samplers.base import Denoise

AUTOCAST = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
NEGATIVE = 0.01  # an energy that rounding alone does not explain
KNOWN_WEIGHT, KNOWN_MIN_SNR = 3.0, 0.1  # the best of those tried on streets other than those of docs/guides.md
_OF_CONTEXT = 1 << 20  # in the key of a noise: beyond the draws of any sampler
_OF_GUIDANCE, _OF_LOW = _OF_CONTEXT + 3, _OF_CONTEXT + 4


@dataclass(frozen=True)
class BlockSampler:
    """Samples the current frames of a block, given the frames around them.

    Args:
        sampler: the one of the options, or that of the task.
        stand_in: what is called in place of the network, if anything.
        modulation: of the network's norms at the times of the sampler, if it tells them.
    """

    denoiser: Denoiser
    block: FrameBlock
    options: SamplingOptions
    sampler: AbstractSampler
    stand_in: CompiledNet | CUDAGraphNet | None
    modulation: NormModulation | None
    progress: SamplingProgress

    def __call__(
        self,
        part: int,
        keys: Sequence[tuple[int, ...]],
        condition: Condition,
        number: int,
        sees_generated: bool,
        known: KnownPart | None = None,
    ) -> Tensor:
        """Sample block ``number`` of a part of the batch as `rollout` asks for it, or take it from the store.

        Args:
            keys: of each sample: what its noise depends on.
            condition: the frames around, for each sample or for groups of equally many adjacent samples.
            known: what is known of the frames themselves, for each sample.

        Returns:
            float32 (len(keys), N, C, H, W) in the model's range, not clamped.

        Raises:
            NumbersError: the model generated what is not finite.
        """
        store = self.options.block_store
        blank = condition.past.new_empty(len(keys), self.block.current, *condition.past.shape[2:])
        frames = store.load(part, number, blank.shape) if store else None
        if frames is None:
            frames = self._sample(blank, keys, condition, number, sees_generated, known)
            self.check(frames, number)
            if store:
                store.save(part, number, frames)
        self.progress.finish_block()
        return frames.to(blank.device)

    def check(self, frames: Tensor, number: int) -> None:
        """Raise NumbersError if a block, or frame, of this number is not finite."""
        if not frames.isfinite().all():
            hint = (
                "take float32 or bf16"
                if self.options.precision == "fp16"
                else "its weights or the sampler are at fault"
            )
            if self.options.guide is not None:
                hint += ", or the guide: are its gradients finite?"
            raise NumbersError(
                f"block {number}: the model generated numbers that are not finite (NaN or infinite), no video is made "
                f"of them: {hint}"
            )

    def _sample(
        self,
        blank: Tensor,
        keys: Sequence[tuple[int, ...]],
        condition: Condition,
        number: int,
        sees_generated: bool,
        known: KnownPart | None,
    ) -> Tensor:
        normal = KeyedNoise([(*key, number) for key in keys])
        is_given = known is not None and self.options.known_by == "condition"
        if known is not None and is_given and isinstance(self.denoiser.reference, GivenReference):
            condition = condition.repeat(len(keys) // condition.batch_size)
            condition = condition.showing(known.frames, known.keep[..., 0, 0, 0])
        now = blank.new_ones(len(blank))  # the time of the last call, whose noise is drawn next
        with self.binding(keys, condition, number, sees_generated) as (bound, denoise):

            def timed(noisy: Tensor, t: Tensor) -> Tensor:
                nonlocal now
                now = t
                return denoise(noisy, t)

            def draw(x: Tensor) -> Tensor:
                return self.denoiser.shaped(normal(x), now)

            end = self.denoiser.schedule(torch.ones((), dtype=torch.float64))
            size = (end.alpha**2 + end.sigma**2).sqrt()  # 1, or about sigma(1) where variance explodes
            steered = replace(bound, denoise=self._steered(timed, bound, known, self._bridge(condition, known)))
            sample = self.sampler(steered, draw(blank) * size, self.denoiser.schedule, draw)
            return bound.to_frames(sample)

    @contextmanager
    def binding(
        self, keys: Sequence[tuple[int, ...]], condition: Condition, number: int, sees_generated: bool
    ) -> Iterator[tuple[BoundDenoiser, Denoise]]:
        """Inside the ``with`` the network computes as the options say; the arguments are as above.

        Yields:
            The denoiser of the condition, and the same as a function that tells the progress of every call.
        """
        of_context = KeyedNoise([(*key, number, _OF_CONTEXT) for key in keys])
        if self.options.context_noise and sees_generated:
            level = condition.noise_level + self.options.context_noise
            condition = condition.noised(level, of_context(condition.frames))
        weaker = None
        own = keys[:: len(keys) // condition.batch_size]
        if self.options.low_noise and condition.low is not None and condition.low_noise is not None:
            noise = KeyedNoise([(*key, number, _OF_LOW) for key in own])(condition.low)
            condition = condition.low_noised(condition.low_noise + self.options.low_noise, noise)
        if self.options.guidance != 1 and self.options.guidance_noise is not None:
            noise = KeyedNoise([(*key, number, _OF_GUIDANCE) for key in own])(condition.frames)
            level = torch.full_like(condition.noise_level, self.options.guidance_noise)
            weaker = condition.noised((level**2 - condition.noise_level**2).clamp(min=0).sqrt(), noise)
            weaker = replace(weaker, noise_level=torch.maximum(level, condition.noise_level))
        denoiser, options = self.denoiser, self.options
        # Entered once a block: autocast keeps the weights that it has cast until it ends.
        precision = autocast(options.precision, condition.past.device)
        # Autograd cannot keep what inference mode made.
        untracked = torch.no_grad() if options.steers else torch.inference_mode()
        with untracked, evaluating(denoiser), precision, denoiser.calling(self.stand_in):
            bound = denoiser.bind(
                condition,
                options.guidance,
                options.guidance_drops,
                options.claim_past_visible,
                self.modulation,
                of_context,
                weaker,
            )

            def counted(noisy: Tensor, t: Tensor) -> Tensor:
                self.progress.before_call()
                return bound(noisy, t)

            yield bound, counted

    def _bridge(self, condition: Condition, known: KnownPart | None) -> Bridge | None:
        """What motion lets expect between known frames, if that is wanted."""
        return None if known is None or self.options.known_by not in (None, "motion") else bridge(condition, known)

    def _steered(
        self, denoise: Denoise, bound: BoundDenoiser, known: KnownPart | None, between: Bridge | None
    ) -> Denoise:
        """The denoiser under the guide of the options, and what is known."""
        options, schedule = self.options, self.denoiser.schedule
        guides: list[tuple[Guide, float]] = []
        frames = None if known is None else bound.from_frames(known.frames)
        if frames is not None and known is not None and options.known_by == "condition":
            denoise = conditioned(denoise, frames, known.keep[..., 0, 0, 0])
        if between is not None:
            means, variances = bound.from_frames(between.mean), bound.from_variance(between.variance)
            denoise = expected(denoise, means, variances, schedule)
        pulls = options.known_by in (None, "motion", "guidance") and not (between and between.is_whole)
        if frames is not None and known is not None and pulls:
            guides.append((KnownFrames(frames, known.keep, schedule), KNOWN_WEIGHT))
        wish, from_snr = options.guide, KNOWN_MIN_SNR
        if isinstance(wish, AbstractNoisyGuide):
            denoise = guided_by_state(
                denoise, partial(_of_state, wish, bound, schedule), options.guide_weight, schedule
            )
        elif wish is not None:
            guides.append((partial(_of_sample, wish, bound), options.guide_weight))
            from_snr = 0.0
        if guides:
            denoise = guided(denoise, guides, schedule, from_snr)
        return denoise if frames is None or known is None else replaced(denoise, frames, known.keep)


def _of_sample(wish: Guide, bound: BoundDenoiser, sample: Tensor, t: Tensor) -> Tensor:
    """The energy of the frames that a sample means."""
    return _checked(wish(bound.to_frames(sample), t), t, lowest=-NEGATIVE)


def _of_state(
    wish: AbstractNoisyGuide, bound: BoundDenoiser, schedule: AbstractNoiseSchedule, state: Tensor, t: Tensor
) -> Tensor:
    """The energy of the noisy frames that a state means."""
    return _checked(wish(*bound.noisy_frames(state, schedule(t))), t)


def _checked(energy: Any, t: Tensor, lowest: float = -inf) -> Tensor:
    """What somebody's guide returned, if it can be followed; one number is waited for.

    Raises:
        ValueError: it is not a number for each video, or below the lowest.
        NumbersError: one of these is NaN.
    """
    if not isinstance(energy, Tensor) or energy.shape != t.shape:
        got = tuple(energy.shape) if isinstance(energy, Tensor) else type(energy).__name__
        raise ValueError(f"a guide returns a tensor with an energy for each video, {tuple(t.shape)} here, got {got}")
    least = energy.detach().min().item()  # NaN if one of them is
    if isnan(least):
        raise NumbersError("a guide returned an energy that is NaN: nothing can be learned of it")
    if least < lowest:
        raise ValueError(
            f"a guide's energy is 0 where frames are as wished, and above 0 elsewhere, got {least:.3g}: add what makes "
            "its least value 0, or square a distance"
        )
    return energy


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager:
    """The network computes in this precision; for float32 as it comes, perhaps under the caller's autocast."""
    dtype = AUTOCAST[precision]
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode (no dropout), put back afterwards."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
