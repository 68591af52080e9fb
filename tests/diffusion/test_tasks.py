"""The four tasks: what is given, and why a model cannot do one."""

import pytest

from mcvd.diffusion.masking import Masking
from mcvd.diffusion.tasks import BACKWARD, GENERATE, INTERPOLATE, PREDICT, TASKS, task_by_name, task_of
from mcvd.frames import FrameBlock

ONLY_PREDICT, ONLY_INTERPOLATE = Masking(p_future=1), Masking()


def refusal(block, masking, num_past, num_future, num_frames):
    return task_of(num_past, num_future).refusal(block, masking, num_past, num_future, num_frames)


def test_a_task_is_what_is_given():
    assert [task_of(*given) for given in ((2, 0), (0, 1), (3, 3), (0, 0))] == [PREDICT, BACKWARD, INTERPOLATE, GENERATE]
    assert [task_by_name(name) for name in TASKS] == list(TASKS.values())
    with pytest.raises(ValueError, match="predict, backward, interpolate, generate"):
        task_by_name("imagine")


def test_a_task_gives_as_many_frames_as_the_block_has_slots_for():
    block = FrameBlock(2, 5, 3)
    assert [task.context_length(block) for task in TASKS.values()] == [(2, 0), (0, 3), (2, 3), (0, 0)]
    assert [task.has_context for task in TASKS.values()] == [True, True, True, False]


def test_a_task_that_the_block_has_no_slots_for_is_refused():
    block, free = FrameBlock(2, 5), Masking(0.5)
    assert {name for name, task in TASKS.items() if task.refusal(block, free) is None} == {"predict", "generate"}


class TestTasksThatAreRefused:
    def test_looking_ahead_without_a_future_slot(self):
        assert "block.future > 0" in refusal(FrameBlock(2, 5), ONLY_PREDICT, 0, 5, 10)

    def test_predicting_with_a_model_that_always_saw_the_future(self):
        assert "future hidden" in refusal(FrameBlock(2, 5, 2), ONLY_INTERPOLATE, 2, 0, 5)

    def test_generating_with_a_model_that_always_saw_the_past(self):
        assert "past hidden" in refusal(FrameBlock(2, 5), ONLY_PREDICT, 0, 0, 5)

    def test_too_little_past_for_a_model_that_always_saw_all_of_it(self):
        assert "needs 2 past frames, got 1" in refusal(FrameBlock(2, 5), Masking(), 1, 0, 5)

    def test_long_gaps_with_tied_masks(self):
        tied = Masking(0.5, 0.5, tied=True)
        assert refusal(FrameBlock(2, 5, 2), tied, 4, 4, 5) is None
        assert "future hidden" in refusal(FrameBlock(2, 5, 2), tied, 4, 4, 6)

    def test_no_frames(self):
        with pytest.raises(ValueError, match="num_frames"):
            refusal(FrameBlock(2, 5), ONLY_PREDICT, 2, 0, 0)


def test_a_part_of_the_past_is_enough_for_a_model_that_was_trained_with_parts():
    block = FrameBlock(4, 2)
    assert refusal(block, Masking(p_past=0, p_future=1, p_partial=0.5), 2, 0, 2) is None
    assert "needs 4 past frames, got 2" in refusal(block, Masking(p_past=0, p_future=1), 2, 0, 2)


def test_a_model_with_free_masks_does_everything():
    block, free = FrameBlock(2, 5, 2), Masking(0.5, 0.5)
    for num_past, num_future in ((2, 0), (0, 2), (2, 2), (0, 0)):
        assert refusal(block, free, num_past, num_future, 23) is None
    assert refusal(FrameBlock(2, 5), Masking(1, 1, tied=True), 0, 0, 5) is None


def test_a_refusal_takes_no_time_however_many_frames_are_asked_for():
    only_predict = Masking(p_future=1)
    assert refusal(FrameBlock(2, 5), only_predict, 2, 0, 10**15) is None
    assert "past hidden" in refusal(FrameBlock(2, 5), only_predict, 0, 0, 10**15)
