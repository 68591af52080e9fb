"""The order of clips: resumable, and shared out among processes without a repetition."""

from itertools import chain

import pytest

from mcvd.data.batch_sampler import ResumableBatchSampler, ResumableLoader


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_all_processes_together_see_the_same_samples_whatever_their_number(world_size):
    orders = [ResumableBatchSampler(40, 8 // world_size, rank, world_size) for rank in range(world_size)]
    steps = [sorted(chain(*batches)) for batches in zip(*orders, strict=True)]
    assert steps == [list(range(8 * b, 8 * b + 8)) for b in range(5)]


def test_passes_join_without_gap_or_repetition_where_the_batch_does_not_divide_the_epoch():
    order, seen = ResumableBatchSampler(10, 4), []
    for _ in range(5):
        seen += chain(*order)
        order.samples_seen = len(seen)
    assert seen == list(range(40))


def test_resumed_order_continues_with_the_next_sample():
    order = ResumableBatchSampler(12, 3)
    order.samples_seen = 6
    assert next(iter(order)) == [6, 7, 8]


def test_loader_tells_where_training_stands_and_begins_its_pass_there():
    loader = ResumableLoader(range(12), ResumableBatchSampler(12, 3), lambda: 6, num_workers=0)
    assert loader.state_dict() == {"draws_done": 6}
    assert next(iter(loader)).tolist() == [6, 7, 8]


def test_batches_fetched_ahead_do_not_move_the_order():
    order = ResumableBatchSampler(12, 3)
    ahead = iter(order)
    next(ahead), next(ahead)
    assert order.samples_seen == 0 and next(iter(order)) == [0, 1, 2]


def test_fewer_clips_than_a_batch_still_make_one_batch():
    assert list(ResumableBatchSampler(num_clips=2, batch_size=5)) == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("wrong", [(0, 1, 0, 1), (1, 0, 0, 1), (1, 1, 2, 2), (1, 1, -1, 2)])
def test_impossible_orders_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        ResumableBatchSampler(*wrong)
