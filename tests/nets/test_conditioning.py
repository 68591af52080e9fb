"""How a network is told its context."""

import pytest
import torch

from mcvd.frames import Condition, FrameBlock
from mcvd.nets import SPATIN, Concat, Context, UNet

BLOCK = FrameBlock(past=2, current=2, future=1)
EVERY = [Concat(tell_mask=True), Concat(tell_mask=False), SPATIN(8, tell_mask=True), SPATIN(8, tell_mask=False)]


def small(conditioning, block=BLOCK):
    torch.manual_seed(0)
    net = UNet(block, 1, width=8, multipliers=(1, 2), num_blocks=1, attention_levels=(1,), conditioning=conditioning)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return net.eval()


def answer(net, condition):
    noisy = torch.randn(condition.batch_size, 2, 1, 8, 12, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        encoded = net.encode_condition(Context(condition.frames, condition.keep), cache=False)
        return net(noisy, torch.full((len(noisy),), 300.0), encoded)


def condition(past_value=0.5, future_value=0.5, **keep):
    past, future = torch.full((1, 2, 1, 8, 12), past_value), torch.full((1, 1, 1, 8, 12), future_value)
    visible = Condition.visible(past, future)
    return Condition(past, future, keep.get("past", visible.keep_past), keep.get("future", visible.keep_future))


@pytest.mark.parametrize("conditioning", EVERY, ids=str)
def test_masked_frames_have_no_influence(conditioning):
    net, masked = small(conditioning), torch.tensor([[True, False]])
    one, two = condition(past=masked).past.clone(), condition(past=masked).past.clone()
    one[:, 1], two[:, 1] = 7, torch.nan
    future = torch.ones(1, 1, 1, 8, 12)
    answers = [answer(net, Condition(past, future, masked, torch.tensor([[True]]))) for past in (one, two)]
    assert torch.equal(*answers)


@pytest.mark.parametrize("conditioning", EVERY, ids=str)
def test_visible_frames_have_influence(conditioning):
    net = small(conditioning)
    assert not torch.equal(answer(net, condition()), answer(net, condition(past_value=-0.5)))
    assert not torch.equal(answer(net, condition()), answer(net, condition(future_value=-0.5)))


@pytest.mark.parametrize("conditioning", EVERY, ids=str)
def test_absent_differs_from_mid_grey_exactly_when_the_mask_is_told(conditioning):
    net = small(conditioning)
    absent = condition(future=torch.tensor([[False]]))
    assert torch.equal(answer(net, absent), answer(net, condition(future_value=0.0))) != conditioning.tell_mask


def test_a_block_without_context_can_concatenate_nothing():
    block = FrameBlock(past=0, current=2)
    nothing = torch.zeros(3, 0, 1, 8, 12)
    assert answer(small(Concat(), block), Condition.visible(nothing, nothing)).shape == (3, 2, 1, 8, 12)


def test_spatin_without_context_is_refused():
    with pytest.raises(ValueError, match="Concat"):
        small(SPATIN(8), FrameBlock(past=0, current=2))


def test_spatin_maps_have_the_resolution_of_their_level():
    net = small(SPATIN(8))
    context, keep = torch.randn(2, 3, 1, 8, 12), torch.ones(2, 3, dtype=torch.bool)
    cached = net.encode_condition(Context(context, keep), cache=True).cached
    down = net.down[0].downsample
    assert {each.shape for each in cached[down.norm0]} == {(2, 8, 8, 12)}
    assert {each.shape for each in cached[down.norm1]} == {(2, 8, 4, 6)}
    assert {each.shape for each in cached[net.middle.block0.norm0]} == {(2, 16, 4, 6)}
    assert {each.shape for each in cached[net.up[1].upsample.norm1]} == {(2, 16, 8, 12)}
    assert {each.shape for each in cached[net.final_norm]} == {(2, 8, 8, 12)}


def test_spatin_without_learnt_weights_changes_nothing():
    norm = SPATIN(4).norm(num_planes=3, channels=8, level=0)
    for parameter in norm.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    normed = torch.nn.functional.group_norm(x, 2, eps=1e-6)
    torch.testing.assert_close(norm(x, norm.maps(torch.ones(1, 3, 4, 4))), normed)


def test_spatin_scales_and_shifts_the_normalised_value():
    norm = SPATIN(4).norm(num_planes=3, channels=8, level=1)
    generator = torch.Generator().manual_seed(0)
    x, maps = torch.randn(2, 8, 4, 4, generator=generator), torch.randn(2, 16, 4, 4, generator=generator)
    scale, shift = torch.randn(2, 2, 8, 1, 1, generator=generator)
    normed = torch.nn.functional.group_norm(x, 2, eps=1e-6)
    expected = (normed * maps[:, :8] + maps[:, 8:]) * scale + shift
    torch.testing.assert_close(norm(x, maps.chunk(2, dim=1), scale[..., 0, 0], shift[..., 0, 0]), expected)
