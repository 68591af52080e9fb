"""Super-resolution: a network is told the frames that it is to make at a smaller size.

Such a model is trained on ordinary clips, whose frames are made smaller in each step. Noise is put on the small frames,
and the network told of its level, so that it later takes those of another model (noise conditioning augmentation, Ho et
al. 2022, arXiv 2106.15282; of videos: Imagen Video, arXiv 2210.02303).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mcvd.diffusion.color_axes import AllChannels
from mcvd.diffusion.parametrization import SIGMA_DATA
from mcvd.diffusion.reference import MAX_RATIO, Residual, around, check_floor
from mcvd.frames import Condition, FrameBlock
from mcvd.runtime.distributed import sum_over_processes

MAX_FACTOR = 16


@dataclass(frozen=True)
class SuperResolution:
    """What a model enlarges.

    Args:
        factor: how many times the height and width.
        noise: in half of the training the small frames carry noise of a random level up to this standard deviation
            (range of the frames: [-1, 1]), which the network is told.

    Raises:
        ValueError: one is out of range.
    """

    factor: int = 2
    noise: float = 0.3

    def __post_init__(self) -> None:
        if not 2 <= self.factor <= MAX_FACTOR:
            raise ValueError(f"super_resolution.factor is a whole number from 2 to {MAX_FACTOR}, got {self.factor}")
        if not 0 <= self.noise < 2:
            raise ValueError(
                f"super_resolution.noise is a standard deviation in the range [-1, 1], 0 or more, got {self.noise}"
            )

    def low_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of what is enlarged to this size.

        Raises:
            ValueError: it does not divide.
        """
        if size[0] % self.factor or size[1] % self.factor:
            raise ValueError(
                f"frames of {size[0]}x{size[1]} are no multiple of super_resolution.factor {self.factor} in height and "
                "width"
            )
        return size[0] // self.factor, size[1] // self.factor

    def reduced(self, frames: Tensor) -> Tensor:
        """Frames (..., C, H, W) at the size that is enlarged."""
        return reduced(frames, self.low_size((frames.shape[-2], frames.shape[-1])))


