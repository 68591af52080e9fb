"""`Latents`: videos of 8 bits, diffused as the latents of an autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite, prod
from typing import Any, get_args

import torch
from torch import Tensor, nn

from mcvd.diffusion.block_coding import BlockCoding
from mcvd.diffusion.parametrization import SIGMA_DATA
from mcvd.frames import model_from_pixels
from mcvd.models.codecs.autoencoders import (
    Kind,
    frames_of,
    frames_of_part,
    latents_of,
    latents_of_part,
    new_autoencoder,
    read_autoencoder,
    shape_of,
)
from mcvd.models.codecs.base import AbstractCodec
from mcvd.models.codecs.pixels import Pixels
from mcvd.models.codecs.time_kinds import TimeKind, time_shape_of
from mcvd.runtime.digests import digest, json_digest

LIMIT = 8.0  # standard deviations, where nobody measured
_CHUNK_PIXELS = 16 * 256 * 256  # coded at once: bounds the memory, whatever the length of the video

_PIXELS = Pixels()


@dataclass(frozen=True, repr=False)
class Latents(AbstractCodec):
    """Videos uint8, diffused as latents of unit variance, times 0.5: each frame coded by itself or, by kinds that
    compress time, the frames of each part of a block together.

    Of unit variance are all channels together: one that varies less shows less in the frame, and counts less in the
    loss.
    The network then works on frames that are ``factor`` times smaller (Rombach et al. 2022, arXiv 2112.10752). Frames
    that are given come in through the encoder; what comes out are decoded latents alone. The weights of the autoencoder
    belong to the model: its exported folder holds them.

    Args:
        source: a codec in diffusers' layout, as `mcvd fit-codec` writes it or as published: a folder, or
            ``user/name[@revision]`` on the Hub. It tells all of the following. Only for a new model: once made, a model
            says the following instead.
        kind: the class: `mcvd.models.codecs.PatchAutoencoder`, or AutoencoderKL, AutoencoderTiny or VQModel of
            diffusers; latents of the last are discrete when they are decoded. Those of `TimeKind` code frames
            together: 1 and some steps of them, see `mcvd.diffusion.block_coding.BlockCoding`.
        arguments: of that class.
        mean, std: of the latents as they were measured, a number for each of their channels; empty is 0 and 1.
        limit: where samplers clip, in standard deviations.

    Raises:
        ValueError: a number is out of range.
    """

    source: str | None = None
    kind: Kind = "AutoencoderKL"
    arguments: dict[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    limit: float = LIMIT

    dtype = torch.uint8

    def __post_init__(self) -> None:
        if not all(map(isfinite, (*self.mean, *self.std, self.limit))) or min((*self.std, self.limit)) <= 0:
            raise ValueError(f"mean, std and limit must be finite, the latter two above 0, got {self.limit} and others")
        channels = shape_of(self.kind, self.arguments)[1]
        if self.source is None and {len(self.mean), len(self.std)} - {0, channels}:
            raise ValueError(
                f"mean and std must have a number for each of the {channels} channels of the latents, "
                f"got {len(self.mean)} and {len(self.std)}"
            )

    def __repr__(self) -> str:
        _, channels, factor = shape_of(self.kind, self.arguments)
        time = ""
        if self._codes_time:
            *_, num_frames, num_latents = time_shape_of(self.kind, self.arguments)
            time = f", {num_frames // num_latents}x fewer frames"
        return f"Latents({self.kind}, {channels} channels, {factor}x smaller{time})"

    @property
    def unit(self) -> str:
        """Grey levels."""
        return _PIXELS.unit

    @property
    def bound(self) -> float:
        """In units of what is diffused."""
        return self.limit * SIGMA_DATA

    def with_network(self) -> tuple[AbstractCodec, nn.Module | None]:
        """See `AbstractCodec.with_network`; weights are read from ``source``, if there is one."""
        codec, weights = self, None
        if self.source is not None:
            stored = read_autoencoder(self.source)
            weights, limit = stored.weights, LIMIT if stored.limit is None else stored.limit
            codec = Latents(None, stored.kind, stored.arguments, stored.mean, stored.std, limit)
        net = new_autoencoder(codec.kind, codec.arguments)
        if weights is not None and next(net.parameters()).device.type != "meta":
            net.load_state_dict(weights)
        return codec.of(net.eval().requires_grad_(False)), net

    def of(self, net: nn.Module) -> Latents:
        """The same with this autoencoder."""
        codec = replace(self)
        object.__setattr__(codec, "_net", net)
        return codec

    @property
    def coding(self) -> BlockCoding | None:
        """See `AbstractCodec.coding`."""
        if not self._codes_time:
            return None
        *_, num_frames, num_latents = time_shape_of(self.kind, self.arguments)
        return BlockCoding(num_frames, num_latents, self._encoded, self._decoded_in_range)

    @property
    def digest(self) -> str | None:
        """Of kind, arguments, weights, mean and standard deviation; None where a frame is not coded by itself."""
        if self._codes_time:
            return None
        told = [self.kind, self.arguments, self.mean, self.std]
        return json_digest([*told, digest(dict(self._network.state_dict()))])

    def planes(self, channels: int) -> int:
        """The channels of the latents.

        Raises:
            ValueError: it codes frames of another number of channels.
        """
        own, latents, _ = shape_of(self.kind, self.arguments)
        if channels != own:
            raise ValueError(f"{self!r} codes frames of {own} channels, and the model has {channels}")
        return latents

    def frame_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the latents.

        Raises:
            ValueError: the sides are not multiples of its factor.
        """
        factor = shape_of(self.kind, self.arguments)[2]
        if size[0] % factor or size[1] % factor:
            raise ValueError(f"{self!r} needs sides that are multiples of {factor}, got {size[0]}x{size[1]}")
        return size[0] // factor, size[1] // factor

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """See `AbstractCodec.encode`; some frames at a time. Float16 are latents that it encoded before."""
        if video.dtype == torch.float16 and not self._codes_time:
            if video.shape[-3] != (channels := shape_of(self.kind, self.arguments)[1]):
                raise ValueError(f"{self!r} has latents of {channels} channels, got {tuple(video.shape)}")
            return video.float()
        if video.dtype != torch.uint8:
            raise ValueError(f"this model takes pixels, uint8, got {video.dtype}")
        return self._encoded(model_from_pixels(video))

    @torch.no_grad()
    def decode(self, frames: Tensor, rounded: bool = True) -> Tensor:
        """See `AbstractCodec.decode`; some frames at a time, so the memory does not grow with the video."""
        _, latents, _ = shape_of(self.kind, self.arguments)
        if frames.shape[-3] != latents:
            raise ValueError(f"{self!r} has latents of {latents} channels, got {tuple(frames.shape)}")
        if not frames.isfinite().all():
            raise ValueError("latents that are not finite (NaN or infinite) cannot be decoded")
        return _PIXELS.decode(self._decoded(frames), rounded)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Those of pixels."""
        return _PIXELS.thresholds

    def pictures(self, video: Tensor, shown: Sequence[int] = ()) -> Tensor:
        """The video itself."""
        return _PIXELS.pictures(video, shown)

    def wrong(self, video: Tensor) -> str | None:
        """Whether they are 8 bits."""
        return _PIXELS.wrong(video)

    def init_args(self) -> dict[str, Any]:
        """The arguments that make it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def measured(self, frames: Iterable[Tensor]) -> Latents:
        """The same with means, one standard deviation and the largest value of the latents of these frames.

        Args:
            frames: uint8 (N, C, H, W), any number of them; each is a part of its own where frames are coded together.
        """
        raw = replace(self, mean=(), std=()).of(self._network)
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        low, high = torch.tensor(torch.inf), torch.tensor(-torch.inf)
        for each in frames:
            latents = (raw.encode(each).cpu() / SIGMA_DATA).double().transpose(0, 1).flatten(1)
            count += latents.shape[1]
            total, squares = total + latents.sum(1), squares + latents.square().sum(1)
            low, high = torch.minimum(low, latents.amin(1)), torch.maximum(high, latents.amax(1))
        if not count:
            raise ValueError("no frames to measure the latents of")
        mean = total / count
        std = (squares / count - mean.square()).mean().clamp(min=1e-12).sqrt().expand_as(mean)  # one for all channels
        limit = float((torch.maximum(high - mean, mean - low) / std).max())
        new = replace(self, source=None, mean=tuple(mean.tolist()), std=tuple(std.tolist()), limit=limit)
        return new.of(self._network)

    @property
    def _codes_time(self) -> bool:
        return self.kind in get_args(TimeKind)

    @torch.no_grad()
    def _encoded(self, video: Tensor) -> Tensor:
        """Frames in [-1, 1] as what is diffused."""
        net, coding = self._network, self.coding
        size: tuple[int, ...] = (self.planes(video.shape[-3]), *self.frame_size((video.shape[-2], video.shape[-1])))
        mean, scale = self._scale(video.device)
        if coding is not None:
            size = (coding.length(video.shape[-4]), *size)
        code = latents_of if coding is None else latents_of_part
        latents = _in_chunks(lambda frames: code(net, frames), video, size, net)
        return ((latents - mean) / scale).view(*video.shape[: -len(size)], *size)

    @torch.no_grad()
    def _decoded(self, frames: Tensor) -> Tensor:
        """What was diffused as frames, not clamped."""
        net, coding = self._network, self.coding
        channels, _, factor = shape_of(self.kind, self.arguments)
        mean, scale = self._scale(frames.device)
        size: tuple[int, ...] = (channels, factor * frames.shape[-2], factor * frames.shape[-1])
        if coding is not None:
            size = (coding.num_frames_of(frames.shape[-4]), *size)
        code = frames_of if coding is None else frames_of_part
        decoded = _in_chunks(lambda latents: code(net, latents), frames.float() * scale + mean, size, net)
        return decoded.view(*frames.shape[: -len(size)], *size)

    def _decoded_in_range(self, frames: Tensor) -> Tensor:
        return self._decoded(frames).clamp(-1, 1)

    @property
    def _network(self) -> nn.Module:
        net: nn.Module | None = self.__dict__.get("_net")
        if net is None:
            raise ValueError("this codec has no autoencoder yet: a model makes it (Latents.with_network)")
        return net

    def _scale(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """What is taken from latents, and what they are divided by, (c, 1, 1)."""
        channels = shape_of(self.kind, self.arguments)[1]
        mean, std = (torch.tensor(each, device=device) for each in (self.mean or (0.0,), self.std or (1.0,)))
        return mean.expand(channels).view(-1, 1, 1), std.expand(channels).view(-1, 1, 1) / SIGMA_DATA


def _in_chunks(code: Callable[[Tensor], Tensor], frames: Tensor, size: tuple[int, ...], net: nn.Module) -> Tensor:
    """Frames (..., C, H, W), or parts (..., T, C, H, W) where a ``size`` has four numbers, through an autoencoder:
    (N, *size) on their device, in float32, some at a time."""
    weight = next(net.parameters())
    inner = frames.shape[-len(size) :]
    flat = frames.reshape(prod(frames.shape[: -len(size)]), *inner)
    coded = flat.new_empty(len(flat), *size)
    if not coded.numel():
        return coded
    step = max(1, _CHUNK_PIXELS // max(*(prod((*each[:-3], *each[-2:])) for each in (size, inner))))
    with torch.autocast(weight.device.type, enabled=False):
        for start in range(0, len(flat), step):
            part = flat[start : start + step].to(weight.device, weight.dtype)
            coded[start : start + step] = code(part).to(coded)
    return coded
