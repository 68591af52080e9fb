"""A camera over photographs: what it sees is the photograph, moved."""

import numpy as np
import pytest
import torch
from PIL import Image

from mcvd.data import MovingStills
from mcvd.data.synthetic.moving_stills import CameraMove, _view
from mcvd.video.decoders.base import VideoError


@pytest.fixture
def photographs(tmp_path):
    """A red to blue gradient, wide, and noise, high."""
    ramp = np.linspace(0, 255, 200).round()
    wide = np.zeros((80, 200, 3), np.uint8)
    wide[..., 0], wide[..., 2] = ramp, 255 - ramp
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (tmp_path / "below").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 90, 3), np.uint8)).save(tmp_path / "below/high.jpg")
    return tmp_path


def test_every_video_is_the_same_whichever_frames_are_read_and_longer_ones_begin_with_shorter_ones(photographs):
    short, long = (MovingStills(photographs, num_videos=6, num_frames=n) for n in (5, 9))
    for video in range(6):
        whole = long.read(video, range(9), (16, 24))
        assert whole.shape == (9, 3, 16, 24) and whole.dtype == torch.uint8
        assert torch.equal(long.read(video, [7, 2], (16, 24)), whole[[7, 2]])
        assert torch.equal(short.read(video, range(5), (16, 24)), whole[:5])
    other = MovingStills(photographs, num_videos=6, num_frames=9, seed=1)
    assert not torch.equal(other.read(0, range(9), (16, 24)), long.read(0, range(9), (16, 24)))


def test_a_view_is_the_part_of_the_picture_that_it_names():
    columns = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    whole = _view(columns, np.array([64.0, 64.0]), np.array([32.0, 32.0]), 0.0, (64, 64))
    torch.testing.assert_close(whole, columns, rtol=0, atol=0.01)
    right_half = _view(columns, np.array([32.0, 32.0]), np.array([48.0, 32.0]), 0.0, (16, 16))[0, 0]
    torch.testing.assert_close(
        right_half.mean(0), torch.linspace(0.5, 1, 17).unfold(0, 2, 1).mean(1), rtol=0, atol=0.01
    )
    # Turned clockwise by a quarter, what was on the right is below.
    turned = _view(columns, np.array([64.0, 64.0]), np.array([32.0, 32.0]), np.pi / 2, (64, 64))[0, 0]
    assert turned[0].std() < 0.01 and abs((turned[-1] - turned[0]).mean().abs().item() - 1) < 0.05


def test_a_reduced_view_does_not_alias():
    """A fine checkerboard seen from afar is grey."""
    board = (torch.arange(512)[:, None] + torch.arange(512)) % 2
    far = _view(board.float().expand(1, 3, 512, 512), np.array([512.0, 512.0]), np.array([256.0, 256.0]), 0.0, (32, 32))
    torch.testing.assert_close(far, torch.full_like(far, 0.5), rtol=0, atol=0.02)


def test_moves_are_of_all_speeds_and_some_cameras_stand_still():
    inward = np.array([1.0, -1.0])
    moves = [CameraMove.drawn(np.random.default_rng(i), 11, 10.0, inward) for i in range(300)]
    way = np.array([np.hypot(*(move.centre[-1] - move.centre[0])) for move in moves])  # in a second
    still = [np.ptp(move.centre) == 0 and np.ptp(move.zoom) == 0 and np.ptp(move.angle) == 0 for move in moves]
    assert 0.05 < np.mean(still) < 0.2
    assert (way < 0.05).mean() > 0.2 and (way > 0.3).mean() > 0.1 and way.max() < 2
    assert all((move.zoom > 0.3).all() and (move.zoom < 3).all() for move in moves)
    assert np.mean([move.centre[-1] @ inward >= -0.1 for move in moves]) > 0.95  # towards where there is room


def test_a_folder_without_pictures_and_a_damaged_one_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no picture"):
        MovingStills(tmp_path).read(0, [0], (8, 8))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(VideoError, match="broken"):
        MovingStills(tmp_path).read(0, [0], (8, 8))
