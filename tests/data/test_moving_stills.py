"""A camera over photographs: what it sees is the photograph, moved."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mcvd.data import MovingStills
from mcvd.data.synthetic.cutouts import WAVES, Cutout, places_seen, put_over
from mcvd.data.synthetic.moving_stills import MAX_ZOOM, CameraMove, _view
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


@pytest.mark.parametrize("max_cutouts", [0, 3])
def test_every_video_is_the_same_whichever_frames_are_read_and_longer_ones_begin_with_shorter_ones(
    photographs, max_cutouts
):
    short, long = (MovingStills(photographs, num_videos=6, num_frames=n, max_cutouts=max_cutouts) for n in (5, 9))
    for video in range(6):
        whole = long.read(video, range(9), (16, 24))
        assert whole.shape == (9, 3, 16, 24) and whole.dtype == torch.uint8
        assert torch.equal(long.read(video, [7, 2], (16, 24)), whole[[7, 2]])
        assert torch.equal(short.read(video, range(5), (16, 24)), whole[:5])
    other = MovingStills(photographs, num_videos=6, num_frames=9, seed=1)
    assert not torch.equal(other.read(0, range(9), (16, 24)), long.read(0, range(9), (16, 24)))


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (2, 64)])
def test_videos_of_minutes_and_frames_of_a_pixel_can_be_read(photographs, size):
    """Zooms that go on and on would see less than a pixel of the picture, or all of an endless one."""
    short, long = (MovingStills(photographs, num_videos=12, num_frames=n, max_cutouts=3) for n in (1, 3000))
    for video in range(12):
        frames = long.read(video, [0, 600, 2999], size)
        assert frames.shape == (3, 3, *size) and torch.equal(frames[:1], short.read(video, [0], size))
    moves = [CameraMove.drawn(np.random.default_rng(n), 3000, 10.0, np.ones(2)) for n in range(50)]
    zooms = np.array([[move.zoom.min(), move.zoom.max()] for move in moves])
    assert zooms.min() == pytest.approx(1 / MAX_ZOOM) and zooms.max() == pytest.approx(MAX_ZOOM)


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
    assert (way < 0.05).mean() > 0.2 and (way > 0.3).mean() > 0.1 and way.max() < 3
    assert all((move.zoom > 0.3).all() and (move.zoom < 3).all() for move in moves)
    assert np.mean([move.centre[-1] @ inward >= -0.1 for move in moves]) > 0.85  # towards where there is room


@pytest.mark.parametrize("frame_rate_hz", [0.5, 10.0])
def test_a_shaken_camera_begins_where_it_looks_at_first(frame_rate_hz):
    """At a low rate it was views away before the first frame, and saw the photograph's mirror image alone."""
    moves = [CameraMove.drawn(np.random.default_rng(n), 3, frame_rate_hz, np.ones(2)) for n in range(40)]
    assert not any(move.centre[0].any() for move in moves) and max(abs(move.angle[0]) for move in moves) <= 0.1
    assert np.ptp([move.centre[1, 0] for move in moves]) > 0


def test_in_minutes_nothing_grows_ever_faster():
    """The camera, or what moves before it, would be nothing but a blur."""
    generators = [np.random.default_rng(n) for n in range(60)]
    cameras = [CameraMove.drawn(generator, 3000, 10.0, np.ones(2)) for generator in generators]
    for moves in (cameras, [Cutout.drawn(generator, 3000, 10.0) for generator in generators]):
        speeds = np.array([np.hypot(*np.diff(move.centre, axis=0).T) * 10 for move in moves])  # views a second
        assert np.median(speeds[:, -1000:]) < 2 * np.median(speeds[:, :10]) and speeds[:, -1000:].max() < 6


