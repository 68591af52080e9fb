"""`BlockCoding`: blocks of frames for networks that see fewer latents, each of them made of several frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcvd.frames import Condition, FrameBlock


@dataclass(frozen=True)
class BlockCoding:
    """How the parts of a block (past, current, future) are coded, each by itself, where frames are coded together.

    The first frame of a part is coded alone, and every ``num_frames`` that follow it become ``num_latents``. Between
    blocks there are frames: what a block gives is decoded, and what the next one sees of it is coded anew.

    Args:
        num_frames, num_latents: of a step.
        encode: a part of 1 + k steps or of nothing, float (B, T, C, H, W) in [-1, 1], to latents (B, N, c, h, w).
        decode: the way back, clamped.
    """

    num_frames: int
    num_latents: int
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]

    def length(self, num_frames: int) -> int:
        """How many latents a part of so many frames has.

        Raises:
            ValueError: it cannot be coded; names the lengths beside it that can.
        """
        if num_frames != self.longest(num_frames):
            below = self.longest(num_frames)
            raise ValueError(
                f"{num_frames} frames cannot be coded together: a part of a block has 0 frames, or 1 and a multiple of "
                f"{self.num_frames} more, such as {below} or {below + self.num_frames}"
            )
        return 0 if num_frames == 0 else 1 + (num_frames - 1) // self.num_frames * self.num_latents

    def num_frames_of(self, num_latents: int) -> int:
        """How many frames so many latents are, the way back."""
        return 0 if num_latents == 0 else 1 + (num_latents - 1) // self.num_latents * self.num_frames

    def longest(self, num_frames: int) -> int:
        """The largest number of frames that can be coded, of so many."""
        return num_frames if num_frames == 0 else 1 + (num_frames - 1) // self.num_frames * self.num_frames

    def block(self, block: FrameBlock) -> FrameBlock:
        """The block as the network counts it.

        Raises:
            ValueError: a part of it has a number of frames that cannot be coded.
        """
        lengths = []
        for name in ("past", "current", "future"):
            try:
                lengths.append(self.length(getattr(block, name)))
            except ValueError as error:
                raise ValueError(f"block.{name}: {error}") from error
        return FrameBlock(*lengths)

    def condition(self, condition: Condition) -> Condition:
        """A condition of frames as one of latents: of the visible frames of a side the nearest ones that can be coded.

        Which frames are visible is the same in all samples, the nearest ones of each side.
        """
        sides = {}
        for name in ("past", "future"):
            frames, keep = getattr(condition, name), getattr(condition, f"keep_{name}")
            shown = self.longest(int(keep[:1].sum()))
            near = frames[:, frames.shape[1] - shown :] if name == "past" else frames[:, :shown]
            latents = self.encode(near)
            hidden = latents.new_zeros(
                len(latents), self.length(frames.shape[1]) - latents.shape[1], *latents.shape[2:]
            )
            flags = [keep.new_ones(latents.shape[:2]), keep.new_zeros(hidden.shape[:2])]
            order = slice(None, None, -1) if name == "past" else slice(None)
            sides[name] = torch.cat([latents, hidden][order], 1)
            sides[f"keep_{name}"] = torch.cat(flags[order], 1)
        return Condition(**sides)

    def sampling(self, sample_block: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """What samples blocks of latents, for a rollout of frames; see `mcvd.diffusion.rollout`."""

        def of_frames(condition: Condition, *others: Any) -> Tensor:
            return self.decode(sample_block(self.condition(condition), *others))

        return of_frames
