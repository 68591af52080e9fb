"""The values that travel through mcvd: blocks of frames, what is known of them, and pixels against model range."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

# What a file claims is believed up to here: sizes made of it are whole numbers of 64 bits, times are finite.
MAX_FRAMES = 1 << 16  # of a block
MAX_SIDE = 1 << 14  # of a frame, in pixels
MIN_RATE_HZ, MAX_RATE_HZ = 1e-6, 1e5


@dataclass(frozen=True)
class FrameBlock:
    """How many frames the network sees at once: ``past | current | future``.

    Args:
        past: frames before the current ones, given as context (0 or more).
        current: frames that are made (1 or more).
        future: frames after the current ones, given as context (0 or more).

    Examples:
        >>> FrameBlock(past=2, current=5).num_frames
        7
    """

    past: int
    current: int
    future: int = 0

    def __post_init__(self) -> None:
        if self.past < 0 or self.future < 0 or self.current < 1:
            raise ValueError(f"a block needs past >= 0, current >= 1 and future >= 0, got {self}")
        if self.num_frames > MAX_FRAMES:
            raise ValueError(f"a block has at most {MAX_FRAMES} frames, got {self}")

    @property
    def num_frames(self) -> int:
        """All frames of the block together."""
        return self.past + self.current + self.future

    @property
    def num_context(self) -> int:
        """Past and future frames together."""
        return self.past + self.future

    def split(self, video: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut a video of exactly this block into its (past, current, future) frames.

        Args:
            video: (B, T, C, H, W) with T = ``num_frames``.
        """
        if video.ndim != 5 or video.shape[1] != self.num_frames:
            raise ValueError(f"expected (B, {self.num_frames}, C, H, W) for {self}, got {tuple(video.shape)}")
        past, current, future = video.split([self.past, self.current, self.future], dim=1)
        return past, current, future


