"""The U-net: shapes, sizes, cached conditions, gradient checkpointing."""

import math

import pytest
import torch

from mcvd.frames import FrameBlock
from mcvd.nets import SPATIN, Concat, Context, UNet
from mcvd.nets.layers import group_norm

BLOCK = FrameBlock(past=2, current=3, future=1)
CONDITIONINGS = [Concat(), SPATIN(8)]


def small(awake=True, block=BLOCK, **options):
    """A small network; `awake` replaces the tiny initial values of its last layers, behind which all would hide."""
    torch.manual_seed(0)
    net = UNet(block, **{"width": 8, "multipliers": (1, 2), "num_blocks": 1, "attention_levels": (1,)} | options)
    for parameter in net.parameters() if awake else ():
        torch.nn.init.normal_(parameter, std=0.1)
    return net.eval()


def inputs(num_conditions=2, num_samples=1, height=8, width=12, channels=3):
    generator = torch.Generator().manual_seed(1)
    context = torch.randn(num_conditions, 3, channels, height, width, generator=generator)
    keep = torch.tensor([[True, True, False]]).expand(num_conditions, -1)
    batch = num_conditions * num_samples
    noisy = torch.randn(batch, 3, channels, height, width, generator=generator)
    return context, keep, noisy, torch.linspace(0, 999, batch)


