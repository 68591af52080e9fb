"""Random numbers by name: the same whoever draws them, and when."""

import pytest
import torch

from mcvd.runtime.rng import (
    KeyedNoise,
    TrainingNoise,
    _Drawing,
    check_seed,
    keyed_generator,
    keyed_normal,
    keyed_seed,
)

KEYS = [(3, 0, 0), (3, 0, 1), (3, 1, 0)]


def test_each_row_and_each_draw_has_numbers_of_its_own():
    draw, x = KeyedNoise(KEYS), torch.zeros(3, 2, 4)
    drawn = torch.stack([draw(x), draw(x)])
    expected = torch.stack([torch.stack([keyed_normal((2, 4), *key, number) for key in KEYS]) for number in range(2)])
    assert torch.equal(drawn, expected)
    assert len(drawn.unique()) == drawn.numel()


def test_noise_drawn_ahead_by_threads_is_the_same():
    for number in range(3):
        ahead, at_once = (_Drawing((3, 2, 4), KEYS, number, ahead).finish() for ahead in (True, False))
        assert torch.equal(ahead, at_once)


def test_the_dtype_is_that_of_the_state():
    assert KeyedNoise(KEYS)(torch.zeros(3, 2, dtype=torch.float64)).dtype == torch.float64


def test_training_draws_of_a_clip_do_not_depend_on_its_batch():
    draws = TrainingNoise(5, torch.device("cpu"))
    together = draws([7, 8, 9], (2, 3), (4,), num_more=3)
    alone = draws([8], (2, 3), (4,), num_more=3)
    pairs = [*zip(together[:-1], alone[:-1], strict=True), *zip(together.normal, alone.normal, strict=True)]
    assert all(torch.equal(whole[1:2], single) for whole, single in pairs)
    generator = torch.Generator().manual_seed(keyed_seed(5, 8))
    hidden, time, part, level = torch.rand(6, generator=generator).split([2, 1, 2, 1])
    assert torch.equal(alone.hidden[0], hidden) and torch.equal(alone.time, time)
    assert torch.equal(alone.part[0], part) and torch.equal(alone.context_noise, level)
    for values, shape in zip(alone.normal, [(2, 3), (4,)], strict=True):
        assert torch.equal(values[0], torch.randn(shape, generator=generator))
    assert torch.equal(alone.more[0], torch.rand(3, generator=generator))


def test_the_numbers_of_a_key_are_the_same_in_every_version():
    noise = KeyedNoise([(3, 1), (3, 2)])
    first, second = noise(torch.zeros(2, 2)), noise(torch.zeros(2, 2))
    assert torch.equal(first, torch.stack([keyed_normal((2,), 3, 1, 0), keyed_normal((2,), 3, 2, 0)]))
    expected = torch.tensor([[-0.7342174649, 0.1061298698], [-1.0112135410, -1.1552718877]])
    torch.testing.assert_close(second, expected)
    assert keyed_generator(1, 2, 3).integers(1000, size=3).tolist() == [476, 181, 324]
    assert keyed_seed(1, 12) == 11878604812033503 != keyed_seed(11, 2)


def test_every_part_of_a_key_tells():
    drawn = [keyed_generator(*key).integers(1 << 60) for key in [(1,), (2,), (1, 0), (1, 1), (1, 0, 0), (1, 0, 1)]]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("seed", [-1, True, 0.5, "1", None, float("nan")])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="whole number of at least 0"):
        check_seed(seed)
    check_seed(0)
