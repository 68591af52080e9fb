"""Where the context moves: its optical flow carries the visible frames on to the times that are to be made."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mcvd.diffusion.reference import Residual, box_mean
from mcvd.frames import Condition

COARSEST = 8  # pixels of the shorter side, where the search for the flow begins
ROUNDS = 2  # of Lucas and Kanade's equations on each level
REACH = 2  # pixels of the box filters whose window a displacement is common to
FLAT = 3e-3  # squared gradient (range of the frames: [-1, 1]) below which a place tells little of its displacement
FARTHEST = 4.0  # residual that a plane may tell


def motion_planes(condition: Condition, residual: Residual | None, num_frames: int) -> Tensor:
    """What the motion in the context lets expect of the frames to be made, as planes for the network.

    For each side that has two frames or more: the frame next to those that are made, carried on by the optical flow
    between it and its neighbour, at constant speed; then one plane, between 0 and 1, of how well this flow explains the
    neighbour. Where these two frames are not both visible, the side's planes are 0. The last plane is the logarithm
    of the residual's scale, the mean over frames.

    Carried frames are only advice, never what residuals refer to: they are wrong where the motion changes, and where
    something is uncovered.

    Args:
        condition: of B samples, frames (C, H, W).
        residual: what is diffused under it; carried frames are told as such residuals. None where frames are diffused.
        num_frames: N, how many are to be made.

    Returns:
        float (B, M, H, W) in the dtype of the frames, M = `mcvd.nets.conditioning.num_motion_planes`.
    """
    away = range(1, num_frames + 1)  # how many frames from the nearest visible one
    sides = []
    if condition.past.shape[1] >= 2:
        sides.append((condition.past.flip(1), condition.keep_past.flip(1), away))
    if condition.future.shape[1] >= 2:
        sides.append((condition.future, condition.keep_future, away[::-1]))
    near, far = (torch.cat([frames[:, n] for frames, _, _ in sides]) for n in (0, 1))
    flows = optical_flow(near, far)
    trusts = _explained(near, far, flows).chunk(len(sides))
    planes = []
    for (frames, keep, distances), flow, trust in zip(sides, flows.chunk(len(sides)), trusts, strict=True):
        carried = torch.stack([carry(frames[:, 0], distance * flow) for distance in distances], 1)
        told = carried if residual is None else residual.from_frames(carried).clamp(-FARTHEST, FARTHEST)
        visible = keep[:, :2].all(1)[:, None, None, None]
        planes.append(torch.where(visible, torch.cat([told.flatten(1, 2), trust], 1), 0.0))
    scale = near.new_ones(1, 1, 1, 1, 1) if residual is None else residual.scale
    planes.append(scale[:, :, 0].log().mean(1, keepdim=True).expand(condition.batch_size, 1, *near.shape[2:]))
    return torch.cat([each.to(near.dtype) for each in planes], 1)


def optical_flow(frame: Tensor, other: Tensor) -> Tensor:
    """Where each place of a frame is found in another one, by Lucas and Kanade (1981), from coarse to fine.

    Args:
        frame: float (B, C, H, W) in the model's range.
        other: the same shape.

    Returns:
        float32 (B, 2, H, W), displacements to the right and down in pixels: ``frame(x) = other(x + flow(x))``.
    """
    pyramid = [(frame.float().mean(1, keepdim=True), other.float().mean(1, keepdim=True))]
    while min(pyramid[-1][0].shape[2:]) >= 2 * COARSEST:
        size = [side // 2 for side in pyramid[-1][0].shape[2:]]
        here, there = (F.interpolate(each, size, mode="area") for each in pyramid[-1])
        pyramid.append((here, there))
    flow = torch.zeros_like(pyramid[-1][0]).repeat(1, 2, 1, 1)
    for here, there in reversed(pyramid):
        if flow.shape[2:] != here.shape[2:]:
            wider, taller = here.shape[3] / flow.shape[3], here.shape[2] / flow.shape[2]
            across, down = F.interpolate(flow, here.shape[2:], mode="bilinear", align_corners=False).split(1, 1)
            flow = torch.cat([wider * across, taller * down], 1)
        for _ in range(ROUNDS):
            flow = flow + _correction(here, carry(there, flow))
        flow = box_mean(flow, 1)
    return flow


def carry(frame: Tensor, flow: Tensor) -> Tensor:
    """A frame (B, C, H, W) read at displaced places, ``frame(x + flow(x))``, float32; its border goes on outside."""
    height, width = frame.shape[2:]
    y, x = torch.arange(height, device=frame.device), torch.arange(width, device=frame.device)
    across = (2 * (x + flow[:, 0]) + 1) / width - 1
    down = (2 * (y[:, None] + flow[:, 1]) + 1) / height - 1
    return F.grid_sample(
        frame.float(), torch.stack([across, down], -1), mode="bilinear", padding_mode="border", align_corners=False
    )


def _correction(here: Tensor, found: Tensor) -> Tensor:
    """One step of least squares for the displacement that each window has in common."""
    padded = F.pad(found, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    difference = found - here
    products = [across * across, across * down, down * down, across * difference, down * difference]
    xx, xy, yy, xd, yd = box_mean(torch.cat(products, 1), REACH, times=2).split(1, 1)
    xx, yy = xx + FLAT, yy + FLAT
    return torch.cat([xy * yd - yy * xd, xy * xd - xx * yd], 1).div(xx * yy - xy * xy).clamp(-REACH, REACH)


def _explained(near: Tensor, far: Tensor, flow: Tensor) -> Tensor:
    """The part of the difference between two frames that the flow explains, around each pixel, (B, 1, H, W)."""
    left = (carry(far, flow) - near).square().mean(1, keepdim=True)
    seen = (far - near).float().square().mean(1, keepdim=True)
    left, seen = box_mean(torch.cat([left, seen], 1), REACH, times=2).split(1, 1)
    return (1 - left / (seen + 1e-4)).clamp(0, 1)
