"""Laws of the bouncing strokes: the motion of Stochastic Moving MNIST, and repeatable drawing."""

import numpy as np
import pytest
import torch

from mcvd.data.synthetic.moving_strokes import ALPHABET_SIZE, MovingStrokes, bounce, compose, draw_letter

ROOM = 32


def flights(num_frames: int = 400, num_shapes: int = 40) -> np.ndarray:
    return bounce(np.random.default_rng(0), num_frames, num_shapes, ROOM)


def test_shapes_never_leave_the_canvas_and_visit_all_of_it():
    places = flights()
    assert places.min() == 0
    assert places.max() == ROOM - 1


def test_shapes_fly_straight_until_they_leave():
    places = flights()
    speed = np.diff(places, axis=0)
    ahead = places[1:-1] + speed[:-1]  # where each would be without walls
    # A shape that stands at an edge may have been put back there, which hides its speed.
    free = ((places[1:-1] > 0) & (places[1:-1] < ROOM - 1)).all(-1) & ((ahead >= 0) & (ahead < ROOM)).all(-1)
    assert free.mean() > 0.5
    assert np.array_equal(places[2:][free], ahead[free])


def test_a_wall_sends_shapes_strictly_inward_and_redraws_both_speeds():
    places = flights()
    step = np.diff(places, axis=0)
    before, at, after = places[1:-2], places[2:-1], step[2:]
    ahead = before + step[:-2]  # where it would be without walls, unless it has just been put back
    flying = ((before > 0) & (before < ROOM - 1)).all(-1)
    for axis, other in ((0, 1), (1, 0)):
        away_from_corners = (at[..., other] >= 4) & (at[..., other] < ROOM - 4)
        for edge, inward in ((0, 1), (ROOM - 1, -1)):
            left = flying & away_from_corners & (inward * (ahead[..., axis] - edge) < 0)
            assert (at[left][:, axis] == edge).all()
            assert set(inward * after[left][:, axis]) == {1, 2, 3, 4}
            assert set(after[left][:, other]) == set(range(-4, 5))


def test_starts_and_speeds_are_uniform():
    places = bounce(np.random.default_rng(1), 2, 4000, ROOM)
    assert np.bincount(places[0].ravel(), minlength=ROOM).min() > 180  # 250 expected
    inside = ((places[0] > 3) & (places[0] < ROOM - 4)).all(-1)
    counts = np.bincount((places[1] - places[0])[inside].ravel() + 4)
    assert len(counts) == 9
    assert counts.min() > 0.8 * counts.mean()


def test_a_longer_flight_begins_with_the_shorter_one():
    short, long = (bounce(np.random.default_rng(3), n, 3, ROOM) for n in (10, 50))
    assert np.array_equal(short, long[:10])


def test_overlapping_ink_adds_up_and_is_clipped():
    shapes = np.full((3, 2, 2), 0.4, np.float32)
    frame = compose(shapes, np.array([[[0, 0], [0, 1], [0, 1]]]), canvas=4)[0]
    assert frame[0, :4].tolist() == pytest.approx([0.4, 1.0, 0.8, 0.0])
    assert frame[2:].sum() == 0


@pytest.mark.parametrize("which", range(ALPHABET_SIZE))
def test_letters_are_whole_anti_aliased_and_about_as_large_as_digits(which):
    ink = draw_letter(which, np.random.default_rng(which))
    assert ink.shape == (32, 32)
    assert ink.min() == 0
    assert ink.max() == 1
    assert not ink[[0, -1]].any()
    assert not ink[:, [0, -1]].any()
    assert ((ink > 0) & (ink < 1)).any()
    assert 0.05 < ink.mean() < 0.4


def test_videos_depend_on_seed_and_number_alone():
    first = MovingStrokes().read(7, range(6), (64, 64))
    assert torch.equal(first, MovingStrokes().read(7, range(6), (64, 64)))
    assert torch.equal(first[[4, 2]], MovingStrokes(num_frames=50).read(7, [4, 2], (64, 64)))
    assert not torch.equal(first, MovingStrokes(seed=1).read(7, range(6), (64, 64)))
    assert not torch.equal(first, MovingStrokes().read(8, range(6), (64, 64)))


def test_frames_are_grey_bytes_that_use_the_full_range():
    video = MovingStrokes().read(0, range(30), (64, 64))
    assert video.shape == (30, 1, 64, 64)
    assert video.dtype == torch.uint8
    assert (video.min(), video.max()) == (0, 255)


def test_other_sizes_show_the_same_scene():
    small, large = (MovingStrokes().read(4, range(5), (n, n)).float() for n in (32, 128))
    assert (torch.nn.functional.avg_pool2d(large, 4) - small).abs().mean() < 3


def test_a_canvas_without_room_is_refused():
    with pytest.raises(ValueError, match="33 or more, got 32"):
        MovingStrokes(canvas=32)