def run(net, context, keep, noisy, label, cache=False):
    return net(noisy, label, net.encode_condition(Context(context, keep), cache))


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_held_maps_change_nothing(conditioning):
    net = small(conditioning=conditioning)
    torch.testing.assert_close(run(net, *inputs(), cache=True), run(net, *inputs()), atol=1e-6, rtol=0)


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
@pytest.mark.parametrize("option", ["plain", "past_embedding"])
def test_samples_of_a_condition_are_as_if_alone(conditioning, option):
    net = small(conditioning=conditioning, **({} if option == "plain" else {option: True})).double()
    context, keep, noisy, label = inputs(num_conditions=2, num_samples=3)
    context, noisy, keep = context.double(), noisy.double(), keep.clone()
    keep[1] = False
    together = run(net, context, keep, noisy, label, cache=True)
    for i in range(6):
        condition = slice(i // 3, i // 3 + 1)
        alone = run(net, context[condition], keep[condition], noisy[i : i + 1], label[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_gradients_flow_to_all_parameters(conditioning):
    net = small(conditioning=conditioning, past_embedding=True, dropout=0.1).train()
    run(net, *inputs()).square().mean().backward()
    assert [name for name, each in net.named_parameters() if each.grad is None or not each.grad.any()] == []


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_gradients_are_those_of_finite_differences(conditioning):
    net = small(conditioning=conditioning, width=4, attention_levels=()).double()
    context, keep, noisy, label = inputs(num_conditions=1, num_samples=2, height=2, width=2, channels=3)
    arguments = (context.double().requires_grad_(), noisy.double().requires_grad_())
    assert torch.autograd.gradcheck(lambda c, n: run(net, c, keep, n, label.double()), arguments, fast_mode=True)


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_autocast_stays_near_float32_and_keeps_the_dtype_of_the_frames(conditioning):
    net = small(conditioning=conditioning)
    exact = run(net, *inputs())
    with torch.autocast("cpu", torch.bfloat16):
        rough = run(net, *inputs(), cache=True)
    assert rough.dtype == torch.float32
    assert (rough - exact).std() < 0.05 * exact.std()


def test_maps_are_held_in_the_dtype_of_computation():
    net = small(conditioning=SPATIN(8))
    context, keep, *_ = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        cached = net.encode_condition(Context(context, keep), cache=True).cached
    assert {each.dtype for maps in cached.values() for each in maps} == {torch.bfloat16}


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_held_bytes_are_those_that_are_held(conditioning):
    net = small(conditioning=conditioning)
    context, keep, *_ = inputs(num_conditions=1)
    encoded = net.encode_condition(Context(context, keep), cache=True)
    maps = [each for maps in encoded.cached.values() if maps is not None for each in maps]
    first = [] if encoded.first is None else [encoded.first]
    assert sum(each.untyped_storage().nbytes() for each in first + maps) == net.cache_bytes(8, 12)
    assert net.cache_bytes(8, 12, torch.bfloat16) * 2 == net.cache_bytes(8, 12)


def test_training_holds_no_maps():
    context, keep, *_ = inputs()
    assert not small(conditioning=SPATIN(8)).encode_condition(Context(context, keep), cache=False).cached


def test_a_new_network_says_almost_nothing():
    assert run(small(awake=False), *inputs()).abs().max() < 1e-3


def test_frames_of_one_channel_and_a_plain_stack_of_levels():
    net = small(channels=1, multipliers=(1, 1, 2), attention_levels=())
    assert run(net, *inputs(height=4, width=8, channels=1)).shape == (2, 3, 1, 4, 8)


def test_names_say_where_a_weight_is():
    names = small(conditioning=SPATIN(8), multipliers=(1, 2, 2)).state_dict().keys()
    assert {"down.0.blocks.0.conv0.weight", "up.2.upsample.skip.weight", "middle.attention.qkv.bias"} <= names


def test_group_norm_scales_each_sample_by_its_own():
    generator = torch.Generator().manual_seed(0)
    x, scale = torch.randn(3, 24, 4, 5, generator=generator), torch.randn(3, 24, generator=generator)
    expected = torch.nn.functional.group_norm(x, 6, eps=1e-5) * scale[..., None, None] + 2
    torch.testing.assert_close(group_norm(x, 1e-5, scale, torch.full((3, 24), 2.0)), expected)


def test_convolutions_start_with_the_variance_of_their_mean_fan():
    net = UNet(BLOCK, width=64, multipliers=(1, 2), conditioning=SPATIN(64), attention_levels=())
    mean_fan = 9 * (64 + 128) / 2
    assert net.down[1].blocks[0].conv0.weight.std().item() == pytest.approx(math.sqrt(1 / mean_fan), rel=0.02)
    # gamma and beta are two maps stacked: each has its own fan
    assert net.final_norm.gamma_beta.weight.std().item() == pytest.approx(math.sqrt(1 / (9 * 64)), rel=0.02)
    assert net.middle.attention.qkv.weight.std().item() == pytest.approx(math.sqrt(0.1 / 128), rel=0.02)


@pytest.mark.parametrize("conditioning", [Concat(), SPATIN(8)], ids=str)
def test_gradient_checkpointing_keeps_less_and_changes_no_gradient(conditioning):
    kept = []

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[-1][tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    gradients = []
    for again in (False, True):
        net = small(conditioning=conditioning, dropout=0.1, gradient_checkpointing=again).train()
        context, mask, noisy, label = inputs(height=16, width=24)
        torch.manual_seed(1)  # of the dropout
        kept.append({})
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = net(noisy, label, net.encode_condition(Context(context, mask), cache=False)).square().sum()
        loss.backward()
        gradients.append([loss.detach()] + [weight.grad for weight in net.parameters() if weight.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 50
    for plain, computed_again in zip(*gradients, strict=True):
        torch.testing.assert_close(computed_again, plain, rtol=1e-5, atol=1e-6)
    assert sum(kept[1].values()) < 0.4 * sum(kept[0].values())


def test_past_embedding_tells_a_masked_past_and_refuses_a_mixed_one():
    net = small(past_embedding=True, conditioning=Concat(tell_mask=False))
    context, _, noisy, label = inputs(num_conditions=1)
    keep = torch.ones(1, 3, dtype=torch.bool)
    hidden = keep.clone()
    hidden[:, :2] = False
    assert not torch.equal(run(net, context, keep, noisy, label), run(net, context, hidden, noisy, label))
    with pytest.raises(ValueError, match="as a whole"):
        net.encode_condition(Context(context, torch.tensor([[True, False, True]])), cache=True)


def test_a_hidden_past_can_be_claimed_to_be_visible():
    net = small(past_embedding=True, conditioning=Concat(tell_mask=False))
    context, _, noisy, label = inputs(num_conditions=1)
    visible = torch.ones(1, 3, dtype=torch.bool)
    claimed = net.encode_condition(Context(context, ~visible, claim_past_visible=True), cache=True)
    assert torch.equal(net(noisy, label, claimed), run(net, context, visible, noisy, label))
    with pytest.raises(ValueError, match="claim_past_visible"):
        small().encode_condition(Context(context, visible, claim_past_visible=True), cache=True)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"attention_levels": (2,)}, "attention_levels"),
        ({"multipliers": ()}, "multipliers"),
        ({"num_blocks": 0}, "num_blocks"),
        ({"width": 2}, "width"),
        ({"dropout": 1.0}, "dropout"),
        ({"width": 20, "head_channels": 16}, "head_channels"),
        ({"block": FrameBlock(0, 1, 1), "past_embedding": True}, "past_embedding"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused_by_the_name_of_the_argument(options, named):
    with pytest.raises(ValueError, match=named):
        small(**options)


def test_a_size_that_cannot_be_halved_is_refused_with_the_divisor():
    context, keep, *_ = inputs(height=8, width=10)
    net = small(multipliers=(1, 1, 1))
    with pytest.raises(ValueError, match=r"8x10.*divisible by 4"):
        net.encode_condition(Context(context, keep), cache=True)


def test_frames_that_do_not_fit_are_refused_with_both_shapes():
    net = small()
    context, keep, noisy, label = inputs()
    with pytest.raises(ValueError, match=r"context must be \(2, 3, 3.*got \(2, 2"):
        net.encode_condition(Context(context[:, :2], keep[:, :2]), cache=False)
    with pytest.raises(ValueError, match="noisy must be"):
        run(net, context, keep, noisy[:, :1], label)
    with pytest.raises(ValueError, match="multiple of 2"):
        run(net, context, keep, noisy[:1], label[:1])
