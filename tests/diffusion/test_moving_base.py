"""A base of residuals that moves on along the optical flow of the context."""

import pytest
import torch
from diffusion.test_motion import moving, pattern
from reference.tiny import pixels, tiny_config

import mcvd
from mcvd.diffusion.color_axes import AllChannels
from mcvd.diffusion.measuring import measure, unmeasured
from mcvd.diffusion.motion import motion_planes
from mcvd.diffusion.moving_base import MovingBase
from mcvd.diffusion.reference import ContextReference
from mcvd.frames import Condition, FrameBlock

BLOCK = FrameBlock(past=2, current=3, future=2)
INSIDE = (..., slice(6, -6), slice(6, -6))


def conditions(past, future):
    """By what is visible of it."""
    visible = Condition.visible(past, future)
    return {"past": visible.null(past=False), "future": visible.null(future=False), "both": visible}


def relying(block=BLOCK, part=1.0, **options):
    """A reference that takes so much of what the flow adds."""
    reference = ContextReference(block, flow=True, **options)
    reference.moving.reliance.fill_(part)
    return reference


@pytest.mark.parametrize("visible", ["past", "future", "both"])
def test_what_moves_on_is_expected_where_it_goes(visible):
    clip = torch.stack([moving(1.0, 0.5), moving(-0.7, 1.0)])
    past, current, future = BLOCK.split(clip)
    condition = conditions(past, future)[visible]
    still, moved = ContextReference(BLOCK)(condition), relying()(condition)
    left, before = ((each.base - current)[INSIDE].square().mean() for each in (moved, still))
    assert left < 0.05 * before
    assert moved.scale.mean() < 0.8 * still.scale.mean()  # and less is reckoned with
    torch.testing.assert_close(moved.to_frames(moved.from_frames(current)), current)


def test_as_much_is_taken_as_is_to_be_relied_on():
    past, _, future = BLOCK.split(moving(1.0, 0.5)[None])
    for condition in conditions(past, future).values():
        still, half, whole = (relying(part=part)(condition).base for part in (0.0, 0.5, 1.0))
        torch.testing.assert_close(still, ContextReference(BLOCK)(condition).base)
        torch.testing.assert_close(half, (still + whole) / 2)


def test_a_turn_is_followed_along_its_way():
    """What turns by 15 degrees a frame is not carried off along straight lines."""
    angle = torch.arange(7)[:, None, None] * torch.pi / 12
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 48), indexing="ij")
    right, down = angle.cos() * x + angle.sin() * y, angle.cos() * y - angle.sin() * x
    clip = ((5 * right).sin() * (4 * down).cos() * 0.6)[None, :, None].expand(1, 7, 3, 48, 48)
    past, current, future = BLOCK.split(clip)
    condition = conditions(past, future)["past"]
    round_centre = (..., slice(14, -14), slice(14, -14))
    still, moved = (each(condition).base for each in (ContextReference(BLOCK), relying()))
    errors = [(base - current)[:, 1][round_centre].square().mean() for base in (moved, still)]
    assert errors[0] < 0.1 * errors[1]


def test_still_frames_stay():
    past, _, future = BLOCK.split(pattern(0, 0).expand(1, 7, -1, -1, -1))
    for condition in conditions(past, future).values():
        torch.testing.assert_close(
            relying()(condition).base, ContextReference(BLOCK)(condition).base, atol=1e-5, rtol=0
        )


def test_noise_in_still_frames_moves_nothing():
    torch.manual_seed(0)
    clip = pattern(0, 0).expand(8, 7, -1, -1, -1) + 0.008 * torch.randn(8, 7, 3, 32, 48)  # a grey level of 256
    past, current, future = BLOCK.split(clip)
    for condition in conditions(past, future).values():
        still, moved = (
            (each(condition).base - current).square().mean() for each in (ContextReference(BLOCK), relying())
        )
        assert moved < 1.02 * still


