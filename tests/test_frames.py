"""FrameBlock and Condition: what they hold and refuse."""

import pytest
import torch

from mcvd.frames import MAX_FRAMES, Condition, FrameBlock, model_from_pixels, pixels_from_model


def test_pixels_survive_the_round_trip():
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(pixels_from_model(model_from_pixels(pixels)), pixels)


def test_model_range_is_minus_one_to_one():
    assert model_from_pixels(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]


def test_values_outside_the_range_are_clamped_only_as_pixels():
    assert pixels_from_model(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]


def test_pixels_must_be_bytes():
    with pytest.raises(ValueError, match="uint8"):
        model_from_pixels(torch.rand(2))


def test_a_split_video_is_the_video():
    block, video = FrameBlock(2, 3, 1), torch.rand(2, 6, 1, 4, 4)
    past, current, future = block.split(video)
    assert (past.shape[1], current.shape[1], future.shape[1]) == (2, 3, 1)
    assert torch.equal(torch.cat([past, current, future], 1), video)


@pytest.mark.parametrize("wrong", [(-1, 1, 0), (0, 0, 0), (1, 1, -1)])
def test_impossible_blocks_are_refused(wrong):
    with pytest.raises(ValueError, match="block"):
        FrameBlock(*wrong)


def test_a_video_of_another_length_does_not_split():
    with pytest.raises(ValueError, match="expected"):
        FrameBlock(1, 1).split(torch.rand(1, 3, 1, 4, 4))


def test_a_video_without_a_batch_does_not_split():
    with pytest.raises(ValueError, match="expected"):
        FrameBlock(1, 2).split(torch.zeros(5, 3, 4, 4))


def test_the_longest_block_is_allowed_and_one_more_frame_is_not():
    assert FrameBlock(0, MAX_FRAMES).num_frames == MAX_FRAMES
    with pytest.raises(ValueError):
        FrameBlock(1, MAX_FRAMES)


def test_masked_frames_have_no_influence_even_when_they_are_nan():
    past = torch.full((1, 2, 1, 4, 4), torch.nan)
    keep = torch.zeros(1, 2, dtype=torch.bool)
    condition = Condition(past, past[:, :0], keep, keep[:, :0])
    assert condition.past.eq(0).all()


def test_masks_work_per_frame():
    past = torch.ones(1, 3, 1, 2, 2)
    keep = torch.tensor([[True, False, True]])
    assert Condition(past, past[:, :0], keep, keep[:, :0]).past.mean((2, 3, 4)).tolist() == [[1, 0, 1]]


def test_null_hides_everything_and_keeps_shapes():
    condition = Condition.visible(torch.rand(2, 1, 1, 4, 4), torch.rand(2, 2, 1, 4, 4)).null()
    assert not condition.keep.any()
    assert condition.frames.shape == (2, 3, 1, 4, 4)
    assert condition.frames.eq(0).all()


def test_conditions_join_along_the_batch():
    one = Condition.visible(torch.rand(1, 1, 1, 4, 4), torch.rand(1, 2, 1, 4, 4))
    both = one.followed_by(one.null())
    assert both.batch_size == 2
    assert both.keep.tolist() == [[True] * 3, [False] * 3]


@pytest.mark.parametrize(
    ("past", "keep"),
    [
        (torch.zeros(1, 1, 1, 4, 4, dtype=torch.uint8), torch.ones(1, 1, dtype=torch.bool)),
        (torch.zeros(1, 1, 4, 4), torch.ones(1, 1, dtype=torch.bool)),
        (torch.zeros(1, 1, 1, 4, 4), torch.ones(1, 2, dtype=torch.bool)),
        (torch.zeros(1, 1, 1, 4, 4), torch.ones(1, 1)),
    ],
)
def test_shapes_and_types_are_checked_at_the_door(past, keep):
    future, keep_future = torch.zeros(1, 0, 1, 4, 4), torch.ones(1, 0, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"past must be|keep_past must be"):
        Condition(past, future, keep, keep_future)


def test_past_and_future_must_be_of_one_size():
    with pytest.raises(ValueError, match="agree"):
        Condition.visible(torch.zeros(1, 1, 1, 4, 4), torch.zeros(1, 1, 1, 8, 8))


def test_context_noise_is_added_where_frames_are_visible_and_told():
    past, future = torch.zeros(2, 2, 1, 4, 4), torch.ones(2, 1, 1, 4, 4)
    condition = Condition.visible(past, future).null(past=False)
    noise = torch.randn(2, 3, 1, 4, 4)
    noised = condition.noised(torch.tensor([0.0, 0.5]), noise)
    assert torch.equal(noised.past[0], past[0])
    assert torch.equal(noised.past[1], 0.5 * noise[1, :2])
    assert not noised.future.any()  # hidden frames stay hidden
    assert noised.noise_level.tolist() == [0.0, 0.5]
    assert noised.followed_by(condition).noise_level.tolist() == [0.0, 0.5, 0.0, 0.0]


def test_null_hides_the_sides_that_it_is_told_to():
    frames = torch.ones(1, 2, 1, 4, 4)
    condition = Condition.visible(frames, frames)
    assert condition.null(future=False).keep.tolist() == [[False, False, True, True]]
    assert condition.null(past=False).keep.tolist() == [[True, True, False, False]]
