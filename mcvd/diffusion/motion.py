"""Where the context moves: its optical flow carries the visible frames on to the times that are to be made."""

from __future__ import annotations

import torch
from torch import Tensor

from mcvd.diffusion.context_sides import context_sides, over_pixels
from mcvd.diffusion.optical_flow import carry, explained, optical_flow
from mcvd.diffusion.reference import Residual, keep_near
from mcvd.frames import Condition

FARTHEST = 4.0  # residual that a plane may tell


def motion_planes(condition: Condition, residual: Residual | None, num_frames: int) -> Tensor:
    """What the motion in the context lets expect of the frames to be made, as planes for the network.

    For each side that has two frames or more: the frame next to those that are made, carried on by the optical flow
    between it and its neighbour, at constant speed; then one plane, between 0 and 1, of how well this flow explains the
    neighbour. Where these two frames are not both visible, the side's planes are 0. The last plane is the logarithm
    of the residual's scale, the mean over frames.

    Carried frames are only advice: they are wrong where the motion changes, and where something is uncovered. Where
    residuals refer to a base that moves on by itself (`mcvd.diffusion.moving_base`), the planes of a side tell in their
    place how far the base is from the side's nearest frame, as the inverse hyperbolic sine of such residuals.

    Args:
        condition: of B samples, frames (C, H, W).
        residual: what is diffused under it; carried frames are told as such residuals. None where frames are diffused.
        num_frames: N, how many are to be made.

    Returns:
        float (B, M, H, W) in the dtype of the frames, M = `mcvd.nets.conditioning.num_motion_planes`.
    """
    if residual is not None and residual.trust is not None:
        planes = _moved(condition, residual, residual.trust)
    else:
        planes = _carried(condition, residual, num_frames)
    frames = condition.past if condition.past.shape[1] else condition.future
    scale = frames.new_ones(1, 1, 1, 1, 1) if residual is None else residual.scale
    planes.append(scale[:, :, 0].log().mean(1, keepdim=True).expand(condition.batch_size, 1, *frames.shape[3:]))
    return torch.cat([each.to(frames.dtype) for each in planes], 1)


def _moved(condition: Condition, residual: Residual, trusts: Tensor) -> list[Tensor]:
    planes = []
    sides = [side for side in context_sides(condition, keep_near(condition)) if side.has(2)]
    for side, trust in zip(sides, trusts.split(1, 1), strict=True):
        told = -residual.from_frames(side.frames[:, :1]).asinh()
        planes.append(torch.where(over_pixels(side.keep[:, 0]), torch.cat([told.flatten(1, 2), trust], 1), 0.0))
    return planes


def _carried(condition: Condition, residual: Residual | None, num_frames: int) -> list[Tensor]:
    away = range(1, num_frames + 1)  # how many frames from the nearest visible one
    sides = [side for side in context_sides(condition, (condition.keep_past, condition.keep_future)) if side.has(2)]
    near, far = (torch.cat([side.frames[:, n] for side in sides]) for n in (0, 1))
    flows = optical_flow(near, far)
    trusts = explained(near, far, flows).chunk(len(sides))
    planes = []
    for side, flow, trust in zip(sides, flows.chunk(len(sides)), trusts, strict=True):
        distances = away[::-1] if side.is_after else away
        carried = torch.stack([carry(side.frames[:, 0], distance * flow) for distance in distances], 1)
        told = carried if residual is None else residual.from_frames(carried).clamp(-FARTHEST, FARTHEST)
        visible = over_pixels(side.keep[:, :2].all(1))
        planes.append(torch.where(visible, torch.cat([told.flatten(1, 2), trust], 1), 0.0))
    return planes
