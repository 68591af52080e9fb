"""Layers for feature maps that keep their frames apart, (B, C, T, h, w): of the published 3-D networks."""

from __future__ import annotations

from torch import Tensor, nn

from mcvd.nets.attention import Attention
from mcvd.nets.blocks import LayerKinds
from mcvd.nets.conditioning import AbstractNorm, GroupNorm, Maps, spatin
from mcvd.nets.layers import conv, initialised, silu
from mcvd.nets.resample import downsample, upsample


def conv3d(in_channels: int, out_channels: int, size: int = 3, scale: float = 1.0, parts: int = 1) -> nn.Conv3d:
    """A convolution over frames, height and width that keeps all three, initialised as `mcvd.nets.layers.conv`."""
    return initialised(nn.Conv3d(in_channels, out_channels, size, padding=size // 2), scale, parts)


class FactorizedConv(nn.Module):
    """A convolution over height and width, SiLU, and one over the frames ("pseudo-3-D", arXiv 1809.04096).

    Args:
        in_channels: of each frame.
        out_channels: of each frame.
        size: of both kernels.
        scale: of the initial weights of the second one.
        parts: so many stacked convolutions, each of which mixes its own channels over the frames.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int = 3, scale: float = 1.0, parts: int = 1) -> None:
        super().__init__()
        half = size // 2
        space = nn.Conv3d(in_channels, out_channels, (1, size, size), padding=(0, half, half))
        time = nn.Conv3d(out_channels, out_channels, (size, 1, 1), padding=(half, 0, 0), groups=parts)
        self.space, self.time = initialised(space, 1.0, parts), initialised(time, scale, parts)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, h, w) -> (B, out_channels, T, h, w)."""
        return self.time(silu(self.space(x)))


class SpaceTimeAttention(nn.Module):
    """Attention of each frame over its positions, then of each position over the frames."""

    def __init__(self, channels: int, head_channels: int) -> None:
        super().__init__()
        self.space = Attention(channels, head_channels)
        self.time = Attention(channels, head_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, h, w) -> (B, C, T, h, w)."""
        batch, _, _, height, width = x.shape
        frames = self.space(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, -1))  # (B, T, C, h, w)
        positions = frames.permute(0, 3, 4, 2, 1).flatten(0, 2)[..., None]  # (B * h * w, C, T, 1)
        h = self.time(positions)[..., 0].unflatten(0, (batch, height, width))
        return h.permute(0, 3, 4, 1, 2).contiguous()


class GroupNorm3D(GroupNorm):
    """Group norm over all frames of a group of channels."""

    def forward(self, x: Tensor, maps: Maps | None, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """As in `AbstractNorm`, of x (B, C, T, h, w)."""
        return super().forward(x.flatten(2, 3), maps, scale, shift).unflatten(2, x.shape[2:4])


class SPATINNorm3D(AbstractNorm):
    """SPATIN whose maps keep the frames apart; the frames of the context become those that are made by mixing.

    Args:
        num_context: frames of the context.
        num_frames: frames that are made.
        frame_channels: of a frame.
        width: hidden channels of all frames together; each has ``width // num_frames``.
        channels: of the feature map.
        level: where it works.
        layers: what it is built of.
    """

    def __init__(
        self,
        num_context: int,
        num_frames: int,
        frame_channels: int,
        width: int,
        channels: int,
        level: int,
        layers: LayerKinds,
    ) -> None:
        super().__init__(level, map_channels=2 * channels * num_frames)
        self.num_context = num_context
        self.converter = layers.conv(num_context, num_frames, size=1)
        self.hidden = layers.conv(frame_channels, width // num_frames)
        self.gamma_beta = layers.conv(width // num_frames, 2 * channels, parts=2)

    def maps(self, planes: Tensor) -> Maps:
        """(1 + gamma, beta), each (B, C, T, h, w), of the context frames as planes (B, Q, H, W)."""
        step = 2**self.level  # what nearest-neighbour interpolation keeps; the converter looks at single pixels
        frames = planes[..., ::step, ::step].unflatten(1, (self.num_context, -1))  # (B, P + F, C, h, w)
        hidden = silu(self.hidden(self.converter(frames).transpose(1, 2)))
        gamma, beta = self.gamma_beta(hidden).chunk(2, dim=1)
        return 1 + gamma, beta

    def forward(self, x: Tensor, maps: Maps | None, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        """As in `AbstractNorm`, of x (B * K, C, T, h, w)."""
        assert maps is not None
        flat = maps[0].flatten(2, 3), maps[1].flatten(2, 3)
        return spatin(x.flatten(2, 3), flat, scale, shift).unflatten(2, x.shape[2:4])


def halve(x: Tensor) -> Tensor:
    """`downsample` of every frame, (B, C, T, h, w) -> (B, C, T, h / 2, w / 2)."""
    return downsample(x.flatten(1, 2)).unflatten(1, x.shape[1:3])


def double(x: Tensor) -> Tensor:
    """`upsample` of every frame, (B, C, T, h, w) -> (B, C, T, 2 h, 2 w)."""
    return upsample(x.flatten(1, 2)).unflatten(1, x.shape[1:3])


FULL = LayerKinds(conv3d, SpaceTimeAttention, halve, double)
FACTORIZED = LayerKinds(FactorizedConv, SpaceTimeAttention, halve, double)


class FrameMixer(nn.Module):
    """Makes of the frames of a feature map other ones, as weighted sums of each channel over the frames."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.weights = conv(num_in, num_out, size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, num_in, h, w) -> (B, C, num_out, h, w)."""
        return self.weights(x.flatten(0, 1)).unflatten(0, x.shape[:2])
