"""A batch of samples beside the ground truth, and what may be computed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class SampledBatch:
    """Some clips, and the samples that a model generated for them.

    Args:
        first: number of the first clip; the others follow.
        past: uint8 (B, P, C, H, W), the frames given before.
        target: uint8 (B, T, C, H, W), the ground truth of the samples (for "generate", some true videos).
        future: uint8 (B, F, C, H, W), the frames given after.
        samples: uint8 (B, K, T, C, H, W).
        scores: by the name of a metric, what one sample scores on average in each clip, float64 (B,).
    """

    first: int
    past: Tensor
    target: Tensor
    future: Tensor
    samples: Tensor
    scores: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.target)

    def real(self) -> Tensor:
        """The true clips with their context, uint8 (B, P + T + F, C, H, W) on the CPU."""
        return torch.cat([side.cpu() for side in (self.past, self.target, self.future)], 1)

    def fake(self) -> Tensor:
        """The samples with their context, uint8 (B, K, P + T + F, C, H, W) on the CPU."""
        num_samples = self.samples.shape[1]
        past, future = (
            side.cpu()[:, None].expand(-1, num_samples, *side.shape[1:]) for side in (self.past, self.future)
        )
        return torch.cat([past, self.samples.cpu(), future], 2)


class Accumulator(Protocol):
    """What `mcvd.evaluation.evaluate.evaluate` hands each batch to, such as a distance between sets of videos.

    It keeps what it needs, features or numbers, and not the videos. Where `torch.distributed` runs it sees the batches
    of its own process alone.
    """

    def update(self, batch: SampledBatch) -> None:
        """Take in a batch."""
