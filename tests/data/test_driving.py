"""Laws of the drawn streets: repeatable, the same at every size, smooth in time, safe in their driving."""

import time

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from mcvd.data.synthetic.driving.canvas import pulse
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.data.synthetic.driving.world import Street

SIZE = (64, 64)


def street(index: int, num_frames: int = 60) -> Street:
    return Street(np.random.default_rng([0, index]), num_frames, frame_rate_hz=10.0)


def test_the_same_number_draws_the_same_street():
    assert torch.equal(DrivingScenes().read(3, range(4), SIZE), DrivingScenes().read(3, range(4), SIZE))


def test_another_number_or_seed_draws_another_street():
    streets = [DrivingScenes(seed=seed).read(index, [0], SIZE).float() for seed, index in ((0, 3), (0, 4), (1, 3))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (streets[one] - streets[other]).abs().mean() > 10


def test_a_frame_does_not_depend_on_the_frames_asked_with_it():
    videos = DrivingScenes()
    together = videos.read(5, [40, 7, 8, 7, 59], SIZE)
    alone = torch.cat([videos.read(5, [frame], SIZE) for frame in (40, 7, 8, 7, 59)])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("index", range(4))
def test_a_longer_video_begins_with_the_shorter_one(index):
    short, long = (DrivingScenes(num_frames=n).read(index, range(0, 20, 5), SIZE) for n in (20, 90))
    assert torch.equal(short, long)


def test_another_frame_rate_shows_the_same_moments():
    slow, fast = DrivingScenes(num_frames=20), DrivingScenes(num_frames=100, frame_rate_hz=50.0)
    assert slow.times_seconds(0)[4] == pytest.approx(fast.times_seconds(0)[20])
    apart = slow.read(2, [4], SIZE).float() - fast.read(2, [20], SIZE).float()
    assert apart.abs().max() <= 1


@pytest.mark.parametrize("index", range(6))
def test_a_large_picture_averages_to_the_small_one(index):
    large = DrivingScenes().read(index, range(0, 60, 10), (128, 128)).float()
    small = DrivingScenes().read(index, range(0, 60, 10), SIZE).float()
    assert (avg_pool2d(large, 2) - small).abs().mean() < 1.5


def test_a_wide_picture_shows_more_to_the_left_and_right():
    square = DrivingScenes().read(1, range(3), (64, 64)).float()
    wide = DrivingScenes().read(1, range(3), (64, 96)).float()
    assert (wide[..., 16:80] - square).abs().max() <= 1


@pytest.mark.parametrize("index", range(6))
def test_nothing_flickers(index):
    video = DrivingScenes().read(index, range(60), SIZE).float()
    change = (video[1:] - video[:-1]).abs().mean((1, 2, 3))
    around = (change[:-2] + change[2:]) / 2
    assert (change[1:-1] < 2 * around + 1).all()
    assert 0.2 < change.mean() < 15


def test_distant_stripes_fade_to_their_mean():
    near, far = (pulse(np.linspace(0, 5, 1001, dtype=np.float32), np.float32(w), 0.4) for w in (1e-2, 40.0))
    assert near.min() == 0
    assert near.max() == pytest.approx(1, abs=1e-4)
    assert np.abs(far - 0.4).max() < 0.02


@pytest.mark.parametrize("index", range(12))
def test_nobody_drives_backwards_or_into_the_car_ahead(index):
    drive = street(index).drive
    assert (drive.speed >= 0).all()
    assert (np.diff(drive.s) >= 0).all()
    assert (drive.gap > 3).all()
    assert (np.diff(drive.s + drive.gap) > -1e-3).all()  # the car ahead
    assert np.abs(np.diff(drive.speed)).max() < 0.8  # 8 m/s2


def test_some_drivers_brake_and_some_do_not():
    slowest = [drive.speed.min() / drive.speed.max() for drive in (street(index).drive for index in range(40))]
    assert min(slowest) < 0.5
    assert max(slowest) > 0.8


def test_bends_stay_gentle_enough_to_see_the_road():
    s = np.arange(0, 400, 0.5)
    curvature = max(np.abs(np.diff(street(index).heading(s)) / 0.5).max() for index in range(20))
    assert 0.001 < curvature < 1 / 250


def test_drawing_keeps_up_with_training():
    videos = DrivingScenes()
    videos.read(0, range(12), SIZE)
    begin = time.process_time()
    for index in range(10):
        videos.read(index, range(12), SIZE)
    assert (time.process_time() - begin) / 10 < 0.3  # about 0.02 s; busy machines are slower


@pytest.mark.parametrize(("index", "frames"), [(-1, [0]), (10, [0]), (0, [60]), (0, [-1])])
def test_what_is_not_there_is_refused(index, frames):
    with pytest.raises(IndexError, match="choose 0 <="):
        DrivingScenes(num_videos=10).read(index, frames, SIZE)


def test_impossible_collections_are_refused():
    with pytest.raises(ValueError, match="num_frames >= 1"):
        DrivingScenes(num_frames=0)
