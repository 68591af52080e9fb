"""What a visitor marks on the film strip, and what it means."""

import pytest
from reference.studio import BLOCK

from mcvd.apps.studio.selection import Selection, first_marked, selection_of
from mcvd.diffusion.tasks import BACKWARD, GENERATE, INTERPOLATE, PREDICT, TASKS


@pytest.mark.parametrize("num_frames", [1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_what_is_marked_first_means_something_or_says_what_is_wrong(task, num_frames):
    try:
        selection = selection_of(task, BLOCK, first_marked(task, BLOCK, num_frames), 4, num_frames)
    except ValueError as error:
        assert task is INTERPOLATE and num_frames < 3, error
        return
    assert len(selection.generated) and len(selection.past) <= 2 and len(selection.future) <= 2
    assert {*selection.past, *selection.future} <= {*range(num_frames)}


def test_only_the_nearest_marked_frames_are_given():
    assert selection_of(PREDICT, BLOCK, range(3, 9), 4, 20) == Selection(range(7, 9), range(9, 13), range(0))
    assert selection_of(BACKWARD, BLOCK, range(3, 9), 2, 20) == Selection(range(0), range(1, 3), range(3, 5))
    assert selection_of(INTERPOLATE, BLOCK, range(3, 9), 99, 20) == Selection(range(1, 3), range(3, 9), range(9, 11))


def test_there_is_truth_only_where_the_video_is():
    assert selection_of(PREDICT, BLOCK, range(8, 10), 6, 12).target(12) == range(10, 12)
    assert selection_of(BACKWARD, BLOCK, range(2, 4), 6, 12).target(12) == range(0, 2)
    assert not selection_of(PREDICT, BLOCK, range(10, 12), 6, 12).target(12)
    assert not selection_of(GENERATE, BLOCK, range(0), 6, 12).target(12)


@pytest.mark.parametrize("stretch", [range(0), range(5, 3), range(18, 22), range(-1, 2)])
@pytest.mark.parametrize("task", [PREDICT, BACKWARD, INTERPOLATE], ids=lambda task: task.name)
def test_marks_outside_of_the_video_are_refused(task, stretch):
    with pytest.raises(ValueError, match="mark frames between 0 and 19"):
        selection_of(task, BLOCK, stretch, 4, 20)


def test_a_gap_without_a_side_is_refused():
    for stretch in (range(4), range(15, 20)):
        with pytest.raises(ValueError, match="both sides"):
            selection_of(INTERPOLATE, BLOCK, stretch, 4, 20)
