"""Between known frames: what is expected is right where things move evenly, told exactly, and errors are told too."""

from math import inf

import pytest
import torch
from reference.tiny import pixels, tiny_model

from mcvd.diffusion.bridge import FLOOR, bridge
from mcvd.diffusion.guidance import expected
from mcvd.diffusion.keyframes import KnownPart
from mcvd.frames import Condition
from mcvd.noise import Cosine, Geometric
from mcvd.samplers import DDIM, DDPM, SASolver, UniPC

NUM_FRAMES = 5


def moving(speed, num_frames, rows=1):
    """A smooth pattern that moves to the right, float (rows, T, 1, 32, 32)."""
    place = torch.arange(32.0)
    away = [place - 16 - speed * (n - num_frames / 2) for n in range(num_frames)]
    across = torch.stack([torch.exp(-(x**2) / 30) for x in away])
    down = torch.exp(-((place - 15) ** 2) / 40)
    return (down[:, None] * across[:, None, None] * 1.6 - 0.8)[None].repeat(rows, 1, 1, 1, 1)


def window(video, known, num_past=2, part=None):
    """The condition and the known part of a window whose past are the first frames of a video."""
    past, current = video.split([num_past, video.shape[1] - num_past], 1)
    keep = torch.zeros(*current.shape[:2], 1, *current.shape[3:], dtype=torch.bool)
    keep[:, list(known)] = True
    if part is not None:
        keep &= part
    return Condition.visible(past, past[:, :0]), KnownPart(torch.where(keep, current, 0.0), keep)


def test_even_motion_is_carried_to_its_place_and_little_is_doubted():
    video = moving(0.6, 2 + NUM_FRAMES)
    found = bridge(*window(video, [4]))
    between = video[:, 2:6]
    faded = torch.stack([video[:, 1] + (n + 1) / 5 * (video[:, 6] - video[:, 1]) for n in range(4)], 1)
    error = (found.mean[:, :4] - between).square().mean()
    assert error < 0.05 * (faded - between).square().mean()
    assert found.is_whole
    assert found.variance[:, 4].isinf().all()  # known, not expected
    assert found.variance[:, :4].min() >= FLOOR**2


def test_where_frames_have_nothing_in_common_much_is_doubted():
    video = moving(0.6, 2 + NUM_FRAMES)
    video[:, -1] = pixels(1, 1, 32, 32).float() / 127.5 - 1
    doubted, sure = bridge(*window(video, [4])), bridge(*window(moving(0.6, 2 + NUM_FRAMES), [4]))
    assert (doubted.variance[:, :4].mean((2, 3, 4)) > 20 * sure.variance[:, :4].mean((2, 3, 4))).all()


def test_nothing_is_expected_but_between_known_frames():
    video = moving(0.6, 2 + NUM_FRAMES)
    found = bridge(*window(video, [2]))
    assert not found.is_whole
    assert found.variance[:, :2].isfinite().all()
    assert found.variance[:, 2:].isinf().all()
    assert (found.mean[:, 2:] == 0).all()
    assert bridge(*window(video, [0])) is None
    half = torch.arange(32) < 16
    assert bridge(*window(video, [4], part=half)) is None  # in part known frames lead nowhere
    alone = bridge(*window(video, [0, 4], num_past=0))  # nothing before them: one keyframe leads to the other
    assert alone.variance[:, 1:4].isfinite().all()


def test_context_alone_is_left_to_the_network():
    video = moving(0.6, 5)
    condition = Condition.visible(video[:, :1], video[:, 4:])
    keep = torch.zeros(1, 3, 1, 32, 32, dtype=torch.bool)
    assert bridge(condition, KnownPart(torch.zeros(1, 3, 1, 32, 32), keep)) is None
    hidden = Condition.visible(video[:, :1], video[:, 4:]).null(past=True, future=False)
    keep[:, 0] = True
    found = bridge(hidden, KnownPart(video[:, 1:4] * keep, keep))
    assert found.variance[:, 1:].isfinite().all()


