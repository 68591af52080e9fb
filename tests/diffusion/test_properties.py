"""Laws that hold for every block, mask, plan, schedule and configuration, on examples that hypothesis looks for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.tiny import tiny_config

import mcvd
from mcvd.diffusion.masking import Masking
from mcvd.diffusion.plan import contexts, plan
from mcvd.frames import Condition, FrameBlock, model_from_pixels, pixels_from_model
from mcvd.noise import Cosine, Geometric, LinearBeta, ZeroTerminalSNR, label_from_time

settings.register_profile("derandomized", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("derandomized")

side = st.integers(0, 6)
blocks = st.builds(FrameBlock, past=side, current=st.integers(1, 6), future=side)
probabilities = st.floats(0, 1)
schedules = st.one_of(
    st.builds(
        LinearBeta, num_steps=st.integers(2, 2000), beta_min=st.floats(1e-6, 1e-3), beta_max=st.floats(2e-3, 0.2)
    ),
    st.builds(Cosine, num_steps=st.integers(2, 2000), offset=st.floats(0, 0.1)),
    st.builds(Geometric, num_steps=st.integers(2, 2000), sigma_min=st.floats(1e-3, 0.1), sigma_max=st.floats(1, 300)),
    st.just(ZeroTerminalSNR(LinearBeta())),
)


def video(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@given(blocks)
def test_the_parts_of_a_split_are_the_video(block):
    clip = video(2, block.num_frames, 1, 2, 2)
    parts = block.split(clip)
    assert [part.shape[1] for part in parts] == [block.past, block.current, block.future]
    assert torch.equal(torch.cat(parts, 1), clip)


@given(st.integers(0, 255))
def test_pixels_survive_the_model_range(level):
    pixel = torch.tensor([level], dtype=torch.uint8)
    assert torch.equal(pixels_from_model(model_from_pixels(pixel)), pixel)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_brighter_value_never_becomes_a_darker_pixel(a, b):
    low, high = pixels_from_model(torch.tensor(sorted((a, b)))).tolist()
    assert low <= high


@given(side, side, probabilities, probabilities, probabilities, st.booleans(), st.integers(0, 2**32))
def test_a_mask_shows_an_unbroken_run_of_the_nearest_frames(past, future, p_past, p_future, p_partial, tied, seed):
    masking = Masking(p_past, p_past if tied else p_future, tied, p_partial)
    draw = torch.rand(8, 4, generator=torch.Generator().manual_seed(seed))
    seen = masking.condition(video(8, past, 1, 2, 2), video(8, future, 1, 2, 2), draw)
    for keep in (seen.keep_past.flip(1), seen.keep_future):
        assert (keep.int().diff(dim=1) <= 0).all()  # nearest first: once hidden, hidden to the end
    for keep_past, keep_future in zip(seen.keep_past, seen.keep_future, strict=True):
        shown = [bool(keep.any()) if len(keep) else None for keep in (keep_past, keep_future)]
        assert masking.allows(*shown)


@given(side, side, st.lists(st.booleans(), min_size=12, max_size=12))
def test_masked_frames_have_no_influence_and_shown_ones_are_untouched(past, future, coins):
    keep_past, keep_future = (
        torch.tensor(coins[6 * i :][:n], dtype=torch.bool)[None] for i, n in enumerate((past, future))
    )
    frames = [video(1, n, 1, 2, 2) for n in (past, future)]
    spoilt = [
        torch.where(keep[..., None, None, None], x, torch.nan)
        for x, keep in zip(frames, (keep_past, keep_future), strict=True)
    ]
    clean, hurt = (Condition(*pair, keep_past, keep_future) for pair in (frames, spoilt))
    assert torch.equal(clean.frames, hurt.frames)
    assert torch.equal(clean.frames[clean.keep], torch.cat(frames, 1)[clean.keep])
    assert not clean.frames[~clean.keep].any()


@given(blocks, side, side, st.integers(1, 60))
def test_a_plan_makes_each_frame_once_and_sees_only_what_is_known(block, num_past, num_future, num_frames):
    gap = range(num_past, num_past + num_frames)
    known = set(range(num_past)) | set(range(gap.stop, gap.stop + num_future))
    steps = list(plan(block, num_past, num_future, num_frames))
    for step in steps:
        assert len(step.current) == block.current
        assert len(step.past) <= block.past and len(step.future) <= block.future
        assert {*step.past, *step.future} <= known
        assert not step.past or step.past.stop == step.current.start
        assert not step.future or step.future.start == step.current.stop
        made = set(step.current) & set(gap) - known
        assert made  # no block is wasted
        known |= made
    assert set(gap) <= known
    assert len(steps) == -(-num_frames // block.current)


@given(blocks, side, side, st.integers(1, 160))
def test_the_contexts_of_a_plan_are_those_of_its_windows(block, num_past, num_future, num_frames):
    windows = plan(block, num_past, num_future, num_frames)
    every = dict.fromkeys((len(window.past), len(window.future)) for window in windows)
    assert contexts(block, num_past, num_future, num_frames) == every


@given(blocks, side, side, st.integers(1, 60))
def test_backward_is_forward_in_a_mirror(block, num_past, num_future, num_frames):
    end = num_past + num_frames - 1
    forward = list(plan(block, num_past, 0, num_frames))
    if num_past:
        backward = plan(FrameBlock(block.future, block.current, block.past), 0, num_past, num_frames)
        for one, other in zip(forward, backward, strict=True):
            assert [end - i for i in one.current][::-1] == list(other.current)
            assert [end - i for i in one.past][::-1] == list(other.future)


@given(schedules, st.lists(st.floats(0, 1, width=32), min_size=2, max_size=8))
def test_noise_never_falls_with_time(schedule, times):
    t = torch.tensor(sorted(times), dtype=torch.float64)
    at = schedule(t)
    assert (at.alpha.diff() <= 1e-12).all() and (at.sigma.diff() >= -1e-12).all()
    if schedule.preserves_variance:
        torch.testing.assert_close(at.alpha**2 + at.sigma**2, torch.ones_like(t), rtol=0, atol=1e-9)


@given(schedules)
def test_time_0_is_clean(schedule):
    at = schedule(torch.zeros(1))
    assert at.alpha.item() == 1 and at.sigma.item() == 0


@given(st.integers(2, 4000), st.data())
def test_the_published_label_of_a_grid_time_is_whole(num_steps, data):
    k = data.draw(st.integers(0, num_steps - 1))
    t = torch.tensor([(k + 1) / num_steps])
    assert label_from_time(t, num_steps).item() == num_steps - 1 - k


@settings(max_examples=4)
@given(st.integers(0, 3), st.integers(1, 3), st.integers(0, 3), st.sampled_from([1, 3]))
def test_a_built_model_is_the_one_that_was_asked_for(past, current, future, channels):
    config = tiny_config(past, current, future, channels)
    model = mcvd.build(config)
    assert (model.block, model.channels) == (FrameBlock(past, current, future), channels)
    assert model.config == config


@settings(max_examples=4)
@given(st.text("abcdefgh_", min_size=3, max_size=8))
def test_a_mistyped_key_is_an_error_that_names_it(key):
    with pytest.raises(ValueError, match=key):
        mcvd.build(tiny_config() | {f"{key}_zz": 1})
