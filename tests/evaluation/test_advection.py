"""The baseline that carries on what moves: known motion, both directions, pixels and values, missing ones."""

import numpy as np
import pytest
import torch

from mcvd.evaluation.advection import Advection
from mcvd.models.codecs import Pixels, Scale

pytest.importorskip("cv2", reason="fields are an extra")

RAIN = Scale(0.0, 100.0, "log", unit="mm/h", missing="nan")


def blobs(num_frames, step=(1.0, 0.5), size=32):
    """Showers that move by a step (right, down) a frame and do not change, in mm/h: (T, 1, H, W)."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    fields = []
    for t in range(num_frames):
        field = np.zeros((size, size), np.float32)
        for px, py, width, peak in ((8, 9, 2.5, 40), (18, 14, 3.5, 15), (12, 22, 2.0, 60)):
            across, down = px + step[0] * t, py + step[1] * t
            field += peak * np.exp(-((x - across) ** 2 + (y - down) ** 2) / (2 * width**2))
        fields.append(field)
    return torch.from_numpy(np.stack(fields))[:, None]


def error(a, b):
    return (a - b).abs().mean((-3, -2, -1))


def test_what_moves_steadily_is_foreseen():
    video = blobs(10)
    found = Advection(RAIN)(video[None, :4], video[None, :0], 6)
    assert found.shape == (1, 6, 1, 32, 32) and found.dtype == torch.float32
    ahead, still = error(found[0], video[4:]), error(video[3:4].expand(6, -1, -1, -1), video[4:])
    assert (ahead < 0.35 * still).all()


def test_backward_is_forward_of_the_reversed_video():
    video = blobs(10)[None]
    backward = Advection(RAIN)(video[:, :0], video[:, 6:], 3)
    forward = Advection(RAIN)(video[:, 6:].flip(1), video[:, :0], 3)
    assert torch.equal(backward, forward.flip(1))


def test_pixels_stay_pixels_and_a_still_scene_stands():
    video = (3 * blobs(6)).clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)
    moved = Advection(Pixels())(video[:3], video[:0], 3)
    assert moved.dtype == torch.uint8 and moved.shape == (3, 3, 32, 32)
    assert error(moved.float(), video[3:].float())[-1] < 0.5 * error(video[2:3].float(), video[5:].float())[0]
    still = video[:1].expand(3, -1, -1, -1)
    assert (Advection(Pixels())(still, still[:0], 2).int() - still[:2].int()).abs().max() <= 1


def test_missing_values_move_too_and_do_not_spoil_the_motion():
    video = blobs(10)
    video[:, :, 26:, 26:] = torch.nan
    found = Advection(RAIN)(video[:4], video[:0], 3)
    assert found.isnan().any() and not found[:, :, :20, :20].isnan().any()
    known = ~(found.isnan() | video[4:7].isnan())
    ahead = (found - video[4:7]).abs()[known].mean()
    assert ahead < 0.4 * (video[3:4] - video[4:7]).abs()[known].mean()
