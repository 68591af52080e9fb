"""Frames that are known beforehand, anywhere among those to be generated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mcvd.runtime.arrays import Video, as_tensor


@dataclass(frozen=True)
class KnownPart:
    """What is known of the current frames of a block.

    Args:
        frames: float (B, N, C, H, W) in the model's range.
        keep: bool (B, N, 1, H, W), True where they are known.
    """

    frames: Tensor
    keep: Tensor


@dataclass(frozen=True)
class Keyframes:
    """What is known of the frames to be generated, by their place among them.

    Args:
        frames: float (B, C, H, W) in the model's range.
        keep: bool (1, 1, H, W), True where a pixel, or all that a latent is made of, is known; everywhere at places
            that are not told.
    """

    frames: Mapping[int, Tensor]
    keep: Mapping[int, Tensor]

    @classmethod
    def of(
        cls,
        known: Mapping[int, Video],
        pixels: Video | Mapping[int, Video] | None,
        past: Tensor,
        num_frames: int,
        encode: Callable[[Tensor], Tensor],
    ) -> Keyframes:
        """Check what a user knows.

        Args:
            known: frames (C, H, W), or (B, C, H, W) with one for each video, by the place of the frame, from 0.
            pixels: bool (H, W), True where they are known, for all frames or by place; None is everywhere.
            past: the frames given before, (B, T, C, H, W); T may be 0. Keyframes are like them, of the same dtype.
            num_frames: that are generated.
            encode: makes of frames what is diffused.

        Raises:
            ValueError: a place is not among the generated frames, or a frame or mask does not fit.
        """
        num_videos, shape = len(past), tuple(past.shape[2:])
        frames: dict[int, Tensor] = {}
        keep: dict[int, Tensor] = {}
        for place, given in known.items():
            if not isinstance(place, Integral) or not 0 <= place < num_frames:
                raise ValueError(f"known[{place!r}]: the generated frames are 0 to {num_frames - 1}")
            frame = as_tensor(given)
            if frame.dtype != past.dtype or tuple(frame.shape) not in (shape, (num_videos, *shape)):
                kind = str(past.dtype).removeprefix("torch.")
                raise ValueError(
                    f"known[{place}] must be a {kind} frame (C, H, W) = {shape}, or {num_videos} of them, one for each "
                    f"video, got {frame.dtype} {tuple(frame.shape)}"
                )
            frames[int(place)] = encode(frame).expand(num_videos, -1, -1, -1)
            mask = pixels.get(place) if isinstance(pixels, Mapping) else pixels
            mask = torch.ones(shape[1:], dtype=torch.bool) if mask is None else as_tensor(mask)
            if mask.dtype != torch.bool or tuple(mask.shape) != shape[1:]:
                raise ValueError(
                    f"known_pixels must be bool (H, W) = {shape[1:]}, got {mask.dtype} {tuple(mask.shape)}"
                )
            keep[int(place)] = _known_throughout(mask, frames[int(place)].shape[-2:])[None, None]
        return cls(frames, keep)

    def also(self, frames: Mapping[int, Tensor]) -> Keyframes:
        """These, and others that are known as a whole, float (B or B * K, C, H, W) by place."""
        return Keyframes({**self.frames, **frames}, self.keep)

    def of_videos(self, videos: range, device: torch.device) -> Keyframes:
        """Those of some of the videos, on their device."""
        frames = {place: frame[videos.start : videos.stop].to(device) for place, frame in self.frames.items()}
        return Keyframes(frames, {place: mask.to(device) for place, mask in self.keep.items()})

    def within(self, places: range, others: Mapping[int, Tensor], num_rows: int) -> KnownPart | None:
        """What is known of a window's current frames, or None if nothing is.

        Args:
            places: of the current frames; those outside of what is generated too.
            others: frames that are known as a whole, such as the given ones, (B or ``num_rows``, C, H, W) by place.
            num_rows: B * K.
        """
        whole = {place: frame for place, frame in others.items() if place in places and place not in self.frames}
        found = {place: self.frames[place] for place in places if place in self.frames} | whole
        if not found:
            return None
        like = next(iter(found.values()))
        blank = like.new_zeros(num_rows, *like.shape[1:])
        nothing = torch.zeros(1, 1, *like.shape[2:], dtype=torch.bool, device=like.device)
        rows = {place: frame.repeat_interleave(num_rows // len(frame), 0) for place, frame in found.items()}
        masks = {place: self.keep.get(place, ~nothing) for place in found}
        return KnownPart(
            torch.stack([rows.get(place, blank) for place in places], 1),
            torch.stack([masks.get(place, nothing) for place in places], 1).expand(num_rows, -1, -1, -1, -1),
        )


def _known_throughout(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Where all pixels are known that belong to a pixel of a smaller picture, bool ``size``."""
    height, width = size
    if tuple(mask.shape) == (height, width):
        return mask
    return adaptive_avg_pool2d(mask[None, None].float(), (height, width))[0, 0] == 1
