"""At which times the frames of a clip are in training, where each may have its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrameNoise:
    """How often the current frames of a clip have noise levels of their own; otherwise one time holds for all.

    For networks that see frame by frame, such as `mcvd.nets.SpaceTimeUNet`.

    Args:
        p_own: probability that each frame has a time of its own (diffusion forcing, Chen et al. 2024,
            arXiv 2407.01392).
        p_rising: probability that times rise along the block by equal steps, up to 1, as in a rollout with
            ``rolling=True`` (rolling diffusion, Ruhe et al. 2024, arXiv 2402.09470).

    Raises:
        ValueError: they are no probabilities, or more than 1 together.
    """

    p_own: float = 0.0
    p_rising: float = 0.0

    def __post_init__(self) -> None:
        if min(self.p_own, self.p_rising) < 0 or self.p_own + self.p_rising > 1:
            raise ValueError(f"p_own and p_rising are probabilities, 1 together at most, got {self}")

    def __bool__(self) -> bool:
        """Whether any clip has frames of different times."""
        return self.p_own + self.p_rising > 0

    def times(self, uniform: Tensor, own: Tensor) -> Tensor:
        """The times of frames from random numbers, both uniform in [0, 1).

        Args:
            uniform: float (B,), the time of a whole clip.
            own: float (B, 1 + N): a number for the clip, then one for each of its frames.

        Returns:
            float (B, N) in [0, 1).

        Examples:
            >>> FrameNoise(p_rising=1).times(torch.tensor([0.5]), torch.full((1, 5), 0.7)).tolist()
            [[0.125, 0.375, 0.625, 0.875]]
        """
        kind, num_frames = own[:, :1], own.shape[1] - 1
        same = uniform[:, None].expand(-1, num_frames)
        # Half of the rising ones are as at the beginning of a video, where later frames are still all noise.
        begins = kind < self.p_own + self.p_rising / 2
        first = torch.where(begins, uniform[:, None], uniform[:, None] / num_frames)
        rising = first + torch.arange(num_frames, device=own.device) / num_frames
        rising = rising.clamp(max=1 - torch.finfo(rising.dtype).eps)
        times = torch.where(kind < self.p_own + self.p_rising, rising, same)
        return torch.where(kind < self.p_own, own[:, 1:], times)
