"""The denoiser: a network, a noise schedule, and the only place that knows what the network predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mcvd.diffusion.bound_denoiser import BoundDenoiser, same_for_both
from mcvd.diffusion.color_axes import mixed
from mcvd.diffusion.motion import motion_planes
from mcvd.diffusion.noise_colors import NoiseColors
from mcvd.diffusion.parametrization import PARAMETRIZATIONS, AbstractParametrization, Prediction, noisy_std
from mcvd.diffusion.reference import Residual
from mcvd.diffusion.references import Reference
from mcvd.diffusion.super_resolution import low_planes
from mcvd.frames import Condition
from mcvd.nets.compiled import CompiledNet
from mcvd.nets.context import Context
from mcvd.nets.cuda_graph import CUDAGraphNet
from mcvd.nets.modulation import NormModulation
from mcvd.noise import (
    AbstractNoiseSchedule,
    Coefficients,
    gamma_noise,
    label_from_time,
    noise_from_clean,
    noisy_from_clean,
)
from mcvd.samplers.base import Draw
from mcvd.samplers.spacing import log_snr, time_from_log_snr

Dropped = Literal["both", "past", "future", "signals"]
GUIDED_NOISE = 0.1
"""Residuals are guided where frames carry no more noise than this, range [-1, 1]. Above it the frames alone do not show
the base, which only the conditional estimate knows: guidance would then exaggerate the whole picture. That guidance
does harm at high noise was shown by Kynkäänniemi et al. (2024, arXiv 2404.07724)."""


class Denoiser(nn.Module):
    """A network that estimates the clean current frames from noisy ones, given the frames around them.

    Args:
        net: called as ``net(noisy, label, encoded)`` with ``encoded = net.encode_condition(context, cache,
            modulation)`` of a `mcvd.nets.Context`; see `mcvd.nets.UNet`.
        schedule: how much noise there is at each time.
        predicts: what the network's output means: the noise, the clean frames, the velocity (Salimans and Ho 2022), or
            "edm": what is missing from the noisy frames themselves, scaled to unit size at every noise level
            (Karras et al. 2022, section 5).
        distance: of the loss: half the squared difference, or the absolute one, summed over all pixels.
        min_snr: weigh times as if the clean frames were predicted with the signal-to-noise ratio, but at most this,
            as weight (min-SNR, Hang et al. 2023, arXiv 2303.09556, who advise 5); None weighs all outputs equally.
        reference: if given, residuals to what the context tells are diffused, not the frames themselves. The state, the
            noise and the network's output are then in units of residuals; `loss` takes frames all the same, and
            `bind` tells how samples become frames.
        gamma_noise: scale of gamma noise, see `mcvd.noise.gamma_noise`; None is normal noise.
        diffuses_context: the context is diffused to the time of the frames, in each call with noise of its own
            (``noise_in_cond`` of the published code).
        bound: the largest absolute value of frames, to which samplers clip; 1 for pixels.
        noise_colors: if given, standard normal noise goes through it before it is added.

    The state and all conversions keep the dtype of the noisy frames; only the network runs under autocast.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: AbstractNoiseSchedule,
        predicts: Prediction = "eps",
        distance: Literal["squared", "absolute"] = "squared",
        min_snr: float | None = None,
        reference: Reference | None = None,
        gamma_noise: float | None = None,
        diffuses_context: bool = False,
        bound: float = 1.0,
        noise_colors: NoiseColors | None = None,
    ):
        super().__init__()
        if predicts not in PARAMETRIZATIONS:
            raise ValueError(f"predicts must be 'eps', 'x0', 'v' or 'edm', got {predicts!r}")
        if distance not in ("squared", "absolute"):
            raise ValueError(f"distance must be 'squared' or 'absolute', got {distance!r}")
        with torch.device("cpu"):  # a model may be made on the meta device, which has no numbers
            signal_at_end = schedule(torch.ones(1, dtype=torch.float64)).alpha.item()
        if PARAMETRIZATIONS[predicts].needs_signal and signal_at_end == 0:
            raise ValueError(
                "at t = 1 this schedule leaves no signal, so noise says nothing there: use 'v', 'x0' or 'edm'"
            )
        if min_snr is not None and (not 0 < min_snr < inf or distance != "squared"):
            raise ValueError(f"min_snr weighs squared distances and must be above 0, got {min_snr} for {distance!r}")
        if gamma_noise is not None and not 0 < gamma_noise <= 1:
            raise ValueError(f"gamma_noise is a scale above 0 and at most 1, or None for none, got {gamma_noise}")
        self.gamma_noise, self.diffuses_context = gamma_noise, diffuses_context
        self.net, self.schedule = net, schedule
        self.predicts = predicts
        self.distance = distance
        self.min_snr = min_snr
        self.reference = reference
        self.bound = bound
        self.noise_colors = noise_colors
        self._compiled: dict[str, CompiledNet] = {}
        self._stand_in: CompiledNet | CUDAGraphNet | None = None  # see `calling`

    def compiled(self, mode: str = "default") -> CompiledNet:
        """The network called through `torch.compile` in this mode; once compiled it stays so."""
        if mode not in self._compiled:
            self._compiled[mode] = CompiledNet(self.net, mode=mode)
        return self._compiled[mode]

    @contextmanager
    def calling(self, stand_in: CompiledNet | CUDAGraphNet | None) -> Iterator[None]:
        """Inside the ``with`` this is called in place of the network; a CUDA graph is let go of afterwards."""
        before, self._stand_in = self._stand_in, stand_in
        try:
            yield
        finally:
            self._stand_in = before
            if isinstance(stand_in, CUDAGraphNet):
                stand_in.reset()

    def shaped(self, normal: Tensor, t: Tensor) -> Tensor:
        """Noise as this model has it at times t (B,), from standard normal noise (B, ...)."""
        if self.noise_colors is not None:
            normal = self.noise_colors(normal)
        if self.gamma_noise is None:
            return normal
        return gamma_noise(normal, self.gamma_noise, self.schedule(t).like(normal))

    def loss(
        self,
        clean: Tensor,
        condition: Condition,
        t: Tensor,
        noise: Tensor,
        weight: Tensor | None = None,
        context_noise: Tensor | None = None,
    ) -> Tensor:
        """Regression loss on the current frames, deterministic in its arguments (MCVD, eq. 3).

        Args:
            clean: float (B, N, C, H, W), the true current frames.
            condition: the frames around them, masked as drawn.
            t: float (B,), 0 is clean, 1 is noise; (B, N) for a network that takes a time for each frame. Frames at 0
                are given and cost nothing.
            noise: standard normal of clean's shape.
            weight: how much each number counts (along `Residual.axes`, if there are such), float of clean's shape, 0
                where nothing is known; None: all the same.
            context_noise: standard normal (B, P + F, C, H, W), for a model that diffuses its context.

        Returns:
            float (B,), summed over frames, channels and pixels as published (not averaged); of residuals where they
            are diffused.
        """
        output, target, _, at, residual = self.answer(clean, condition, t, noise, context_noise)
        return self.weighed(output - target, t, at, weight, residual)

    def answer(
        self, clean: Tensor, condition: Condition, t: Tensor, noise: Tensor, context_noise: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Coefficients, Residual | None]:
        """What the network says, what it should say, of what, at which noise, and of which residuals; see `loss`."""
        residual = self._residual(condition)
        if residual is not None:
            clean = residual.from_frames(clean)
        at, noise = self.schedule(t).like(clean), self.shaped(noise, t)
        noisy = noisy_from_clean(clean, noise, at)
        target = self._parametrization.target(clean, noise, noisy, at)
        context = self._context(condition, t, context_noise)
        encoded = self._encode(condition, cache=False, residual=residual, context=context)
        return self._run(noisy, t, at, encoded), target, noisy, at, residual

    def weighed(
        self, difference: Tensor, t: Tensor, at: Coefficients, weight: Tensor | None, residual: Residual | None
    ) -> Tensor:
        """The loss (B,) of how far an answer is from what it should be; see `loss`."""
        if t.ndim == 2:
            difference = torch.where(t[..., None, None, None] == 0, 0.0, difference)  # where no noise says nothing
        if weight is not None and residual is not None and residual.axes is not None:
            difference = mixed(residual.axes.T, difference)
        each = 0.5 * difference.square() if self.distance == "squared" else difference.abs()
        each = each if weight is None else each * weight
        if self.min_snr is None:
            return each.flatten(1).sum(1)
        of_time = self._parametrization.min_snr_weight(at, self.min_snr).view(t.shape)
        return (each.flatten(t.ndim).sum(t.ndim) * of_time).view(len(t), -1).sum(1)

    @torch.no_grad()
    def measure(self, past: Tensor, current: Tensor, future: Tensor) -> None:
        """Learn from clips, float (B, T, C, H, W) each and none masked, what is set before any training."""
        if self.reference is not None:
            self.reference.measure(past, current, future)
        if self.noise_colors is not None:
            visible = Condition.visible(past, future)
            residual = self._residual(visible.null(past=False) if past.shape[1] else visible)
            self.noise_colors.measure(current if residual is None else residual.from_frames(current))

    def estimate(self, noisy: Tensor, t: Tensor, condition: Condition, context_noise: Tensor | None = None) -> Tensor:
        """The clean estimate, not clipped, of frames, or residuals, (B, N, C, H, W) at times t (B,), to train on.

        What `bind` makes says the same, for many calls with one condition. ``context_noise`` is that of `loss`.
        """
        context, at = self._context(condition, t, context_noise), self.schedule(t).like(noisy)
        output = self._run(noisy, t, at, self._encode(condition, cache=False, context=context))
        return self._parametrization.clean(output, noisy, at)

    def predict_noise(
        self, noisy: Tensor, t: Tensor, condition: Condition, context_noise: Tensor | None = None
    ) -> Tensor:
        """The noise that the network sees in noisy frames, or residuals, (B, N, C, H, W) at times t (B,)."""
        context, at = self._context(condition, t, context_noise), self.schedule(t).like(noisy)
        output = self._run(noisy, t, at, self._encode(condition, cache=False, context=context))
        if self.predicts == "eps":
            return output
        return noise_from_clean(noisy, self._parametrization.clean(output, noisy, at), at)

    def bind(
        self,
        condition: Condition,
        guidance: float = 1.0,
        guidance_drops: Dropped = "both",
        claim_past_visible: bool = False,
        modulation: NormModulation | None = None,
        draw: Draw | None = None,
        weaker: Condition | None = None,
    ) -> BoundDenoiser:
        """Fix the condition; everything that depends on it alone is computed here, once, not in every step.

        Args:
            condition: of B samples.
            guidance: 1 uses the condition as it is; other weights w mix in the estimate with the context masked,
                ``null + w * (conditional - null)``, both computed in one network call (Ho and Salimans 2022). Residuals
                of the masked context have another base and scale: they are asked for at the time that has the same
                noise in the frames (in the mean, where pixels differ), and only where that is at most `GUIDED_NOISE`.
            guidance_drops: which side of the context, or the signals, is masked: what guidance makes the result follow.
            claim_past_visible: only to repeat published numbers: the published samplers tell a network with
                ``past_embedding`` that its past is visible even where it is masked, unlike the published training.
            modulation: from `modulation`, for the times at which the result is called; None takes any time.
            draw: gives standard normal noise for the context, (B * K, P + F, C, H, W), to a model that diffuses it.
            weaker: what guidance compares with instead of the masked context, such as the context under noise (history
                guidance, Song et al. 2025, arXiv 2502.06764).

        Returns:
            ``denoise(noisy, t)`` for noisy frames (B * K, N, C, H, W): K samples of each condition, adjacent
            (``repeat_interleave`` order), at times (B * K,), or (B * K, N) where the network takes them.
            The estimate is not clipped. ``denoise.to_frames(sample)`` makes frames of what was sampled.

        Examples:
            >>> import mcvd
            >>> block = mcvd.FrameBlock(past=1, current=2)
            >>> net = mcvd.nets.UNet(block, channels=1, width=8, multipliers=(1, 2), attention_levels=(1,))
            >>> denoiser = Denoiser(net, mcvd.noise.LinearBeta())
            >>> past = torch.zeros(1, 1, 1, 16, 16)
            >>> denoise = denoiser.bind(mcvd.Condition.visible(past, past[:, :0]))
            >>> denoise(torch.randn(3, 2, 1, 16, 16), torch.full((3,), 0.5)).shape
            torch.Size([3, 2, 1, 16, 16])
        """
        residual = self._residual(condition)
        if guidance == 1:
            encode = self._encoder(condition, claim_past_visible, modulation, residual, draw)

            def denoise(noisy: Tensor, t: Tensor) -> Tensor:
                at = self.schedule(t).like(noisy)
                return self._parametrization.clean(self._run(noisy, t, at, encode(noisy, t)), noisy, at)

            return BoundDenoiser(denoise, residual, self.bound)

        null = condition.without(guidance_drops) if weaker is None else weaker
        is_same = weaker is None and guidance_drops == "signals"  # signals do not change what is diffused
        null_residual = None if is_same else self._residual(null)
        if null_residual is not None:
            modulation = None  # whose times are others
        both = condition.followed_by(null)
        encode = self._encoder(both, claim_past_visible, modulation, None, same_for_both(draw))

        def guided(noisy: Tensor, t: Tensor) -> Tensor:
            null_noisy, null_t = noisy, t
            if residual is not None and null_residual is not None:
                null_noisy, null_t = self._in_other_units(noisy, t, residual, null_residual)
            one_row = t.stride(0) == 0 and null_t is t
            twice = t[:1].expand(2 * len(t), *t.shape[1:]) if one_row else torch.cat([t, null_t])
            states = torch.cat([noisy, null_noisy])
            at = self.schedule(twice).like(states)
            output = self._run(states, twice, at, encode(states, twice))
            conditional, unconditional = self._parametrization.clean(output, states, at).chunk(2)
            weight: Tensor | float = guidance
            if residual is not None and null_residual is not None:
                num_samples = len(noisy) // len(residual.base)
                own = residual.repeat(num_samples)
                unconditional = own.from_frames(null_residual.repeat(num_samples).to_frames(unconditional))
                if weaker is None:
                    alpha, sigma = at.alpha[: len(noisy)], at.sigma[: len(noisy)]
                    weight = torch.where(sigma * own.scale[:, :, :1] <= GUIDED_NOISE * alpha, guidance, 1.0)
            return unconditional + weight * (conditional - unconditional)

        return BoundDenoiser(guided, residual, self.bound)

    def _residual(self, condition: Condition) -> Residual | None:
        """What is diffused under this condition, if not frames."""
        return None if self.reference is None else self.reference(condition)

    def _in_other_units(self, noisy: Tensor, t: Tensor, own: Residual, other: Residual) -> tuple[Tensor, Tensor]:
        """Noisy residuals of one kind as those of another kind, and the times at which these have as much noise."""
        num_samples = len(noisy) // len(own.base)
        own, other = own.repeat(num_samples), other.repeat(num_samples)
        wider = (other.scale / own.scale).log().flatten(t.ndim).mean(t.ndim).double()
        cleanest = log_snr(torch.full_like(wider, 1 / self.schedule.num_steps), self.schedule)
        wanted = torch.minimum(log_snr(t.double(), self.schedule) + 2 * wider, cleanest)
        there = time_from_log_snr(wanted, self.schedule)
        before, after = self.schedule(t).like(noisy), self.schedule(there.to(t)).like(noisy)
        shift = after.alpha * other.from_difference(own.base - other.base)
        moved, there = shift + after.sigma / before.sigma * noisy, there.to(t)
        if t.ndim == 1:
            return moved, there
        given = t == 0  # these are no noisier in other units
        moved = torch.where(given[..., None, None, None], other.from_frames(own.to_frames(noisy)), moved)
        return moved, torch.where(given, 0.0, there)

    def modulation(self, times: Tensor) -> NormModulation | None:
        """What the network's norms are told at these times, computed once for all calls of what `bind` makes of it.

        Args:
            times: float (T,), as the calls will give them, in any order; another one is taken for the nearest.

        Returns:
            For `bind`; None if the network is somebody's own and does without.
        """
        if not hasattr(self.net, "modulation"):
            return None
        return self.net.modulation(label_from_time(times, self.schedule.num_steps))  # type: ignore[operator]

    def _context(self, condition: Condition, t: Tensor, noise: Tensor | None) -> Tensor | None:
        """The diffused context at times t (B,), hidden frames too; None where it stays as it is."""
        if not self.diffuses_context:
            return None
        if noise is None:
            raise ValueError("this model diffuses its context: give it noise for that (context_noise, or draw)")
        return noisy_from_clean(condition.frames, self.shaped(noise, t), self.schedule(t).like(noise))

    def _encoder(
        self,
        condition: Condition,
        claim: bool,
        modulation: NormModulation | None,
        residual: Residual | None,
        draw: Draw | None,
    ) -> Callable[[Tensor, Tensor], Any]:
        """From noisy frames and times to the condition for the network: the same for all calls, if it can be."""
        if not self.diffuses_context:
            encoded = self._encode(condition, True, claim, modulation, residual)
            return lambda noisy, t: encoded

        def encode(noisy: Tensor, t: Tensor) -> Any:
            each = condition.repeat(len(noisy) // condition.batch_size)
            context = self._context(each, t, None if draw is None else draw(each.frames))
            return self._encode(each, False, claim, modulation, residual, context)

        return encode

    def _encode(
        self,
        condition: Condition,
        cache: bool,
        claim: bool = False,
        modulation: NormModulation | None = None,
        residual: Residual | None = None,
        context: Tensor | None = None,
    ):
        """The condition for the network, with its ``residual``, if known, and ``context`` in place of its frames."""
        motion = None
        if getattr(self.net, "motion_planes", 0):
            num_frames: int = self.net.block.current  # type: ignore[union-attr, assignment]
            motion = motion_planes(condition, residual or self._residual(condition), num_frames)
        told = Context(
            condition.frames if context is None else context,
            condition.keep,
            condition.noise_level,
            claim_past_visible=claim,
            motion=motion,
            low=low_planes(condition) if getattr(self.net, "low_planes", 0) else None,
            signals=condition.signals,
            keep_signals=condition.keep_signals,
            times=condition.times,
            alone=condition.alone,
        )
        return self.net.encode_condition(told, cache, modulation)  # type: ignore[operator]

    def _run(self, noisy: Tensor, t: Tensor, at: Coefficients, encoded) -> Tensor:
        # One time for all (a sampler's, expanded) becomes one label for all, which the network embeds once.
        label = label_from_time(t[:1] if t.stride(0) == 0 else t, self.schedule.num_steps).expand(t.shape)
        sigma_data = self._parametrization.sigma_data or (None if self.schedule.preserves_variance else 1.0)
        seen = noisy if sigma_data is None else noisy / noisy_std(at, sigma_data)
        run = self.net if self._stand_in is None else self._stand_in
        return run(seen, label, encoded).to(noisy.dtype)

    @property
    def _parametrization(self) -> AbstractParametrization:
        return PARAMETRIZATIONS[self.predicts]
