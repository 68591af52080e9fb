"""What a network is told about the frames around those that it makes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mcvd.frames import FrameBlock


@dataclass(frozen=True)
class Context:
    """The frames around those that a network makes, and what it is told beside them; each network takes its part.

    Args:
        frames: float (B, P + F, C, H, W), past then future frames, masked ones already zero.
        keep: bool (B, P + F), True where a frame is visible.
        noise_level: float (B,), standard deviation of the noise in the frames; None is 0.
        claim_past_visible: let ``past_embedding`` say that the past is visible, whatever ``keep`` says.
        motion: float (B, M, H, W), the planes of `mcvd.diffusion.motion` for a conditioning with ``tell_motion``.
        low: float (B, L, H, W), the planes of `mcvd.diffusion.super_resolution` for one with ``tell_low``.
        signals: float (B, P + N + F, A), for a network of A ``num_signals``; hidden ones are zero.
        keep_signals: bool (B,), True where they are told.
        times: float (B, P + N + F), when each frame of the block is, in frames after the first current one; None is
            one frame after the other. For a network with ``per_frame``.
        alone: bool (B,), True where the frames of a block are unrelated pictures: none looks at another. For a network
            with ``per_frame``; None is False.

    Examples:
        >>> import torch
        >>> context = Context(torch.zeros(1, 2, 3, 16, 16), torch.ones(1, 2, dtype=torch.bool))
        >>> context.level
        tensor([0.])
    """

    frames: Tensor
    keep: Tensor
    noise_level: Tensor | None = None
    claim_past_visible: bool = False
    motion: Tensor | None = None
    low: Tensor | None = None
    signals: Tensor | None = None
    keep_signals: Tensor | None = None
    times: Tensor | None = None
    alone: Tensor | None = None

    @property
    def level(self) -> Tensor:
        """``noise_level``, 0 where it is None."""
        return self.frames.new_zeros(len(self.frames)) if self.noise_level is None else self.noise_level

    def check(
        self, block: FrameBlock, channels: int, num_motion_planes: int, num_low_planes: int, per_frame: bool
    ) -> None:
        """Refuse what a network of this kind cannot take.

        Raises:
            ValueError: says which part, and what is expected.
        """
        expected = (len(self.frames), block.num_context, channels)
        if self.frames.shape[:3] != expected or self.frames.ndim != 5 or self.keep.shape != expected[:2]:
            raise ValueError(
                f"context must be {(*expected, 'H', 'W')} and keep {expected[:2]} for {block}, "
                f"got {tuple(self.frames.shape)} and {tuple(self.keep.shape)}"
            )
        told = 0 if self.motion is None else self.motion.shape[1]
        if told != num_motion_planes:
            raise ValueError(f"this network takes {num_motion_planes} planes of motion, got {told} (see tell_motion)")
        told = 0 if self.low is None else self.low.shape[1]
        if told != num_low_planes:
            raise ValueError(f"this network takes {num_low_planes} planes of small frames, got {told} (see tell_low)")
        if not per_frame and (self.times is not None or self.alone is not None):
            raise ValueError("times of frames, and frames that are alone, are for a mcvd.nets.SpaceTimeUNet")
