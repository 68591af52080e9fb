"""The random draw of which frames are visible."""

import pytest
import torch

from mcvd.diffusion.masking import Masking

PAST = FUTURE = torch.ones(4000, 1, 1, 1, 1)


def shown(masking, seed=0):
    uniform = torch.rand(4000, 2, generator=torch.Generator().manual_seed(seed))
    condition = masking.condition(PAST, FUTURE, uniform)
    return condition.keep_past[:, 0], condition.keep_future[:, 0]


@pytest.mark.parametrize(
    ("masking", "past", "future"),
    [
        (Masking(p_past=0, p_future=1), True, False),
        (Masking(p_past=1, p_future=0), False, True),
        (Masking(p_past=0, p_future=0), True, True),
        (Masking(p_past=1, p_future=1, tied=True), False, False),
    ],
)
def test_the_tasks_are_the_limits_of_the_draw(masking, past, future):
    keep_past, keep_future = shown(masking)
    assert keep_past.eq(past).all()
    assert keep_future.eq(future).all()


def test_sides_are_hidden_as_often_as_asked_and_independently():
    keep_past, keep_future = shown(Masking(0.25, 0.5))
    assert keep_past.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert keep_future.float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert (keep_past & keep_future).float().mean().item() == pytest.approx(0.375, abs=0.03)


def test_tied_sides_are_hidden_together():
    keep_past, keep_future = shown(Masking(0.5, 0.5, tied=True))
    assert torch.equal(keep_past, keep_future)
    assert 0.4 < keep_past.float().mean() < 0.6


def test_all_frames_of_a_side_share_one_coin():
    side = torch.ones(50, 3, 1, 1, 1)
    keep = Masking(0.5, 0.5).condition(side, side, torch.rand(50, 2)).keep_past
    assert torch.equal(keep.all(1), keep.any(1))


@pytest.mark.parametrize("masking", [Masking(0.3, 0.7), Masking(0, 0.5), Masking(1, 1), Masking(0.5, 0.5, tied=True)])
def test_allowed_is_what_training_draws(masking):
    drawn = set(zip(*(side.tolist() for side in shown(masking)), strict=True))
    for past in (True, False):
        for future in (True, False):
            assert masking.allows(past, future) == ((past, future) in drawn)


def test_a_side_that_the_block_lacks_does_not_matter():
    assert Masking(0.5, 0.0).allows(past_shown=False, future_shown=None)
    assert not Masking(0.0, 0.5).allows(past_shown=False, future_shown=None)


@pytest.mark.parametrize("wrong", [{"p_past": -0.1}, {"p_future": 1.1}, {"p_past": 0.5, "tied": True}])
def test_impossible_masks_are_refused(wrong):
    with pytest.raises(ValueError, match=r"p_past|p_future"):
        Masking(**wrong)


def test_a_shown_side_is_shown_in_part_nearest_frames_first():
    frames = torch.ones(3000, 3, 1, 1, 1)
    uniform = torch.rand(3000, 4, generator=torch.Generator().manual_seed(0))
    condition = Masking(p_past=0.5, p_partial=0.4).condition(frames, frames, uniform)
    for keep in (condition.keep_past.flip(1), condition.keep_future):  # nearest first
        assert (keep[:, 1:] <= keep[:, :-1]).all()
    counts = condition.keep_future.sum(1).bincount(minlength=4) / 3000
    torch.testing.assert_close(counts, torch.tensor([0.0, 0.2, 0.2, 0.6]), atol=0.03, rtol=0)
    assert abs((condition.keep_past.sum(1) == 0).float().mean() - 0.5) < 0.03


def test_a_side_of_one_frame_has_no_parts():
    frame = torch.ones(50, 1, 1, 1, 1)
    assert Masking(p_partial=1.0).condition(frame, frame, torch.rand(50, 4)).keep.all()