def test_a_shaken_camera_forgets_its_speed_in_seconds_not_in_frames():
    """What it does next is not always what it did, and at another frame rate it shakes as fast."""

    def speeds(frame_rate_hz: float) -> NDArray[np.float64]:
        """Views a second, (300, 3 seconds less a frame, 2)."""
        num_frames = round(3 * frame_rate_hz)
        moves = [CameraMove.drawn(np.random.default_rng(i), num_frames, frame_rate_hz, np.ones(2)) for i in range(300)]
        return np.stack([np.diff(move.centre, axis=0) * frame_rate_hz for move in moves])

    slow, fast = speeds(10), speeds(40)
    for found, lasts in ((slow, 0.9), (fast, 0.97)):
        now, then = found[:, :-1], found[:, 1:]
        assert 0.6 < (now * then).sum() / np.square(now).sum() < lasts
    assert 0.7 < np.sqrt(np.square(fast).mean() / np.square(slow).mean()) < 1.4


def test_cutouts_leave_the_camera_as_it_is_and_hide_part_of_the_picture(photographs):
    plain, covered = (MovingStills(photographs, num_videos=40, num_frames=3, max_cutouts=n) for n in (0, 2))
    changed = []
    for video in range(40):
        differs = (plain.read(video, range(3), (16, 24)) != covered.read(video, range(3), (16, 24))).any(1)
        changed.append(differs.float().mean().item())
    assert 0.1 < np.mean([each == 0 for each in changed]) < 0.6  # of 0, 1 or 2 cut-outs
    assert 0.05 < np.mean(changed) < 0.5


@pytest.mark.parametrize("zoom", [1.0, 1.5])
def test_a_cutout_is_where_its_way_leads_as_the_camera_sees_it(zoom):
    """A white disc goes right over black while the camera goes down, turned by a quarter."""
    steps = np.arange(3.0)
    cutout = Cutout(
        centre=np.stack([0.1 * steps, 0 * steps], -1),
        radius=0.25,
        angle=steps,
        stretch=np.ones((3, 2)),
        outline=np.zeros((2, WAVES)),
        texture=np.array([0.5, 0.5]),
    )
    # The middle of the view goes down by a twentieth of its height of 60, which is the shorter side.
    centre, angle = np.stack([0 * steps, 0.05 * steps], -1), np.full(3, np.pi / 2)
    places = places_seen(centre, np.full(3, zoom), angle, (60, 90))
    views = put_over(torch.zeros(3, 3, 60, 90), places, cutout, torch.ones(1, 3, 20, 20), np.arange(3))
    area = views[:, 0].sum((1, 2))
    assert area == pytest.approx(np.full(3, np.pi * (15 / zoom) ** 2), rel=0.02)
    rows, columns = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(90) + 0.5, indexing="ij")
    right = (views[:, 0] * columns).sum((1, 2)) / area - 45
    down = (views[:, 0] * rows).sum((1, 2)) / area - 30
    # A camera turned clockwise sees what is right of it above and what is above it on its left.
    assert right == pytest.approx(-3 * steps / zoom, abs=0.05)
    assert down == pytest.approx(-6 * steps / zoom, abs=0.05)


def test_cutouts_are_of_all_speeds_and_some_rest():
    drawn = [Cutout.drawn(np.random.default_rng(i), 11, 10.0) for i in range(300)]
    way = np.array([np.hypot(*np.ptp(each.centre, axis=0)) for each in drawn])  # in a second
    assert 0.05 < (way == 0).mean() < 0.2
    assert (way < 0.1).mean() > 0.2 and (way > 0.5).mean() > 0.1
    assert all((each.stretch > 0.5).all() and (each.stretch < 2).all() for each in drawn)
    longer = Cutout.drawn(np.random.default_rng(7), 30, 10.0)
    np.testing.assert_array_equal(longer.centre[:11], drawn[7].centre)


def test_an_impossible_number_of_cutouts_is_refused(photographs):
    with pytest.raises(ValueError, match="max_cutouts"):
        MovingStills(photographs, max_cutouts=-1)


def test_a_folder_without_pictures_and_a_damaged_one_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no picture"):
        MovingStills(tmp_path).read(0, [0], (8, 8))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(VideoError, match="broken"):
        MovingStills(tmp_path).read(0, [0], (8, 8))
