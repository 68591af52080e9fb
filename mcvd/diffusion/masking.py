"""Which context frames a model is shown: the random draw of training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mcvd.frames import Condition, FrameBlock


@dataclass(frozen=True)
class Masking:
    """Hides the whole past and the whole future of a sample at random (MCVD, section 2.2), or shows any of its frames.

    Args:
        p_past: probability that the past frames of a sample are hidden, 0 to 1.
        p_future: probability that its future frames are hidden, 0 to 1.
        tied: one coin for both sides: both are shown or both are hidden. Needs ``p_past == p_future``.
        p_partial: probability that a shown side is shown in part: its nearest n frames, n uniform from 1 to one less
            than all, each side by itself. A model that was trained so takes any number of given frames.
        p_any: probability that any frames of a sample are shown, current ones too: each by a coin of its own, whose
            odds are uniform over samples; one current frame at least is hidden. A model that was trained so takes given
            frames anywhere. For networks that see frame by frame, such as `mcvd.nets.SpaceTimeUNet`.
        p_signals: probability that the signals of a sample are hidden, whatever frames are; see
            `mcvd.diffusion.signals`. A model that was trained so needs none, and can be guided over them.

    Examples:
        >>> past = future = torch.ones(4, 2, 1, 8, 8)
        >>> Masking(p_future=1).condition(past, future, torch.rand(4, 2)).keep_future.any().item()
        False
    """

    p_past: float = 0.0
    p_future: float = 0.0
    tied: bool = False
    p_partial: float = 0.0
    p_any: float = 0.0
    p_signals: float = 0.0

    def __post_init__(self) -> None:
        for name in ("p_past", "p_future", "p_partial", "p_any", "p_signals"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is a probability from 0 to 1, got {value}")
        if self.tied and self.p_past != self.p_future:
            raise ValueError(f"tied masks use one coin: p_past and p_future must be equal, got {self}")

    def condition(
        self, past: Tensor, future: Tensor, uniform: Tensor, shown: tuple[Tensor, Tensor] | None = None
    ) -> Condition:
        """Hide sides of each sample by comparing given random numbers with the probabilities.

        Args:
            past: float (B, P, C, H, W) in the model's range.
            future: float (B, F, C, H, W).
            uniform: float (B, 2) in [0, 1): a number for the past and one for the future (ignored when tied); with
                ``p_partial``, (B, 4): two more, for how much of the past and of the future.
            shown: which samples, bool (B,), show which context frames instead, bool (B, P + F), as of `given`.
        """
        show_past = uniform[:, 0] >= self.p_past
        show_future = show_past if self.tied else uniform[:, 1] >= self.p_future
        keep_past = show_past[:, None].expand(past.shape[:2])
        keep_future = show_future[:, None].expand(future.shape[:2])
        if self.p_partial:
            keep_past = keep_past & self._nearest(past.shape[1], uniform[:, 2]).flip(1)
            keep_future = keep_future & self._nearest(future.shape[1], uniform[:, 3])
        if shown is not None:
            is_any, context = shown
            any_past, any_future = context.split([past.shape[1], future.shape[1]], dim=1)
            keep_past = torch.where(is_any[:, None], any_past, keep_past)
            keep_future = torch.where(is_any[:, None], any_future, keep_future)
        return Condition(past, future, keep_past, keep_future)

    def given(self, block: FrameBlock, uniform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which samples show any of their frames, and which frames these show.

        Args:
            block: of the model.
            uniform: float (B, 1 + P + N + F) in [0, 1): a number for the sample, then one for each frame of its block.

        Returns:
            bool: of the samples, (B,); of their context frames, (B, P + F); of their current frames, (B, N), none in
            other samples.
        """
        is_any, odds = uniform[:, :1] < self.p_any, uniform[:, :1] / max(self.p_any, 1e-9)
        past, current, future = uniform[:, 1:].split([block.past, block.current, block.future], dim=1)
        context = torch.cat([past, future], dim=1) < odds
        return is_any[:, 0], context, is_any & (current < odds) & (current < current.amax(1, keepdim=True))

    def _nearest(self, num_frames: int, uniform: Tensor) -> Tensor:
        """Which frames of a shown side are shown, nearest first, bool (B, num_frames)."""
        count = torch.full_like(uniform, num_frames)
        if num_frames > 1:
            part = (uniform / self.p_partial * (num_frames - 1)).floor() + 1  # uniform below p_partial: 1 ... n - 1
            count = torch.where(uniform < self.p_partial, part, count)
        return torch.arange(num_frames, device=uniform.device) < count[:, None]

    def allows(self, past_shown: bool | None, future_shown: bool | None) -> bool:
        """Whether training ever shows this combination; None stands for a side that the block does not have."""
        past = True if past_shown is None else (self.p_past < 1 if past_shown else self.p_past > 0)
        future = True if future_shown is None else (self.p_future < 1 if future_shown else self.p_future > 0)
        split = self.tied and None not in (past_shown, future_shown) and past_shown != future_shown
        return past and future and not split
