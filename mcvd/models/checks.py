"""Which choices of a model go together, and which frames fit it: what is refused."""

from __future__ import annotations

import math
import warnings
from typing import Protocol

from torch import Tensor

from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.frame_noise import FrameNoise
from mcvd.diffusion.given_reference import GivenReference
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.options import SamplingOptions
from mcvd.diffusion.reference import ContextReference
from mcvd.diffusion.self_context import max_depth, ways_of
from mcvd.diffusion.signals import Signals
from mcvd.diffusion.super_resolution import SuperResolution
from mcvd.diffusion.told_times import ToldTimes
from mcvd.frames import FrameBlock, check_format
from mcvd.models.codecs.base import AbstractCodec
from mcvd.models.codecs.pixels import Pixels


class Chosen(Protocol):
    """What was chosen for a model; see `mcvd.models.video_model.VideoModel`."""

    block: FrameBlock
    size: tuple[int, int]
    channels: int
    frame_rate_hz: float | None
    adversarial: float
    reference_colors: bool
    context_noise: float
    self_context: float
    masking: Masking
    frame_noise: FrameNoise
    codec: AbstractCodec
    signals: Signals | None
    super_resolution: SuperResolution | None
    times: ToldTimes | None
    denoiser: Denoiser

    @property
    def per_frame(self) -> bool:
        """Whether the network takes frame by frame what others take of a block."""


def check_choices(model: Chosen) -> None:
    """Refuse numbers out of range, before a network is made.

    Raises:
        ValueError: names the argument.
    """
    check_format(model.size, model.frame_rate_hz)
    for name in ("warmup_steps", "cooldown_steps", "seed"):
        if not 0 <= getattr(model, name) < 1 << 63:
            raise ValueError(f"{name} must be 0 or more, and have 63 bits at most, got {getattr(model, name)}")
    if model.reference_colors and not (model.channels in (1, 3) and isinstance(model.codec, Pixels)):
        raise ValueError(
            f"reference_colors is for pixels, grey or of three channels, got {model.channels} of {model.codec!r}: "
            "set it to false"
        )
    if not 0 <= model.adversarial < math.inf:
        raise ValueError(f"adversarial is a weight of 0 or more, got {model.adversarial}")
    if not 0 <= model.context_noise < 2:
        raise ValueError(f"context_noise is a standard deviation in the range [-1, 1], got {model.context_noise}")
    if not 0 <= model.self_context <= 1:
        raise ValueError(f"self_context is a probability from 0 to 1, got {model.self_context}")


def check_size(model: Chosen) -> None:
    """Refuse frames of a size that the network cannot have.

    Raises:
        ValueError: says which sizes it can.
    """
    seen = model.codec.frame_size(model.size)
    try:
        model.denoiser.net.check_size(*seen)  # type: ignore[operator]
    except ValueError as error:
        if seen == model.size:
            raise
        (height, width), (low, wide) = model.size, seen
        told = f"frames of {height}x{width} are {low}x{wide} as latents, {height // low} times less"
        raise ValueError(f"{told}: {error}") from error


def check_network(model: Chosen) -> None:
    """Refuse a network that is not told, or cannot do, what the model asks of it.

    Raises:
        ValueError: says what to set.
    """
    denoiser, masking = model.denoiser, model.masking
    told, is_residual = denoiser.net.conditioning, denoiser.reference is not None  # type: ignore[union-attr]
    if model.context_noise and not told.tell_noise:  # type: ignore[union-attr]
        raise ValueError("context_noise needs a network that is told of it: set tell_noise of its conditioning")
    if denoiser.diffuses_context and (model.context_noise or is_residual or told.tell_motion):  # type: ignore[union-attr]
        raise ValueError(
            "diffuses_context hides the context in as much noise as the frames have: context_noise, reference: "
            "context and tell_motion, which need it as it is, must be off"
        )
    if denoiser.diffuses_context and model.per_frame:
        raise ValueError("diffuses_context is for networks with one noise level for all frames, such as mcvd.nets.UNet")
    if (masking.p_any or model.frame_noise) and not model.per_frame:
        raise ValueError(
            "masking.p_any and frame_noise need a network that sees frame by frame, mcvd.nets.SpaceTimeUNet, "
            f"got {type(denoiser.net).__name__}"
        )
    if isinstance(denoiser.reference, GivenReference) and not model.per_frame:
        raise ValueError(
            "reference 'given' is for networks that are shown frames anywhere, mcvd.nets.SpaceTimeUNet, got "
            f"{type(denoiser.net).__name__}: take 'context'"
        )
    if masking.p_partial and denoiser.net.past_embedding is not None:
        raise ValueError("past_embedding tells one bit of the past: masking.p_partial, which shows parts, must be 0")
    if model.times is not None:
        model.times.check(model.block, model.per_frame)
    if model.self_context:
        _check_self_context(model)
    _check_time(model)
    _check_super_resolution(model, bool(told.tell_low))  # type: ignore[union-attr]


