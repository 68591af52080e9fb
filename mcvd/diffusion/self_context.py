"""Context of the model's own making in training, such as all blocks of a rollout but the first have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mcvd.diffusion.denoiser import Denoiser
from mcvd.frames import Condition, FrameBlock
from mcvd.runtime.rng import TrainingNoise, keyed_generator, keyed_seed
from mcvd.samplers import UniPC
from mcvd.samplers.spacing import LogSNR

SAMPLER = UniPC(3, spacing=LogSNR(sigma_min=0.25))  # few calls: one training step waits for them
_DRAW = 7  # in the key of a clip's coin


def rows_chosen(probability: float, seed: int, indices: Sequence[int]) -> list[int]:
    """Which clips of a batch get such context, by a coin of each clip's own, drawn on the CPU."""
    return [row for row, index in enumerate(indices) if keyed_generator(seed, index, _DRAW).random() < probability]


def moved_on(clips: Tensor, rows: Sequence[int], num_frames: int) -> Tensor:
    """Clips (B, T, ...) of which some begin so many frames later; what lies behind their end is 0."""
    moved = clips.clone()
    for row in rows:
        moved[row] = torch.cat([clips[row, num_frames:], torch.zeros_like(clips[row, :num_frames])])
    return moved


@torch.no_grad()
def with_own_context(
    denoiser: Denoiser, block: FrameBlock, clips: Tensor, rows: Sequence[int], seed: int, indices: Sequence[int]
) -> Tensor:
    """Clips of which some begin later, with frames that the model made in place of their past ones.

    The block after the past frames of such a clip is sampled by `SAMPLER` with the weights as they are; its first
    frames become the past, and the true frames that follow are to be predicted from it. A model that is trained so
    sees flaws of its own in the context, as in a rollout, and true frames after them (in the spirit of scheduled
    sampling, Bengio et al. 2015, arXiv 1506.03099, and of Self Forcing, Huang et al. 2025, arXiv 2506.08009).

    Args:
        denoiser: of the model.
        block: of the model, with at least as many future frames as past ones.
        clips: float (B, P + N + F, C, H, W) in the model's range.
        rows: numbers of the clips that are meant.
        seed: of the training.
        indices: number of each clip in the training; with the seed it names the noise.

    Returns:
        float (B, P + N + F, C, H, W). The last P frames of these clips are unknown, and 0.
    """
    moved = moved_on(clips, rows, block.past)
    if not rows:
        return moved
    past, current, future = block.split(torch.stack([clips[row] for row in rows]))
    draws = TrainingNoise(keyed_seed(seed, _DRAW), clips.device)([indices[row] for row in rows], current.shape[1:])
    start = draws.normal[0].to(current)
    was_training = denoiser.training
    denoiser.eval()
    bound = denoiser.bind(Condition.visible(past, future).null(past=False))
    end = denoiser.schedule(torch.ones((), dtype=torch.float64))
    start = denoiser.shaped(start, start.new_ones(len(start))) * (end.alpha**2 + end.sigma**2).sqrt()
    made = bound.to_frames(SAMPLER(bound, start, denoiser.schedule)).clamp(-denoiser.bound, denoiser.bound)
    denoiser.train(was_training)
    for row, frames in zip(rows, made, strict=True):
        moved[row, : block.past] = frames[: block.past]
    return moved


def predicting(condition: Condition, rows: Sequence[int]) -> Condition:
    """The same condition, of which some samples show their past and hide their future."""
    if not rows:
        return condition
    keep_past, keep_future = condition.keep_past.clone(), condition.keep_future.clone()
    for row in rows:
        keep_past[row], keep_future[row] = True, False
    return replace(condition, keep_past=keep_past, keep_future=keep_future)