@dataclass(frozen=True)
class Condition:
    """What is known around the frames to be made; masked frames are zeroed here and nowhere else.

    Args:
        past: float (B, P, C, H, W), the frames before, oldest first, in the model's range; P may be 0.
        future: float (B, F, C, H, W), the frames after, oldest first; F may be 0.
        keep_past: bool (B, P), True where a past frame is visible.
        keep_future: bool (B, F), True where a future frame is visible.
        noise_level: float (B,), standard deviation of the noise that the visible frames carry, in the model's range;
            None is 0, clean frames. It is what the network is told; `noised` adds the noise too.
        alone: bool (B,), True where the frames of a sample are pictures that have nothing to do with each other; None:
            nowhere. For networks that see frame by frame, such as `mcvd.nets.SpaceTimeUNet`.
        signals: float (B, P + N + F, A), numbers beside each frame of the block, the current ones too, as the network
            takes them; None for a model that is told none. See `mcvd.diffusion.signals`.
        keep_signals: bool (B,), True where they are told; None with signals is everywhere.
        low: float (B, N, C, h, w), the frames to be made at a smaller size, in the model's range; None for a model that
            is not told them. See `mcvd.diffusion.super_resolution`.
        low_noise: float (B,), standard deviation of the noise that these carry, as for ``noise_level``.
        times: float (B, P + N + F), when each frame of the block is, the current ones too: in frames of the model's own
            rate, after the first current one. None is one frame after the other. For networks that see frame by frame.
        given: float (B, N, C, H, W), the frames to be made that are given; None: none is. Networks are shown them as
            frames without noise, not here; `mcvd.diffusion.given_reference` looks at them.
        keep_given: bool (B, N), which of them.
        motion: float (B,), 0 or more: the mean squared difference of neighbouring frames that were given, where the
            context is generated; 0 where that is not known, None: nowhere. See `ContextReference`.

    Generated context comes back unclamped, so values are not checked against [-1, 1].

    Examples:
        >>> frames = torch.ones(1, 2, 3, 8, 8)
        >>> hidden = Condition.visible(frames, frames[:, :0]).null()
        >>> hidden.past.abs().sum().item()
        0.0
    """

    past: Tensor
    future: Tensor
    keep_past: Tensor
    keep_future: Tensor
    noise_level: Tensor = None  # type: ignore[assignment]  # never None once made
    alone: Tensor | None = None
    signals: Tensor | None = None
    keep_signals: Tensor | None = None
    low: Tensor | None = None
    low_noise: Tensor | None = None
    times: Tensor | None = None
    given: Tensor | None = None
    keep_given: Tensor | None = None
    motion: Tensor | None = None

    def __post_init__(self) -> None:
        if self.noise_level is None:
            object.__setattr__(self, "noise_level", self.past.new_zeros(len(self.past)))
        if self.noise_level.shape != self.past.shape[:1]:
            raise ValueError(
                f"noise_level must be one number per sample, ({len(self.past)},), got {tuple(self.noise_level.shape)}"
            )
        if self.alone is not None and (self.alone.dtype != torch.bool or self.alone.shape != self.past.shape[:1]):
            raise ValueError(
                f"alone must be bool ({len(self.past)},), got {self.alone.dtype} {tuple(self.alone.shape)}"
            )
        if self.motion is not None and self.motion.shape != self.past.shape[:1]:
            raise ValueError(f"motion must be one number per sample, ({len(self.past)},), got {self.motion}")
        if self.times is not None:
            _check_times(self.times, len(self.past), self.past.shape[1] + self.future.shape[1])
        sides = ("past", "future") if self.given is None else ("past", "future", "given")
        for side in sides:
            frames, keep = getattr(self, side), getattr(self, f"keep_{side}")
            if frames.ndim != 5 or not frames.is_floating_point():
                raise ValueError(f"{side} must be float (B, T, C, H, W), got {frames.dtype} {tuple(frames.shape)}")
            if keep is None or keep.dtype != torch.bool or keep.shape != frames.shape[:2]:
                found = "none" if keep is None else f"{keep.dtype} {tuple(keep.shape)}"
                raise ValueError(f"keep_{side} must be bool {tuple(frames.shape[:2])}, got {found}")
            # Selecting, not multiplying: what is hidden has no influence even where it is NaN.
            object.__setattr__(self, side, torch.where(keep[..., None, None, None], frames, frames.new_zeros(())))
        if self.past.shape[0] != self.future.shape[0] or self.past.shape[2:] != self.future.shape[2:]:
            raise ValueError(
                "past and future must agree in all but the number of frames, "
                f"got {tuple(self.past.shape)} and {tuple(self.future.shape)}"
            )

        if self.signals is not None:
            self._hide_signals(self.signals)
        if self.low is not None:
            self._check_low(self.low)

    def _check_low(self, low: Tensor) -> None:
        batch, channels = self.past.shape[0], self.past.shape[2]
        if low.ndim != 5 or len(low) != batch or low.shape[2] != channels or not low.is_floating_point():
            raise ValueError(f"low must be float ({batch}, N, {channels}, h, w), got {low.dtype} {tuple(low.shape)}")
        if self.low_noise is None:
            object.__setattr__(self, "low_noise", low.new_zeros(batch))
        if self.low_noise.shape != (batch,):  # type: ignore[union-attr]
            raise ValueError(f"low_noise must be one number per sample, ({batch},), got {self.low_noise}")

    def _hide_signals(self, signals: Tensor) -> None:
        keep, batch = self.keep_signals, len(self.past)
        if signals.ndim != 3 or len(signals) != batch or not signals.is_floating_point():
            raise ValueError(f"signals must be float ({batch}, T, A), got {signals.dtype} {tuple(signals.shape)}")
        if keep is None:
            keep = torch.ones(batch, dtype=torch.bool, device=signals.device)
        if keep.dtype != torch.bool or keep.shape != (batch,):
            raise ValueError(f"keep_signals must be bool ({batch},), got {keep.dtype} {tuple(keep.shape)}")
        object.__setattr__(self, "keep_signals", keep)
        object.__setattr__(self, "signals", torch.where(keep[:, None, None], signals, signals.new_zeros(())))

    @classmethod
    def visible(cls, past: Tensor, future: Tensor) -> Condition:
        """The condition in which every given frame is visible."""
        keep = [torch.ones(side.shape[:2], dtype=torch.bool, device=side.device) for side in (past, future)]
        return cls(past, future, *keep)

    @property
    def batch_size(self) -> int:
        """Number of samples B."""
        return self.past.shape[0]

    @property
    def frames(self) -> Tensor:
        """Past then future frames, (B, P + F, C, H, W): the order in which networks see them."""
        return torch.cat([self.past, self.future], dim=1)

    @property
    def keep(self) -> Tensor:
        """Past then future masks, bool (B, P + F)."""
        return torch.cat([self.keep_past, self.keep_future], dim=1)

    def null(self, past: bool = True, future: bool = True, signals: bool = False) -> Condition:
        """The same shapes with all frames masked, or one side of them, or also what signals tell."""
        keep_signals = self.keep_signals
        return replace(
            self,
            keep_signals=torch.zeros_like(keep_signals) if signals and keep_signals is not None else keep_signals,
            keep_past=torch.zeros_like(self.keep_past) if past else self.keep_past,
            keep_future=torch.zeros_like(self.keep_future) if future else self.keep_future,
        )

    def without(self, dropped: Literal["both", "past", "future", "signals"]) -> Condition:
        """The same shapes without this side, without both, or without what signals tell."""
        return self.null(dropped in ("both", "past"), dropped in ("both", "future"), dropped == "signals")

    def showing(self, frames: Tensor, keep: Tensor) -> Condition:
        """The same condition with some of the current frames given: float (B, N, C, H, W), bool (B, N)."""
        return replace(self, given=frames, keep_given=keep)

    def noised(self, level: Tensor, noise: Tensor) -> Condition:
        """The same condition under noise, which the network is told of: ``frames + level * noise``.

        A model that is trained so is used to flawed context, such as frames of its own making (cascaded diffusion's
        conditioning augmentation, arXiv 2106.15282, applied to time as in arXiv 2408.14837).

        Args:
            level: float (B,), standard deviation in the model's range [-1, 1].
            noise: standard normal (B, P + F, C, H, W).
        """
        past, future = (self.frames + level.view(-1, 1, 1, 1, 1) * noise).split(
            [self.past.shape[1], self.future.shape[1]], dim=1
        )
        return replace(self, past=past, future=future, noise_level=level)

    def low_noised(self, level: Tensor, noise: Tensor) -> Condition:
        """The same condition with noise on the small frames, which the network is told of: ``low + level * noise``.

        A model that is trained so takes small frames of another model's making, with their flaws (noise conditioning
        augmentation of cascaded diffusion, Ho et al. 2022, arXiv 2106.15282).

        Args:
            level: float (B,), standard deviation in the model's range [-1, 1].
            noise: standard normal (B, N, C, h, w).
        """
        assert self.low is not None
        return replace(self, low=self.low + level.view(-1, 1, 1, 1, 1) * noise, low_noise=level)

    def repeat(self, num_samples: int) -> Condition:
        """So many copies of each sample's condition, adjacent."""
        return Condition(**{name: getattr(self, name).repeat_interleave(num_samples, dim=0) for name in self._names})

    def followed_by(self, other: Condition) -> Condition:
        """One condition of both batches, this one's samples first."""
        names = [name for name in self._names if getattr(other, name) is not None]
        return Condition(**{name: torch.cat([getattr(self, name), getattr(other, name)]) for name in names})

    @property
    def _names(self) -> list[str]:
        """Of what there is."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    def __repr__(self) -> str:
        return f"Condition(past={tuple(self.past.shape)}, future={tuple(self.future.shape)})"


def _check_times(times: Tensor, batch: int, num_context: int) -> None:
    if times.ndim != 2 or len(times) != batch or times.shape[1] <= num_context or not times.is_floating_point():
        raise ValueError(
            f"times must be float ({batch}, T), one number for each frame of the block, of which {num_context} are "
            f"context, got {times.dtype} {tuple(times.shape)}"
        )


def check_format(size: tuple[int, int], frame_rate_hz: float | None) -> None:
    """Refuse frames of no possible size or rate.

    Args:
        size: height and width in pixels.
        frame_rate_hz: None where it is not known.

    Raises:
        ValueError: names what is out of range.
    """
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise ValueError(f"size must be (height, width), each from 1 to {MAX_SIDE} pixels, got {tuple(size)}")
    if frame_rate_hz is not None and not MIN_RATE_HZ <= frame_rate_hz <= MAX_RATE_HZ:
        raise ValueError(f"frame_rate_hz must be from {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g}, got {frame_rate_hz}")


def model_from_pixels(video: Tensor) -> Tensor:
    """uint8 pixels -> float32 in [-1, 1], any shape.

    Examples:
        >>> model_from_pixels(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
        [-1.0, 1.0]
    """
    if video.dtype != torch.uint8:
        raise ValueError(f"pixels must be uint8 (0 to 255), got {video.dtype}; convert floats before")
    return video.float() / 127.5 - 1


def unit_from_model(video: Tensor) -> Tensor:
    """Float in the model's range -> float32 in [0, 1], clamped and not rounded, any shape.

    Examples:
        >>> unit_from_model(torch.tensor([-1.0, 0.0, 7.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    return ((video.float() + 1) / 2).clamp(0, 1)


def pixels_from_unit(video: Tensor) -> Tensor:
    """Float in [0, 1] -> uint8 pixels, rounded, any shape.

    Examples:
        >>> pixels_from_unit(torch.tensor([0.0, 0.5, 1.0])).tolist()
        [0, 128, 255]
    """
    return (video * 255).round().clamp(0, 255).to(torch.uint8)


def pixels_from_model(video: Tensor) -> Tensor:
    """Float in the model's range -> uint8 pixels, rounded and clamped, any shape. Inverse of `model_from_pixels`.

    Examples:
        >>> pixels_from_model(torch.tensor([-1.0, 0.0, 7.0])).tolist()
        [0, 128, 255]
    """
    return ((video.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
