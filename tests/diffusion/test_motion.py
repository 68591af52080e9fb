"""The optical flow of the context, and telling the network where it leads."""

import pytest
import torch
from reference.tiny import pixels, tiny_config

import mcvd
from mcvd.diffusion.motion import motion_planes
from mcvd.diffusion.optical_flow import carry, optical_flow
from mcvd.diffusion.reference import ContextReference
from mcvd.frames import Condition, FrameBlock
from mcvd.nets import SPATIN, Concat, Context, UNet

BLOCK = FrameBlock(past=2, current=3, future=2)


def pattern(right, down, size=(32, 48), channels=3):
    """A smooth pattern that has moved so far, (channels, H, W)."""
    y, x = torch.arange(size[0])[:, None] - down, torch.arange(size[1]) - right
    waves = [(x / (3 + c)).sin() * (y / (4 - c)).cos() + 0.3 * ((x + y) / 5).sin() for c in range(channels)]
    return 0.6 * torch.stack(waves)


def moving(right, down, num_frames=7, **options):
    return torch.stack([pattern(right * n, down * n, **options) for n in range(num_frames)])


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.5, 0.0), (-0.5, 2.0), (3.0, -2.5)])
def test_the_flow_of_a_shift_is_that_shift(shift):
    flow = optical_flow(pattern(0, 0)[None], pattern(*shift)[None])[0, :, 6:-6, 6:-6]
    assert (flow - torch.tensor(shift)[:, None, None]).abs().median() < 0.1


def test_the_flow_is_one_of_each_sample():
    frames = torch.stack([pattern(0, 0), pattern(0, 0)])
    both = optical_flow(frames, torch.stack([pattern(2, 0), pattern(0, -1)]))
    torch.testing.assert_close(both[:1], optical_flow(frames[:1], pattern(2, 0)[None]))
    torch.testing.assert_close(both[1:], optical_flow(frames[:1], pattern(0, -1)[None]))