def reduced(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames (..., C, H, W) at a smaller size (h, w), without aliasing: as `mcvd.read_video` makes them smaller."""
    if not frames.numel():
        return frames.new_empty(*frames.shape[:-2], *size)
    small = interpolate(frames.reshape(-1, *frames.shape[-3:]), size, mode="bilinear", antialias=True)
    return small.reshape(*frames.shape[:-2], *size)


def enlarged(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames (..., C, h, w) at a larger size (H, W), bilinearly."""
    large = interpolate(frames.reshape(-1, *frames.shape[-3:]), size, mode="bilinear", align_corners=False)
    return large.reshape(*frames.shape[:-2], *size)


def low_planes(condition: Condition) -> Tensor:
    """The small frames as planes for the network: (B, N * C + 1, H, W), the last one being the level of their noise.

    Raises:
        ValueError: there are none.
    """
    low, level = condition.low, condition.low_noise
    if low is None or level is None:
        raise ValueError("this network is told the frames to be made at a smaller size (tell_low), and got none")
    size = condition.past.shape[-2:]
    planes = enlarged(low, (size[0], size[1])).flatten(1, 2)
    return torch.cat([planes, level.to(planes)[:, None, None, None].expand(-1, 1, *size)], 1)


class LowReference(nn.Module):
    """Makes residuals of frames: their difference from the enlarged small ones, at the scale of the detail there.

    The base is the bilinear enlargement, so a network that says nothing gives just that. The scale of a pixel is
    ``2 * sqrt(floor^2 + growth^2 * seen^2 + noise^2)``. ``seen`` is how much of the enlargement is lost when the small
    frames are made half as large and enlarged again, around this pixel: detail of one octave tells how much there is
    in the next. ``growth`` (N,) is measured on the first clips of a training. ``noise`` is what the enlargement carries
    of the noise on the small frames.

    Args:
        block: of the model.
        options: what is enlarged.
        floor: difference that is reckoned with where nothing is seen, range of the frames: [-1, 1].
        bound: the largest absolute value of frames.

    Raises:
        ValueError: the floor is not above 0.
    """

    growth: Tensor
    sums: Tensor
    num_clips: Tensor

    def __init__(self, block: FrameBlock, options: SuperResolution, floor: float, bound: float = 1.0):
        super().__init__()
        check_floor(floor)
        self.options, self.floor, self.bound = options, floor, bound
        self.noise_share = _noise_share(options.factor)
        self.register_buffer("growth", torch.ones(block.current))
        self.register_buffer("sums", torch.zeros(block.current))
        self.register_buffer("num_clips", torch.zeros(()))

    def forward(self, condition: Condition) -> Residual:
        """The residual's base and scale for each of the B samples of a condition.

        Raises:
            ValueError: it holds no small frames.
        """
        low, level = condition.low, condition.low_noise
        if low is None or level is None:
            raise ValueError("residuals to small frames need these in the condition (low)")
        base, seen = self._expected(low)
        noise = (self.noise_share * level.square()).view(-1, 1, 1, 1, 1)
        growth = self.growth.square().view(-1, 1, 1, 1)
        variance = self.floor**2 + growth * (seen - noise).clamp(min=0) + noise
        return Residual(base, (variance.sqrt() / SIGMA_DATA).to(base.dtype), self.bound)

    @torch.no_grad()
    def measure(self, past: Tensor, current: Tensor, future: Tensor) -> None:
        """Take clips, float (B, T, C, H, W) each, into account; processes that train together put theirs together."""
        base, seen = self._expected(self.options.reduced(current))
        distance = (current - base).square().flatten(2).mean(2)
        ratio = (distance + self.floor**2) / (seen.flatten(2).mean(2) + self.floor**2)
        self.sums += sum_over_processes(ratio.clamp(max=MAX_RATIO).sum(0))
        self.num_clips += sum_over_processes(torch.full_like(self.num_clips, len(current)))
        mean = (self.sums / self.num_clips.clamp(min=1)).sqrt()
        self.growth.copy_(torch.where(self.num_clips > 0, mean, self.growth))

    def _expected(self, low: Tensor) -> tuple[Tensor, Tensor]:
        """Base (B, N, C, H, W), and the square of the detail that is seen, (B, N, 1, H, W)."""
        height, width = low.shape[-2:]
        size = height * self.options.factor, width * self.options.factor
        base = enlarged(low, size)
        coarse = enlarged(reduced(low, (max(1, height // 2), max(1, width // 2))), size)
        return base, around(AllChannels().squared((base - coarse).flatten(0, 1))).unflatten(0, low.shape[:2])


def _noise_share(factor: int) -> float:
    """The variance that is left of white noise in its bilinear enlargement, in the mean over pixels."""
    impulse = torch.zeros(1, 1, 9, device="cpu")
    impulse[..., 4] = 1.0
    response = interpolate(impulse, 9 * factor, mode="linear", align_corners=False)
    return (response.square().sum().item() / factor) ** 2


@dataclass(frozen=True)
class LowTrack:
    """Some videos at a smaller size, as a work needs them block by block.

    Args:
        video: (B, T, C, h, w), as the model takes videos.
        first: place of its first frame; place 0 is the first frame given before.
        encode: videos as given to what is diffused, float32.
        device: where blocks are asked for.
    """

    video: Tensor
    first: int
    encode: Callable[[Tensor], Tensor]
    device: torch.device

    def at(self, places: range) -> Tensor:
        """The frames at some places, float32 (B, len(places), C, h, w); beyond what is known, the nearest."""
        rows = torch.arange(places.start, places.stop) - self.first
        return self.encode(self.video[:, rows.clamp(0, self.video.shape[1] - 1)].to(self.device))

    def of_videos(self, videos: range, device: torch.device) -> LowTrack:
        """Those of some of the videos, on their device."""
        return LowTrack(self.video[videos.start : videos.stop], self.first, self.encode, device)


def low_track(
    options: SuperResolution | None,
    given: Tensor | None,
    past: Tensor,
    future: Tensor,
    num_frames: int,
    encode: Callable[[Tensor], Tensor],
) -> LowTrack | None:
    """What a model is told of the frames to be made at a smaller size.

    Args:
        options: of the model; None for one that is told nothing.
        given: (B, num_frames, C, h, w), or one video (num_frames, C, h, w) for all.
        past: frames before, (B, P, C, H, W).
        future: frames after, (B, F, C, H, W).
        num_frames: to be made.
        encode: videos as given to what is diffused.

    Raises:
        ValueError: the model takes none, or it needs them, or they do not fit.
    """
    if options is None:
        if given is not None:
            raise ValueError("this model makes no smaller frames larger: it was trained without super_resolution")
        return None
    channels, *size = past.shape[2:]
    wanted = (num_frames, channels, *options.low_size((size[0], size[1])))
    if given is None:
        raise ValueError(
            f"this model makes frames of {wanted[2]}x{wanted[3]} larger, {options.factor} times: it needs these (low), "
            "as mcvd upsample --size gives them"
        )
    low = (given[None] if given.ndim == 4 else given).cpu()
    if low.ndim != 5 or tuple(low.shape[1:]) != wanted or len(low) not in (1, len(past)) or low.dtype != past.dtype:
        raise ValueError(
            f"low must be {past.dtype} of {wanted}, one for each of {len(past)} videos, got {low.dtype} "
            f"{tuple(given.shape)}"
        )
    around = [options.reduced(side.cpu()) for side in (past, future) if side.shape[1]]
    before, after = around[: bool(past.shape[1])], around[bool(past.shape[1]) :]
    low = torch.cat([*before, low.expand(len(past), -1, -1, -1, -1), *after], 1)
    return LowTrack(low, 0, encode, low.device)
