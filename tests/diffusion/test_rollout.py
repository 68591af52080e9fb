"""A rollout makes every missing frame exactly once, from frames already known."""

import weakref

import pytest
import torch

from mcvd.diffusion.plan import plan
from mcvd.diffusion.rollout import rollout
from mcvd.frames import FrameBlock

BLOCKS = [FrameBlock(2, 5, 0), FrameBlock(2, 5, 5), FrameBlock(5, 5, 5), FrameBlock(3, 1, 2), FrameBlock(10, 4, 1)]
LENGTHS = [1, 3, 5, 6, 17, 40]
GIVEN = [(0, 0), (1, 0), (7, 0), (0, 2), (0, 9), (6, 8), (1, 1), (12, 2)]
TASKS = [(block, *given) for block in BLOCKS for given in GIVEN if block.future or not given[1]]


@pytest.mark.parametrize(("block", "num_past", "num_future"), TASKS)
@pytest.mark.parametrize("num_frames", LENGTHS)
def test_every_missing_frame_is_made_once_from_known_frames(block, num_frames, num_past, num_future):
    gap = range(num_past, num_past + num_frames)
    known = {*range(num_past), *range(gap.stop, gap.stop + num_future)}
    for step in plan(block, num_past, num_future, num_frames):
        assert len(step.current) == block.current
        assert len(step.past) <= block.past
        assert len(step.future) <= block.future
        assert step.past.stop == step.current.start
        assert step.future.start == step.current.stop
        assert {*step.past, *step.future} <= known
        new = {*step.current} & {*gap} - known
        assert new
        known |= new
    assert known >= {*gap}


def counting(block, shape, log):
    """A fake that makes frames which hold the number of the frame after the last one seen, if the past is seen."""

    def make(condition, number, sees_made, known):
        log.append((number, condition))
        frames = torch.zeros(condition.batch_size, block.current, *shape)
        if condition.keep_past.any():
            frames += condition.past[:, -1:] + torch.arange(1, block.current + 1).view(1, -1, 1, 1, 1)
        elif condition.keep_future.any():
            frames += condition.future[:, :1] - torch.arange(block.current, 0, -1).view(1, -1, 1, 1, 1)
        return frames

    return make


def numbered(*numbers):
    return torch.tensor(numbers, dtype=torch.float32).view(1, -1, 1, 1, 1).expand(2, -1, 1, 2, 2)


def filled(block, past, future, num_frames):
    video = torch.full((num_frames,), torch.nan)
    for start, frames in rollout(counting(block, (1, 2, 2), []), block, past, future, num_frames):
        assert video[start : start + frames.shape[1]].isnan().all(), "a frame was made twice"
        video[start : start + frames.shape[1]] = frames[0, :, 0, 0, 0]
    return video.tolist()


@pytest.mark.parametrize("block", [FrameBlock(2, 5, 3), FrameBlock(1, 1, 1), FrameBlock(4, 3, 2)])
@pytest.mark.parametrize("num_frames", [1, 2, 5, 13])
class TestCountingVideos:
    """The frames hold their own number, and the fake continues what it sees: any slip of an index shows."""

    def test_forward(self, block, num_frames):
        made = filled(block, numbered(0, 1, 2), numbered(), num_frames)
        assert made == list(range(3, 3 + num_frames))

    def test_backward(self, block, num_frames):
        made = filled(block, numbered(), numbered(50, 51, 52), num_frames)
        assert made == list(range(50 - num_frames, 50))

    def test_gap(self, block, num_frames):
        after = 3 + num_frames
        made = filled(block, numbered(0, 1, 2), numbered(after, after + 1, after + 2), num_frames)
        assert made == list(range(3, after))


def test_generation_shows_nothing_first_and_then_what_was_made():
    block, log = FrameBlock(3, 2, 0), []
    empty = torch.zeros(1, 0, 1, 2, 2)
    list(rollout(counting(block, (1, 2, 2), log), block, empty, empty, 6))
    shown = [condition.keep_past[0].tolist() for _, condition in log]
    assert shown == [[False] * 3, [False, True, True], [True] * 3]


def test_the_windows_slide_as_published():
    starts = [step.past.start for step in plan(FrameBlock(5, 2), 5, 0, 8)]
    assert starts == [0, 2, 4, 6]


def test_a_short_gap_is_one_window_that_sees_both_sides():
    (step,) = plan(FrameBlock(2, 5, 5), 10, 10, 5)
    assert (step.past, step.current, step.future) == (range(8, 10), range(10, 15), range(15, 20))


def test_a_long_gap_is_closed_from_both_sides():
    steps = list(plan(FrameBlock(2, 5, 5), 10, 10, 12))
    seen = [(bool(step.past), bool(step.future)) for step in steps]
    assert seen == [(True, False), (False, True), (True, True)]


def test_given_context_is_shared_by_samples_and_made_context_is_not():
    block, batches = FrameBlock(2, 2), []

    def make(condition, number, sees_made, known):
        batches.append(condition.batch_size)
        return torch.zeros(6, 2, 1, 2, 2)

    list(rollout(make, block, torch.zeros(2, 2, 1, 2, 2), torch.zeros(2, 0, 1, 2, 2), 6, num_samples=3))
    assert batches == [2, 6, 6]


class Numbers(bytearray):
    """Memory of some float32 numbers that can be watched."""

    def __init__(self, num_numbers):
        super().__init__(4 * num_numbers)


def test_long_rollouts_hold_a_few_frames_only():
    block, seen, blocks = FrameBlock(2, 5), 0, []

    def make(condition, number, sees_made, known):
        storage = Numbers(5)
        blocks.append(weakref.ref(storage))
        return torch.frombuffer(storage, dtype=torch.float32).view(1, 5, 1, 1, 1)

    for start, frames in rollout(make, block, torch.zeros(1, 2, 1, 1, 1), torch.zeros(1, 0, 1, 1, 1), 10_000):
        assert start == seen
        assert sum(made() is not None for made in blocks) <= 4
        seen += frames.shape[1]
    assert seen == 10_000


def test_overlap_reaches_to_the_longest_context_and_no_further():
    block = FrameBlock(4, 2, 3)
    (step,) = plan(block, 9, 9, 2, overlap=4)
    assert (len(step.past), len(step.future)) == (4, 3)
    for wrong in (0, 5):
        with pytest.raises(ValueError, match="overlap must be 1 to 4"):
            list(plan(block, 9, 9, 2, overlap=wrong))


@pytest.mark.parametrize(("num_past", "num_future", "longest"), [(9, 0, 4), (0, 9, 3), (0, 0, 4), (9, 9, 4)])
def test_overlap_that_no_side_of_the_task_can_show_is_refused(num_past, num_future, longest):
    block = FrameBlock(4, 2, 3)
    assert [*plan(block, num_past, num_future, 7, overlap=longest)] == [*plan(block, num_past, num_future, 7)]
    with pytest.raises(ValueError, match=f"overlap must be 1 to {longest} frames"):
        list(plan(block, num_past, num_future, 7, overlap=longest + 1))


def test_without_a_context_there_is_no_overlap():
    with pytest.raises(ValueError, match="overlap cannot be told"):
        list(plan(FrameBlock(0, 2, 3), 0, 0, 7, overlap=1))