def test_rows_do_not_know_of_each_other():
    video = torch.cat([moving(0.6, 7), moving(-0.3, 7)])
    together = bridge(*window(video, [4]))
    for row in (0, 1):
        alone = bridge(*window(video[row : row + 1], [4]))
        torch.testing.assert_close(together.mean[row : row + 1], alone.mean, rtol=0, atol=1e-6)
        torch.testing.assert_close(together.variance[row : row + 1], alone.variance, rtol=1e-4, atol=1e-8)


SAMPLERS = [
    DDIM(100, clip=False),
    DDPM(400, clip=False),
    SASolver(num_steps=100, clip=False),
    UniPC(num_steps=50, clip=False),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda each: type(each).__name__)
def test_of_gaussian_data_the_distribution_is_the_conditional_one(sampler):
    """Data of mean 0 and standard deviation 0.5, heard of with an error of 0.1, 0.5 and infinite: closed form."""
    schedule, num_draws = Cosine(), 10_000
    variance = torch.tensor([0.01, 0.25, inf], dtype=torch.float64)
    heard = torch.tensor([0.4, -0.3, 0.0], dtype=torch.float64)

    def exact(noisy, t):
        at = schedule(t).like(noisy)
        return noisy * at.alpha * 0.25 / (at.alpha**2 * 0.25 + at.sigma**2)

    generator = torch.Generator().manual_seed(0)

    def draw(x):
        return torch.randn(x.shape, generator=generator, dtype=x.dtype)

    start = draw(torch.empty(num_draws, 3, dtype=torch.float64))
    made = sampler(expected(exact, heard, variance, schedule), start, schedule, draw)
    left = 1 / (4 + 1 / variance)
    torch.testing.assert_close(made.mean(0), left * heard / variance, rtol=0, atol=0.015)
    torch.testing.assert_close(made.std(0), left.sqrt(), rtol=0, atol=0.015)


@pytest.mark.parametrize("schedule", [Cosine(), Geometric()], ids=lambda each: type(each).__name__)
def test_what_is_heard_never_leads_beyond_it(schedule):
    x, heard = 10 * torch.randn(4, 2, 1, 8, 8), torch.full((4, 2, 1, 8, 8), 0.3)
    for time in (0.001, 0.3, 1.0):
        for variance in (1e-12, 1e-3, 1e6, inf):
            each = torch.full((4, 2, 1, 1, 1), variance)
            found = expected(lambda noisy, t: noisy, heard, each, schedule)(x, torch.full((4,), time))
            assert found.isfinite().all()
            assert (torch.minimum(x, heard) - 1e-4 <= found).all()
            assert (found <= torch.maximum(x, heard) + 1e-4).all()


def test_a_keyframe_acts_by_motion_unless_told_otherwise_and_gradients_only_where_it_leads_nowhere(monkeypatch):
    model, past = tiny_model(past=2, current=4, future=0), pixels(1, 2, 1, 16, 16)
    options = {"sampler": DDIM(3), "progress": False}
    frame = pixels(1, 16, 16, seed=9)
    default = model.predict(past, 4, known={3: frame}, **options)
    assert torch.equal(default, model.predict(past, 4, known={3: frame}, known_by="motion", **options))
    assert not torch.equal(default, model.predict(past, 4, known={3: frame}, known_by="guidance", **options))
    # Before any frame there is nothing to go from: gradients pull, as with guidance.
    made, guided = (model.generate(4, known={3: frame}, known_by=how, **options) for how in ("motion", "guidance"))
    assert torch.equal(made, guided)

    def refuse(*_, **__):
        raise AssertionError("gradients are not needed here")

    monkeypatch.setattr("mcvd.diffusion.block_sampler.guided", refuse)
    model.predict(past, 4, known={3: frame}, **options)
    with pytest.raises(AssertionError):
        model.predict(past, 4, known={1: frame}, **options)
