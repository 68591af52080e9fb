"""Random numbers by name: the same whoever draws them, and when."""

import torch

from mcvd.runtime.rng import KeyedNoise, TrainingNoise, _Drawing, keyed_normal, keyed_seed

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
    together = draws([7, 8, 9], (2, 3), (4,))
    alone = draws([8], (2, 3), (4,))
    pairs = [*zip(together[:-1], alone[:-1], strict=True), *zip(together.normal, alone.normal, strict=True)]
    assert all(torch.equal(whole[1:2], single) for whole, single in pairs)
    generator = torch.Generator().manual_seed(keyed_seed(5, 8))
    hidden, time, part, level = torch.rand(6, generator=generator).split([2, 1, 2, 1])
    assert torch.equal(alone.hidden[0], hidden) and torch.equal(alone.time, time)
    assert torch.equal(alone.part[0], part) and torch.equal(alone.context_noise, level)
    for values, shape in zip(alone.normal, [(2, 3), (4,)], strict=True):
        assert torch.equal(values[0], torch.randn(shape, generator=generator))
