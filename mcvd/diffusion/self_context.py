"""Context as the model itself makes it, in training: what all blocks of a rollout but the first go on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mcvd.diffusion.bound_denoiser import BoundDenoiser
from mcvd.diffusion.denoiser import Denoiser
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.rollout import motion_of
from mcvd.frames import Condition, FrameBlock
from mcvd.noise import Coefficients, noise_from_clean
from mcvd.runtime.rng import TrainingNoise, keyed_generator, keyed_seed
from mcvd.samplers.spacing import time_from_log_snr

NOISES = (6.0, 2.5, 1.0, 0.4)
"""Of the calls that make such frames, as multiples of the signal, in units of what the model diffuses."""
_DRAW = 7  # in the key of a clip's coin


@dataclass(frozen=True)
class OwnContext:
    """A clip of a batch that gets context of the model's own making.

    Args:
        row: which one.
        back: whether it leads to a future of its making, in place of going on from such a past.
        depth: how many blocks the model makes, each from the one before, before its frames are the context: flaws of
            the first one are not yet those of a rollout.
        call: the first of the `NOISES` at which the network is asked, 0 to 3. The later, the nearer are these frames to
            the true ones.
    """

    row: int
    back: bool
    depth: int
    call: int = 0


def max_depth(block: FrameBlock, back: bool) -> int:
    """How many blocks fit, each beginning with the context of the next, if half of the frames after them are known."""
    num_context = block.future if back else block.past
    if not 1 <= num_context <= block.current:
        return 0
    of_target = (block.num_frames - (block.current + 1) // 2) // num_context - 1
    return min(of_target, (block.num_frames - block.current) // num_context)


def ways_of(block: FrameBlock, masking: Masking) -> list[tuple[bool, int]]:
    """Whether back, and the `max_depth`, of each way that fits the block and that its masks train: context of the
    model's own making lies on one side alone, which a model that never does without the other side has no use for.

    Examples:
        >>> ways_of(FrameBlock(2, 5, 2), Masking(p_future=0.5))
        [(False, 2)]
    """
    alone = {
        False: masking.allows(True, False if block.future else None),
        True: masking.allows(False if block.past else None, True),
    }
    return [(back, depth) for back in alone if alone[back] and (depth := max_depth(block, back)) > 0]


def drawn(
    probability: float, ways: Sequence[tuple[bool, int]], seed: int, indices: Sequence[int], alone: Sequence[bool] = ()
) -> list[OwnContext]:
    """Which clips get such context, by coins of each clip's own, drawn on the CPU; all ways, all depths of them and all
    first calls are equally likely.

    Args:
        probability: of a clip to get some.
        ways: of `ways_of`, one or more.
        seed: of the training.
        indices: number of each clip in the training.
        alone: which clips are pictures that have nothing to do with each other: these get none. Empty: no clip is.
    """
    found = []
    for row, index in enumerate(indices):
        coin, way, share, noise = keyed_generator(seed, index, _DRAW).random(4)
        if coin < probability and not (alone and alone[row]):
            back, depth = ways[int(way * len(ways))]
            found.append(OwnContext(row, back, 1 + int(share * depth), int(noise * len(NOISES))))
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

    The model makes the block after the past frames of such a clip, or before its future ones, with the weights as they
    are, from the true frames under noise (as SDEdit does, Meng et al. 2021, arXiv 2108.01073). Its frames at that end
    become the context of the next, or that of the true frames there, which are to be predicted from it. So the context
    has the flaws of the model's own frames, less motion than the truth above all, and what follows still fits it. Made
    from noise alone it shows another course of events than the one that follows, and the model learns to leap from one
    to the other. (In the spirit of scheduled sampling, Bengio et al. 2015, arXiv 1506.03099, whose limits are those of
    Huszar 2015, arXiv 1511.05101.)

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
    result, motion = clips.clone(), motion_before(clips, own, block)
    was_training = denoiser.training
    denoiser.eval()
    for step in range(1, 1 + max((each.depth for each in own), default=0)):
        part = [each for each in own if each.depth >= step]
        rows = [each.row for each in part]
        past, current, future = block.split(result[rows])
        shown = [replace(each, row=place) for place, each in enumerate(part)]
        condition = replace(Condition.visible(past, future), motion=motion[rows] if step > 1 else None)
        bound = denoiser.bind(showing_own(condition, shown, past, future))
        draws = TrainingNoise(keyed_seed(seed, _DRAW, step), clips.device)
        normal = draws([indices[row] for row in rows], current.shape[1:]).normal[0].to(clips)
        made = _made(denoiser, bound, current, normal, [each.call for each in part]).to(clips)
        result = moved(result, [replace(each, depth=1) for each in part], block)
        for each, frames in zip(part, made, strict=True):
            if each.back:
                result[each.row, -block.future :] = frames[-block.future :]
            else:
                result[each.row, : block.past] = frames[: block.past]
    denoiser.train(was_training)
    return result


def _made(denoiser: Denoiser, bound: BoundDenoiser, true: Tensor, normal: Tensor, calls: Sequence[int]) -> Tensor:
    """What the model makes of true frames (B, N, C, H, W) under this noise, sample by sample from this call on: before
    it the truth stands for the estimate, so that such a sample keeps to its noise."""
    times = time_from_log_snr(-2 * torch.tensor(NOISES, dtype=torch.float64).log(), denoiser.schedule)
    times = torch.cat([times, times.new_zeros(1)])
    truth, at = bound.from_frames(true), denoiser.schedule(times)
    asked_from = torch.tensor(calls, device=true.device).view(-1, 1, 1, 1, 1)
    noisy = at.alpha[0] * truth + at.sigma[0] * denoiser.shaped(normal, times[0].to(normal).expand(len(normal)))
    for call in range(len(NOISES)):
        clean = torch.where(asked_from <= call, bound(noisy, times[call].to(noisy).expand(len(noisy))), truth)
        noise = noise_from_clean(noisy, clean, Coefficients(at.alpha[call], at.sigma[call]))
        noisy = at.alpha[call + 1] * clean + at.sigma[call + 1] * noise
    return bound.to_frames(noisy).clamp(-denoiser.bound, denoiser.bound)


@torch.no_grad()
def at_true_scale(
    denoiser: Denoiser, block: FrameBlock, clips: Tensor, made: Tensor, own: Sequence[OwnContext]
) -> Tensor:
    """What the errors of residuals weigh, so that they count as much as those after true context, float
    (len(own), N, C, H, W) or what broadcasts to it; see `Denoiser.loss`.

    Residuals are measured at the scale of what moves in the context. Where the model let it stand still and the film
    moves on, that would count a thousandfold. The weight does not look at the frames that are to be predicted, so what
    is learned remains their distribution.

    Args:
        denoiser: of the model.
        block: of the model.
        clips: float (B, P + N + F, C, H, W), the true ones.
        made: what `with_own_context` made of them.
        own: which clips are meant.
    """
    if denoiser.reference is None:
        return clips.new_ones(len(own), 1, 1, 1, 1)
    rows, shown = [each.row for each in own], [replace(each, row=place) for place, each in enumerate(own)]
    scales = []
    for video, motion in ((made, motion_before(clips, own, block)[rows]), (moved(clips, own, block), None)):
        past, _, future = block.split(video[rows])
        condition = replace(Condition.visible(past, future), motion=motion)
        scales.append(denoiser.reference(showing_own(condition, shown, past, future)).scale)
    return (scales[0] / scales[1]).square().clamp(max=1)


def motion_before(clips: Tensor, own: Sequence[OwnContext], block: FrameBlock) -> Tensor:
    """`Condition.motion` (B,) of clips (B, T, C, H, W) of which these get context of the model's making: that of the
    context they had, as the frames that are given to a rollout have it; 0 in others."""
    motion, nothing = clips.new_zeros(len(clips)), clips[:1, :0]
    for each in own:
        clip = clips[each.row, None]
        sides = (nothing, clip[:, -block.future :]) if each.back else (clip[:, : block.past], nothing)
        if (seen := motion_of(*sides)) is not None:
            motion[each.row] = seen[0]
    return motion


def showing_own(condition: Condition, own: Sequence[OwnContext], past: Tensor, future: Tensor) -> Condition:
    """The same condition, of which these samples show what the model made, and hide the other side.

    Args:
        condition: of B samples; it has forgotten the frames that it hides.
        own: which are meant.
        past: float (B, P, C, H, W), its past frames, none hidden.
        future: float (B, F, C, H, W), likewise.
    """
    if not own:
        return condition
    keep_past, keep_future = condition.keep_past.clone(), condition.keep_future.clone()
    for each in own:
        keep_past[each.row], keep_future[each.row] = not each.back, each.back
    return replace(condition, past=past, future=future, keep_past=keep_past, keep_future=keep_future)