@pytest.mark.parametrize("hidden", ["neighbour", "nearest", "side"])
def test_what_is_hidden_moves_nothing(hidden):
    past, _, _ = BLOCK.split(moving(1.0, 0.5)[None])
    shown = {"neighbour": [False, True], "nearest": [True, False], "side": [False, False]}[hidden]
    keep, none = torch.tensor([shown]), torch.zeros(1, 2, dtype=torch.bool)
    strange = torch.where(keep[..., None, None, None], past, torch.nan)
    residual = relying()(Condition(strange, torch.full_like(past, torch.nan), keep, none))
    expected = (
        past[:, 1:] if hidden == "neighbour" else past[:, :1] if hidden == "nearest" else torch.zeros_like(past[:, :1])
    )
    torch.testing.assert_close(residual.base, expected.expand(-1, 3, -1, -1, -1))
    assert residual.scale.isfinite().all() and not residual.trust.any()


def test_no_clip_of_a_batch_sees_another():
    clips = torch.stack([moving(1.0, 0.5), moving(-0.7, 1.0), moving(0.0, 0.0), moving(0.4, -1.0)])
    past, _, future = BLOCK.split(clips)
    keep_past = torch.tensor([[True, True], [False, False], [True, True], [False, True]])
    keep_future = torch.tensor([[False, False], [True, True], [True, True], [True, True]])
    reference = relying()
    whole = reference(Condition(past, future, keep_past, keep_future))
    for n in range(4):
        row = slice(n, n + 1)
        alone = reference(Condition(past[row], future[row], keep_past[row], keep_future[row]))
        for name in ("base", "scale", "trust"):
            torch.testing.assert_close(getattr(alone, name), getattr(whole, name)[row])


@pytest.mark.parametrize(
    "block", [FrameBlock(1, 3), FrameBlock(0, 3, 1), FrameBlock(0, 3), FrameBlock(1, 3, 1), FrameBlock(3, 2, 1)]
)
def test_blocks_of_any_sides_have_a_base(block):
    past, current, future = block.split(moving(0.5, 0.5, block.num_frames)[None])
    visible = Condition.visible(past, future)
    still, moved = ContextReference(block)(visible), relying(block)(visible)
    errors = [(each.base - current)[INSIDE].square().mean() for each in (moved, still)]
    if block.past >= 2 or (block.past and block.future):
        assert errors[0] < 0.3 * errors[1]
    else:
        torch.testing.assert_close(moved.base, still.base)
    assert moved.scale.isfinite().all()


def test_clips_tell_how_far_motion_is_to_be_relied_on():
    on, past, future = MovingBase(3), *BLOCK.split(moving(1.0, 0.5)[None])[::2]
    visible = Condition.visible(past, future)
    weights = torch.stack([torch.ones(1, 3), torch.zeros(1, 3)])
    alone = visible.null(past=False)
    movement = on(alone, (alone.keep_past, alone.keep_future), weights, AllChannels())
    base = past[:, -1:].expand(-1, 3, -1, -1, -1)
    cases = [(base, movement)] * 3
    goes_on, stops, turns_back = base + movement.added, base, base - movement.added
    for current, expected in ((goes_on, 1.0), (stops, 0.0), (turns_back, 0.0), ((goes_on + base) / 2, 0.5)):
        measured = MovingBase(3)
        measured.measure(current, cases)
        torch.testing.assert_close(measured.reliance, torch.full((3, 3), expected), atol=1e-4, rtol=0)
        assert measured.num_clips == 1


def test_a_reference_measures_what_moves_on_before_its_scale():
    torch.manual_seed(0)
    clips = torch.stack([moving(right, down) for right, down in (torch.rand(12, 2) * 3 - 1.5).tolist()])
    reference, still = ContextReference(BLOCK, flow=True), ContextReference(BLOCK)
    for each in (reference, still):
        each.measure(*BLOCK.split(clips))
    assert reference.moving.reliance.min() > 0.6  # the frame's edge is not foreseen
    past, current, future = BLOCK.split(clips)
    for condition in conditions(past, future).values():
        residual = reference(condition).from_frames(current)
        assert 0.1 < residual.square().mean().sqrt() < 0.75