def _check_time(model: Chosen) -> None:
    """Refuse what counts single frames among those that are coded together."""
    if model.codec.coding is None:
        return
    residuals = model.denoiser.reference
    others = {
        "signals": model.signals,
        "times": model.times,
        "super_resolution": model.super_resolution,
        "frame_noise": model.frame_noise,
        "self_context": model.self_context,
        "adversarial": model.adversarial,
        "masking.p_any": model.masking.p_any,
        "masking.p_partial": model.masking.p_partial,
        "reference_memory": isinstance(residuals, ContextReference) and residuals.memory,
    }
    if found := [name for name, value in others.items() if value]:
        raise ValueError(f"{model.codec!r} codes frames together, and cannot do {' and '.join(found)}: leave them out")


def check_options(codec: AbstractCodec, block: FrameBlock, options: SamplingOptions, given: tuple[int, int]) -> None:
    """Refuse options of sampling that count single frames of a block, where these are coded together; warn of given
    frames, so many before and after, that cannot be coded.

    Raises:
        ValueError: names them.
    """
    coding = codec.coding
    if coding is None:
        return
    others = {"known": options.known is not None, "loop": options.loop, "guide": options.guide is not None}
    if found := [name for name, is_set in others.items() if is_set]:
        raise ValueError(f"{codec!r} codes frames together, and cannot do {' and '.join(found)}: leave them out")
    parts = f"{codec!r} codes frames together, 1 and a multiple of {coding.num_frames} more"
    if options.overlap is not None and (few := coding.longest(options.overlap)) != options.overlap:
        raise ValueError(f"overlap {options.overlap}: {parts}: take {few} or {few + coding.num_frames}")
    for name, slots, number in zip(("past", "future"), (block.past, block.future), given, strict=True):
        if (few := coding.longest(min(number, slots))) < min(number, slots):
            text = f"of the {number} {name} frames only the nearest {few} {'is' if few == 1 else 'are'} seen: {parts}"
            warnings.warn(text, stacklevel=3)


def _check_self_context(model: Chosen) -> None:
    if not max_depth(model.block, back=False) and not max_depth(model.block, back=True):
        raise ValueError(f"self_context cuts two blocks out of the frames of one, which are too few of {model.block}")
    if not ways_of(model.block, model.masking):
        raise ValueError(
            f"self_context shows past frames without future ones, or the reverse, and {model.masking} never does: "
            "leave it out"
        )
    others = {
        "signals": model.signals,
        "times": model.times,
        "super_resolution": model.super_resolution,
        "frame_noise": model.frame_noise,
        "masking.p_any": model.masking.p_any,
        "diffuses_context": model.denoiser.diffuses_context,
    }
    if found := [name for name, value in others.items() if value]:
        raise ValueError(f"self_context is for models without {' and '.join(found)}: set one of them to 0")


def _check_super_resolution(model: Chosen, tell_low: bool) -> None:
    options, codec = model.super_resolution, model.codec
    if (options is not None) != tell_low:
        raise ValueError("super_resolution and tell_low of the network's conditioning go together: set both, or none")
    if options is None:
        return
    options.low_size(model.size)
    if codec.planes(model.channels) != model.channels or codec.frame_size(model.size) != model.size:
        raise ValueError(f"super_resolution is for frames, not for what {type(codec).__name__} makes of them")
    if model.denoiser.noise_colors is not None and model.denoiser.reference is not None:
        raise ValueError(
            "colored_noise does not know residuals to smaller frames: set it to false, or reference to frames"
        )


def check_frames(video: Tensor, codec: AbstractCodec, expected: tuple[int, int, int]) -> None:
    """Refuse frames that are not what a model works on, and tell how to make them so.

    Args:
        video: a user's, of any type and shape.
        codec: of the model.
        expected: (C, H, W).

    Raises:
        ValueError: it is not (T, C, H, W) or (B, T, C, H, W), or its numbers are not those of the codec.
    """
    shape, wrong = tuple(video.shape), codec.wrong(video)
    if len(shape) in (4, 5) and shape[-3:] == expected and not wrong:
        return
    is_shaped = len(shape) in (4, 5) and shape[-3:] == expected
    hint = wrong if is_shaped else _how_to_shape(shape, expected)
    kind = str(codec.dtype).removeprefix("torch.")
    raise ValueError(
        f"this model takes {kind} frames (T, C, H, W) or (B, T, C, H, W) with C, H, W = {expected}, "
        f"got {video.dtype} {shape}; {hint}"
    )


def _how_to_shape(shape: tuple[int, ...], expected: tuple[int, int, int]) -> str:
    channels, height, width = expected
    if shape == expected:
        return "one frame has no axis of time: frame[None]"
    if len(shape) in (4, 5) and shape[-3:] == (height, width, channels):
        order = "0, 3, 1, 2" if len(shape) == 4 else "0, 1, 4, 2, 3"
        return f"channels come before height and width: video.permute({order})"
    if len(shape) in (4, 5) and (shape[-4], *shape[-2:]) == expected:
        return f"time comes before channels: video.transpose({len(shape) - 4}, {len(shape) - 3})"
    return "mcvd.read_video(path, size=...) makes them fit"