def test_whole_displacements_are_read_exactly_and_the_border_goes_on():
    frame, right = pattern(0, 0)[None], torch.tensor([2.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 32, 48)
    found = carry(frame, right)
    torch.testing.assert_close(found[..., :-2], frame[..., 2:], rtol=0, atol=1e-5)
    torch.testing.assert_close(found[..., -2:], frame[..., -1:].expand(-1, -1, -1, 2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", ["past", "future"])
def test_what_moves_on_is_carried_to_its_true_place(side):
    clip = torch.stack([moving(1.0, 0.5), moving(-0.7, 1.0)])
    past, current, future = BLOCK.split(clip)
    visible = Condition.visible(past, future)
    condition = visible.null(past=False) if side == "past" else visible.null(future=False)
    planes = motion_planes(condition, None, 3)
    assert planes.shape == (2, 2 * (9 + 1) + 1, 32, 48)
    (carried, trust), hidden = (planes[:, :9], planes[:, 9]), planes[:, 10:20]
    if side == "future":
        (carried, trust), hidden = (planes[:, 10:19], planes[:, 19]), planes[:, :10]
    assert not hidden.any() and not planes[:, 20].any()  # the scale of frames is 1
    inside = (..., slice(6, -6), slice(6, -6))
    nearest = past[:, -1:] if side == "past" else future[:, :1]
    error = (carried.unflatten(1, (3, 3)) - current)[inside].square().mean()
    assert error < 0.03 * (nearest - current)[inside].square().mean()
    assert trust[inside].min() > 0.8 and trust.max() <= 1


def test_carried_frames_are_told_as_residuals_with_the_scale():
    past, _, future = BLOCK.split(moving(1.0, 0.0)[None])
    condition, reference = Condition.visible(past, future), ContextReference(BLOCK)
    residual = reference(condition)
    as_frames, as_residuals = motion_planes(condition, None, 3), motion_planes(condition, residual, 3)
    told = residual.from_frames(as_frames[:, :9].unflatten(1, (3, 3))).clamp(-4, 4)
    torch.testing.assert_close(as_residuals[:, :9].unflatten(1, (3, 3)), told)
    torch.testing.assert_close(as_residuals[:, 20], residual.scale.expand(1, 3, 1, 32, 48).log().mean((1, 2)))


def test_still_frames_stay_and_frames_that_are_not_both_visible_tell_nothing():
    still = pattern(0, 0).expand(1, 7, -1, -1, -1)
    past, current, future = BLOCK.split(still)
    planes = motion_planes(Condition.visible(past, future), None, 3)
    torch.testing.assert_close(planes[:, :9].unflatten(1, (3, 3)), current, rtol=0, atol=1e-5)
    for keep in ([True, False], [False, True]):
        partly = Condition(past, future, torch.tensor([keep]), torch.tensor([[False, False]]))
        assert not motion_planes(partly, None, 3).any()


@pytest.mark.parametrize(("block", "planes"), [(FrameBlock(2, 3, 0), 11), (FrameBlock(1, 3, 2), 11)])
def test_a_side_with_fewer_than_two_frames_has_no_planes(block, planes):
    past, _, future = block.split(moving(1.0, 0.0, num_frames=block.num_frames)[None])
    assert motion_planes(Condition.visible(past, future), None, 3).shape[1] == planes
    assert UNet(block, width=8, conditioning=Concat(tell_motion=True)).motion_planes == planes


def told_of_motion(conditioning="Concat", **options):
    config = tiny_config(conditioning=conditioning) | options
    config["net"]["init_args"]["conditioning"]["init_args"]["tell_motion"] = True
    torch.manual_seed(0)
    model = mcvd.build(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.mark.parametrize("conditioning", ["Concat", "SPATIN"])
@pytest.mark.parametrize("reference", ["frames", "context"])
def test_a_model_that_is_told_does_all_tasks_is_saved_and_loaded(tmp_path, conditioning, reference):
    model = told_of_motion(conditioning, reference=reference)
    model.save_pretrained(tmp_path / "model")
    again = mcvd.load(tmp_path / "model")
    clip = mcvd.frames.pixels_from_model(torch.stack([moving(1.0, 0.5, size=(16, 16), channels=1)] * 2))
    past, _, future = BLOCK.split(clip)
    options = {"steps": 2, "seed": 3, "guidance": 1.5}
    for made, same in (
        (model.predict(past, 4, **options), again.predict(past, 4, **options)),
        (model.interpolate(past, future, 3, **options), again.interpolate(past, future, 3, **options)),
        (model.predict(future, 4, backward=True, **options), again.predict(future, 4, backward=True, **options)),
    ):
        torch.testing.assert_close(made, same, rtol=0, atol=0)
    assert model.generate(3, steps=2).shape == (1, 3, 1, 16, 16)
    split = model.predict(past, 4, batch_size=1, **options)
    assert (split.int() - model.predict(past, 4, **options).int()).abs().max() <= 1


def test_the_network_sees_the_motion():
    model = told_of_motion()
    past = pixels(1, 2, 1, 16, 16)
    model.loss({"video": pixels(8, 7, 1, 16, 16), "index": [*range(8)]}).sum().backward()
    gradient = model.denoiser.net.first.weight.grad[:, -model.denoiser.net.motion_planes :]
    assert gradient.abs().sum() > 0
    made = model.predict(past, 3, steps=2)
    with torch.no_grad():
        model.denoiser.net.first.weight[:, -model.denoiser.net.motion_planes :] = 0
    assert not torch.equal(made, model.predict(past, 3, steps=2))


def test_a_block_that_shows_no_motion_and_planes_that_do_not_fit_are_refused():
    for conditioning in (Concat(tell_motion=True), SPATIN(8, tell_motion=True)):
        with pytest.raises(ValueError, match="tell_motion needs a block with two frames of the past or the future"):
            UNet(FrameBlock(1, 3, 1), width=8, conditioning=conditioning)
    net = UNet(FrameBlock(2, 3, 0), channels=1, width=8, multipliers=(1,), attention_levels=(), conditioning=Concat())
    frames, keep = torch.zeros(1, 2, 1, 8, 8), torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match="takes 0 planes of motion, got 5"):
        net.encode_condition(Context(frames, keep, motion=torch.zeros(1, 5, 8, 8)), False)
