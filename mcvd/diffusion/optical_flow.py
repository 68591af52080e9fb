"""Optical flow between two frames, and frames that are read along it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mcvd.diffusion.box_mean import box_mean

COARSEST = 8  # pixels of the shorter side, where the search for the flow begins
ROUNDS = 2  # of Lucas and Kanade's equations on each level
REACH = 2  # pixels of the box filters whose window a displacement is common to
FLAT = 3e-3  # squared gradient (range of the frames: [-1, 1]) below which a place tells little of its displacement


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


def carried_on(frame: Tensor, flow: Tensor, num_frames: int) -> list[Tensor]:
    """The frame (B, C, H, W) as one, two and more frames of the same motion would leave it, each float32.

    A place is followed backward along the flow that each frame of the way has where it passes, not along a straight
    line: frames that turn or come nearer stay in shape.

    Args:
        frame: nearest to those that are wanted.
        flow: from it to its neighbour on the other side, (B, 2, H, W), see `optical_flow`.
        num_frames: how many.
    """
    way, frames = flow, []
    for _ in range(num_frames):
        frames.append(carry(frame, way))
        way = flow + carry(way, flow)
    return frames


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


def explained(near: Tensor, far: Tensor, flow: Tensor) -> Tensor:
    """The part of the difference between two frames that the flow explains, around each pixel, (B, 1, H, W)."""
    left = (carry(far, flow) - near).square().mean(1, keepdim=True)
    seen = (far - near).float().square().mean(1, keepdim=True)
    left, seen = box_mean(torch.cat([left, seen], 1), REACH, times=2).split(1, 1)
    return (1 - left / (seen + 1e-4)).clamp(0, 1)
