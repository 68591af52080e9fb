"""What motion lets expect of frames between known ones, and how wrong that may be.

Motion-compensated interpolation, as video codecs make frames between others: both known frames are carried along the
optical flow to the time between them, and cross-faded. If each is off by an error that grows with its distance, as a
random walk does, the error of the cross-fade is that of a bridge: ``w * (1 - w)`` times their squared difference, w
being how far a frame lies on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from mcvd.diffusion.box_mean import box_mean
from mcvd.diffusion.keyframes import KnownPart
from mcvd.diffusion.optical_flow import carry, optical_flow
from mcvd.diffusion.reference import keep_near
from mcvd.frames import Condition

FLOOR = 0.015  # error (range of the frames: [-1, 1]) where both carried frames agree
DOUBT = 4.0  # squared error there is for each unit of the bridge's, measured: both are often wrong in the same way
REACH = 2  # pixels of the box filters around each pixel, over which frames are compared


@dataclass(frozen=True)
class Bridge:
    """What is expected of the current frames of a block.

    Args:
        mean: float (B, N, C, H, W) in the model's range; 0 in frames of which nothing is expected.
        variance: float (B, N, 1, H, W), of the error around it, above 0; infinite where nothing is expected.
        is_whole: whether each of the frames is expected or known.
    """

    mean: Tensor
    variance: Tensor
    is_whole: bool


def bridge(condition: Condition, known: KnownPart) -> Bridge | None:
    """What known frames let expect of the frames between them; None if there are none between.

    Args:
        condition: the frames around, of as many samples as there are rows in ``known``, or for groups of equally many
            adjacent ones. All show the same frames.
        known: what is known of the current frames. Frames known in part lead nowhere, and between two context frames
            the network knows its way.
    """
    num_rows, num_frames = known.frames.shape[:2]
    keep_past, keep_future = (side[0].tolist() for side in keep_near(condition))
    is_known = known.keep[0].flatten(1).all(1).tolist()
    there = [*keep_past, *is_known, *keep_future]
    sides = [side.repeat_interleave(num_rows // len(side), 0) for side in (condition.past, condition.future)]
    frames = torch.cat([sides[0], known.frames, sides[1]], 1)
    first = len(keep_past)
    inside = range(first, first + num_frames)
    mean = torch.zeros_like(known.frames)
    variance = torch.full_like(known.keep, torch.inf, dtype=mean.dtype)
    ends = [place for place, is_there in enumerate(there) if is_there]
    is_expected = list(is_known)
    for left, right in pairwise(ends):
        if right - left < 2 or not (left in inside or right in inside):
            continue
        here, beyond = frames[:, left], frames[:, right]
        to_here, to_beyond = optical_flow(beyond, here), optical_flow(here, beyond)
        for place in range(left + 1, right):
            way = (place - left) / (right - left)
            carried = carry(here, way * to_here), carry(beyond, (1 - way) * to_beyond)
            apart = (carried[0] - carried[1]).square().mean(1, keepdim=True)
            apart = box_mean(apart, REACH, times=2)
            number = place - first
            mean[:, number] = (1 - way) * carried[0] + way * carried[1]
            variance[:, number] = FLOOR**2 + DOUBT * way * (1 - way) * apart
            is_expected[number] = True
    return Bridge(mean, variance, all(is_expected)) if is_expected != is_known else None