def test_of_no_clip_nothing_is_measured():
    """All of a batch may be pictures, or frames from long before."""
    reference = ContextReference(BLOCK, flow=True)
    before = {name: each.clone() for name, each in reference.named_buffers()}
    reference.measure(*BLOCK.split(torch.zeros(0, 7, 3, 16, 16)))
    for name, each in reference.named_buffers():
        assert torch.equal(each, before[name]), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_frames_of_any_precision_move(dtype):
    past, _, future = BLOCK.split(moving(1.0, 0.5)[None])
    exact, other = (relying()(Condition.visible(past.to(kind), future.to(kind))) for kind in (torch.float32, dtype))
    assert other.base.dtype == other.scale.dtype == dtype
    torch.testing.assert_close(other.base.float(), exact.base, atol=0.03, rtol=0)


def test_the_network_is_told_how_far_the_base_moved():
    past, _, future = BLOCK.split(moving(1.0, 0.0)[None])
    residual = relying()(conditions(past, future)["past"])
    planes = motion_planes(conditions(past, future)["past"], residual, 3)
    assert planes.shape == (1, 2 * (9 + 1) + 1, 32, 48)
    told = planes[:, :9].unflatten(1, (3, 3)).sinh() * residual.scale
    torch.testing.assert_close(told, residual.base - past[:, -1:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(planes[:, 9:10], residual.trust[:, :1])
    assert planes[:, 9][INSIDE].min() > 0.8 and not planes[:, 10:20].any()


def model_of(**options):
    config = tiny_config(channels=3) | {"reference": "context", "reference_flow": True, "predicts": "edm"}
    return mcvd.build(config | options)


def test_a_model_with_it_samples_and_trains():
    model = model_of().eval()
    video = pixels(2, model.block.past, 3, *model.size)
    made = model.predict(video, 4, steps=2, seed=0)
    assert made.shape == (2, 4, 3, *model.size)
    assert torch.equal(made, model.predict(video, 4, steps=2, seed=0, batch_size=1))
    clip = pixels(2, model.block.num_frames, 3, *model.size)
    loss = model.train().loss({"video": clip, "index": [0, 1]}).mean()
    loss.backward()
    assert loss.isfinite()


def test_scales_are_measured_anew_where_the_base_begins_to_move():
    """Weights of a base that stands still know a growth that is of something else."""
    denoiser = model_of().denoiser
    clip = torch.rand(4, denoiser.net.block.num_frames, 3, 16, 16) * 2 - 1
    parts = denoiser.net.block.split(clip)
    denoiser.reference.num_clips += 100
    denoiser.reference.sums += 1e6
    names = unmeasured(denoiser)
    assert set(names) == {"reference", "reference.moving"}
    measure(denoiser, names, *parts)
    assert denoiser.reference.num_clips == 4 and denoiser.reference.growth.max() < 30
    measure(denoiser, names, *parts)
    assert denoiser.reference.num_clips == 8
    assert unmeasured(denoiser) == []


@pytest.mark.parametrize("choice", [{"reference": "frames"}, {"reference": "given", "masking": {"p_any": 0.5}}])
def test_where_nothing_stands_still_nothing_moves(choice):
    with pytest.raises(ValueError, match=r"reference_flow is for models with reference: context"):
        model_of(**choice)


def test_memory_of_all_that_moves_does_not_go_with_it():
    with pytest.raises(ValueError, match=r"reference_memory .* reference_flow .*: set one of them to false"):
        model_of(reference_memory=True)


@pytest.mark.parametrize("sides", [(1, 0), (0, 1), (0, 0)])
def test_one_frame_of_context_shows_no_motion(sides):
    block = {"past": sides[0], "current": 3, "future": sides[1]}
    with pytest.raises(ValueError, match=r"reference_flow needs two frames of context on a side, or one on both"):
        model_of(block=block)
    assert model_of(block={"past": 1, "current": 3, "future": 1}).denoiser.reference.moving is not None
