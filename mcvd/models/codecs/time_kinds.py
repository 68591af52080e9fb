"""The autoencoders of diffusers that code frames together: what their arguments say of channels, sizes and lengths."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Any, Literal, NamedTuple

TimeKind = Literal[
    "AutoencoderKLCogVideoX",
    "AutoencoderKLHunyuanVideo",
    "AutoencoderKLLTXVideo",
    "AutoencoderKLMagvit",
    "AutoencoderKLWan",
]
_WAN_CHUNK = 4  # frames that it encodes at once after the first one, whatever its arguments


class TimeShape(NamedTuple):
    """Channels of frames and of latents, pixels of a side in one latent, and how frames are coded together.

    The first frame is coded alone; every ``num_frames`` after it become ``num_latents``.
    """

    channels: int
    latents: int
    factor: int
    num_frames: int
    num_latents: int


def time_shape_of(kind: str, arguments: Mapping[str, Any]) -> TimeShape:
    """The shape of what a codec of this kind, one of `TimeKind`, makes.

    Raises:
        ValueError: the arguments are of none, or of one whose decoding is random.
    """
    try:
        shape = _SHAPES[kind](arguments)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"these arguments make no {kind}: {error!s:.200}") from error
    if not all(type(each) is int and each > 0 for each in shape):
        raise ValueError(f"these arguments make no {kind}: its shape must be whole numbers above 0, got {shape!r:.300}")
    return shape


def _cogvideox(arguments: Mapping[str, Any]) -> TimeShape:
    """Decoded, latents come two by two after the first one: one more would be four frames and not three."""
    ratio = arguments.get("temporal_compression_ratio", 4)
    levels = _levels(arguments.get("block_out_channels", (0,) * 4))
    if ratio != 2 ** int(log2(ratio)) or not 2 <= ratio <= 8 or log2(ratio) >= levels + 1:
        raise ValueError(f"temporal_compression_ratio must be 2, 4 or 8, got {ratio!r}")
    latents = arguments.get("latent_channels", 16)
    return TimeShape(arguments.get("in_channels", 3), latents, 2 ** (levels - 1), 2 * int(ratio), 2)


def _hunyuan(arguments: Mapping[str, Any]) -> TimeShape:
    space, time = (arguments.get(f"{each}_compression_ratio", rate) for each, rate in (("spatial", 8), ("temporal", 4)))
    return TimeShape(arguments.get("in_channels", 3), arguments.get("latent_channels", 16), space, time, 1)


def _ltx(arguments: Mapping[str, Any]) -> TimeShape:
    if arguments.get("timestep_conditioning") or any(arguments.get("decoder_inject_noise") or ()):
        raise ValueError(
            "timestep_conditioning and decoder_inject_noise decode with random noise, and the same seed must give the "
            "same video: take a codec without them"
        )
    scaled = [arguments.get(f"{side}spatio_temporal_scaling", (True, True, True, False)) for side in ("", "decoder_")]
    if _num_true(scaled[0]) != _num_true(scaled[1]):
        raise ValueError("spatio_temporal_scaling and decoder_spatio_temporal_scaling must scale by the same")
    scale = 2 ** _num_true(scaled[0])
    space = arguments.get("spatial_compression_ratio") or arguments.get("patch_size", 4) * scale
    time = arguments.get("temporal_compression_ratio") or arguments.get("patch_size_t", 1) * scale
    return TimeShape(arguments.get("in_channels", 3), arguments.get("latent_channels", 128), space, time, 1)


def _magvit(arguments: Mapping[str, Any]) -> TimeShape:
    blocks = arguments.get("down_block_types", ("SpatialDownBlock3D", *("SpatialTemporalDownBlock3D",) * 3))
    levels = _levels(arguments.get("block_out_channels", (0,) * 4))
    time = 2 ** sum(each == "SpatialTemporalDownBlock3D" for each in blocks[:-1])
    latents = arguments.get("latent_channels", 16)
    return TimeShape(arguments.get("in_channels", 3), latents, 2 ** (levels - 1), time, 1)


def _wan(arguments: Mapping[str, Any]) -> TimeShape:
    levels = _levels(arguments.get("dim_mult", (0,) * 4))
    time = 2 ** _num_true(arguments.get("temperal_downsample", (False, True, True)))
    if _WAN_CHUNK % time:
        raise ValueError(f"temperal_downsample may halve the frames twice at most, got {time} times fewer")
    patch = arguments.get("patch_size") or 1
    channels, latents = arguments.get("in_channels", 3), arguments.get("z_dim", 16)
    if patch > 1 and type(channels) is int:
        channels //= patch * patch  # those that its first layer sees
    return TimeShape(channels, latents, 2 ** (levels - 1) * patch, _WAN_CHUNK, _WAN_CHUNK // time)


def _num_true(each: Any) -> int:
    """How many levels scale, of true and false for each: no other number, of which there is no limit."""
    _levels(each)
    if not all(type(scales) is bool for scales in each):
        raise ValueError(f"expected true or false for each level, got {each!r:.80}")
    return sum(each)


def _levels(each: Any) -> int:
    if not isinstance(each, list | tuple) or not 0 < len(each) < 10:
        raise ValueError(f"expected a number for each level, got {each!r:.80}")
    return len(each)


_SHAPES = {
    "AutoencoderKLCogVideoX": _cogvideox,
    "AutoencoderKLHunyuanVideo": _hunyuan,
    "AutoencoderKLLTXVideo": _ltx,
    "AutoencoderKLMagvit": _magvit,
    "AutoencoderKLWan": _wan,
}
