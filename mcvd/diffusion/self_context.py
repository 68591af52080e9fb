"""Context of the model's own making in training, such as all blocks of a rollout but the first have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mcvd.diffusion.denoiser import Denoiser
from mcvd.frames import Condition, FrameBlock
from mcvd.runtime.rng import TrainingNoise, keyed_generator, keyed_seed
from mcvd.samplers import UniPC
from mcvd.samplers.spacing import LogSNR

SAMPLER = UniPC(3, spacing=LogSNR(sigma_min=0.25))  # few calls: one training step waits for them
_DRAW = 7  # in the key of a clip's coin


@dataclass(frozen=True)
class Rows:
    """Which clips of a batch get context of the model's own making.

    Args:
        ahead: those that go on from a past of its making.
        back: those that lead to a future of its making.
    """

    ahead: Sequence[int] = ()
    back: Sequence[int] = ()


def rows_chosen(probability: float, block: FrameBlock, seed: int, indices: Sequence[int]) -> Rows:
    """By a coin of each clip's own, drawn on the CPU; of blocks for both directions half go either way."""
    share_ahead = probability * (1 if not leads_back(block) else 0.5 if leads_ahead(block) else 0)
    coins = [keyed_generator(seed, index, _DRAW).random() for index in indices]
    ahead = [row for row, coin in enumerate(coins) if coin < share_ahead]
    return Rows(ahead, [row for row, coin in enumerate(coins) if share_ahead <= coin < probability])


def leads_ahead(block: FrameBlock) -> bool:
    """Whether two blocks that only look back fit, one behind the other, into the frames of one."""
    return 1 <= block.past <= block.future


def leads_back(block: FrameBlock) -> bool:
    """Whether two that only look ahead do."""
    return 1 <= block.future <= block.past


def moved(clips: Tensor, rows: Rows, block: FrameBlock) -> Tensor:
    """Clips (B, T, ...) of which some begin as many frames later as the past has, or earlier as the future has; what
    lies beyond their ends is 0."""
    result = clips.clone()
    for row in rows.ahead:
        result[row] = torch.cat([clips[row, block.past :], torch.zeros_like(clips[row, : block.past])])
    for row in rows.back:
        kept = clips.shape[1] - block.future
        result[row] = torch.cat([torch.zeros_like(clips[row, kept:]), clips[row, :kept]])
    return result


@torch.no_grad()
def with_own_context(
    denoiser: Denoiser, block: FrameBlock, clips: Tensor, rows: Rows, seed: int, indices: Sequence[int]
) -> Tensor:
    """Clips of which some begin later, with frames that the model made in place of their past ones, or earlier, with
    such in place of their future ones.

    The block after the past frames of such a clip, or before its future ones, is sampled by `SAMPLER` with the weights
    as they are; its frames at that end become the context, and the true frames beyond are to be predicted from it. A
    model that is trained so sees flaws of its own in the context, as in a rollout, and true frames after them (in the
    spirit of scheduled sampling, Bengio et al. 2015, arXiv 1506.03099, and of Self Forcing, Huang et al. 2025, arXiv
    2506.08009).

    Args:
        denoiser: of the model.
        block: of the model.
        clips: float (B, P + N + F, C, H, W) in the model's range.
        rows: which clips are meant.
        seed: of the training.
        indices: number of each clip in the training; with the seed it names the noise.

    Returns:
        float (B, P + N + F, C, H, W). The frames of these clips on the other side are unknown, and 0.
    """
    result = moved(clips, rows, block)
    was_training = denoiser.training
    denoiser.eval()
    for back, chosen in ((False, rows.ahead), (True, rows.back)):
        if not chosen:
            continue
        past, current, future = block.split(torch.stack([clips[row] for row in chosen]))
        draws = TrainingNoise(keyed_seed(seed, _DRAW), clips.device)(
            [indices[row] for row in chosen], current.shape[1:]
        )
        bound = denoiser.bind(Condition.visible(past, future).null(past=back, future=not back))
        end = denoiser.schedule(torch.ones((), dtype=torch.float64))
        start = denoiser.shaped(draws.normal[0].to(current), current.new_ones(len(current)))
        sample = SAMPLER(bound, start * (end.alpha**2 + end.sigma**2).sqrt(), denoiser.schedule)
        made = bound.to_frames(sample).clamp(-denoiser.bound, denoiser.bound)
        for row, frames in zip(chosen, made, strict=True):
            if back:
                result[row, -block.future :] = frames[-block.future :]
            else:
                result[row, : block.past] = frames[: block.past]
    denoiser.train(was_training)
    return result


def showing_own(condition: Condition, rows: Rows) -> Condition:
    """The same condition, of which these samples show what the model made, and hide the other side."""
    if not rows.ahead and not rows.back:
        return condition
    keep_past, keep_future = condition.keep_past.clone(), condition.keep_future.clone()
    for back, chosen in ((False, rows.ahead), (True, rows.back)):
        for row in chosen:
            keep_past[row], keep_future[row] = not back, back
    return replace(condition, keep_past=keep_past, keep_future=keep_future)
