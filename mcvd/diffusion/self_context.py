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
class OwnContext:
    """A clip of a batch that gets context of the model's own making.

    Args:
        row: which one.
        back: whether it leads to a future of its making, in place of going on from such a past.
        depth: how many blocks the model makes, each from the one before, before its frames are the context: flaws of
            the first one are not yet those of a rollout.
    """

    row: int
    back: bool
    depth: int


def max_depth(block: FrameBlock, back: bool) -> int:
    """How many blocks fit, each beginning with the context of the next, if half of the last one's frames are known."""
    num_context = block.future if back else block.past
    if not 1 <= num_context <= block.current:
        return 0
    return (block.num_frames - (block.current + 1) // 2) // num_context - 1


def drawn(probability: float, block: FrameBlock, seed: int, indices: Sequence[int]) -> list[OwnContext]:
    """Which clips get such context, by coins of each clip's own, drawn on the CPU; both ways, and all depths, are as
    likely as the block lets them."""
    ways = [(back, depth) for back in (False, True) if (depth := max_depth(block, back)) > 0]
    found = []
    for row, index in enumerate(indices):
        coin, way, share = keyed_generator(seed, index, _DRAW).random(3)
        if coin < probability:
            back, depth = ways[int(way * len(ways))]
            found.append(OwnContext(row, back, 1 + int(share * depth)))
    return found


def moved(clips: Tensor, own: Sequence[OwnContext], block: FrameBlock) -> Tensor:
    """Clips (B, T, ...) of which these begin so much later, or earlier; what lies beyond their ends is 0."""
    result = clips.clone()
    for each in own:
        clip, by = clips[each.row], each.depth * (block.future if each.back else block.past)
        beyond = torch.zeros_like(clip[:by])
        result[each.row] = torch.cat([beyond, clip[:-by]] if each.back else [clip[by:], beyond])
    return result


@torch.no_grad()
def with_own_context(
    denoiser: Denoiser, block: FrameBlock, clips: Tensor, own: Sequence[OwnContext], seed: int, indices: Sequence[int]
) -> Tensor:
    """Clips of which some begin later, with frames that the model made in place of their past ones, or earlier, with
    such in place of their future ones.

    The block after the past frames of such a clip, or before its future ones, is sampled by `SAMPLER` with the weights
    as they are; its frames at that end become the context of the next, or that of the true frames there, which are to
    be predicted from it. A model that is trained so sees flaws of its own in the context, as in a rollout, and true
    frames after them (in the spirit of scheduled sampling, Bengio et al. 2015, arXiv 1506.03099, and of Self Forcing,
    Huang et al. 2025, arXiv 2506.08009).

    Args:
        denoiser: of the model.
        block: of the model.
        clips: float (B, P + N + F, C, H, W) in the model's range.
        own: which clips are meant.
        seed: of the training.
        indices: number of each clip in the training; with the seed it names the noise.

    Returns:
        float (B, P + N + F, C, H, W). What lies beyond the ends of these clips is unknown, and 0; see `moved`.
    """
    result = moved(clips, own, block)
    was_training = denoiser.training
    denoiser.eval()
    for back in (False, True):
        group = [each for each in own if each.back == back]
        side = slice(-block.future, None) if back else slice(0, block.past)
        context = {each.row: clips[each.row, side] for each in group}
        for step in range(1, 1 + max((each.depth for each in group), default=0)):
            rows = [each.row for each in group if each.depth >= step]
            given = torch.stack([context[row] for row in rows])
            hidden = given.new_zeros(len(rows), block.num_context - given.shape[1], *given.shape[2:])
            condition = Condition.visible(*((hidden, given) if back else (given, hidden)))
            bound = denoiser.bind(condition.null(past=back, future=not back))
            draws = TrainingNoise(keyed_seed(seed, _DRAW, step), clips.device)
            shape = block.current, *clips.shape[2:]
            normal = draws([indices[row] for row in rows], shape).normal[0].to(clips)
            end = denoiser.schedule(torch.ones((), dtype=torch.float64))
            start = denoiser.shaped(normal, normal.new_ones(len(rows))) * (end.alpha**2 + end.sigma**2).sqrt()
            made = bound.to_frames(SAMPLER(bound, start, denoiser.schedule)).clamp(-denoiser.bound, denoiser.bound)
            context |= zip(rows, made[:, side].to(clips), strict=True)
        for row, frames in context.items():
            result[row, side] = frames
    denoiser.train(was_training)
    return result


def showing_own(condition: Condition, own: Sequence[OwnContext]) -> Condition:
    """The same condition, of which these samples show what the model made, and hide the other side."""
    if not own:
        return condition
    keep_past, keep_future = condition.keep_past.clone(), condition.keep_future.clone()
    for each in own:
        keep_past[each.row], keep_future[each.row] = not each.back, each.back
    return replace(condition, keep_past=keep_past, keep_future=keep_future)
