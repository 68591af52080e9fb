"""The space-time U-Net: who sees whom, what is computed once, a noise level for each frame."""

import pytest
import torch

from mcvd.frames import FrameBlock
from mcvd.nets import SPATIN, Concat, Context, SpaceTimeUNet
from mcvd.nets.time_attention import FrameView, TimeAttention

BLOCK = FrameBlock(past=2, current=3, future=1)
CONDITIONINGS = [Concat(), SPATIN(8)]


def small(block=BLOCK, **options):
    torch.manual_seed(0)
    shape = {"width": 8, "multipliers": (1, 2), "num_blocks": 1, "attention_levels": (1,), "head_channels": 8}
    net = SpaceTimeUNet(block, **shape | options)
    for parameter in net.parameters():  # the last layers of a new network say nothing
        torch.nn.init.normal_(parameter, std=0.1)
    return net.double().eval()


def inputs(num_conditions=2, num_samples=1, size=8):
    generator = torch.Generator().manual_seed(1)
    options = {"generator": generator, "dtype": torch.float64}
    context = torch.randn(num_conditions, 3, 3, size, size, **options)
    keep = torch.tensor([[True, True, False]]).expand(num_conditions, -1)
    batch = num_conditions * num_samples
    return context * keep[..., None, None, None], keep, torch.randn(batch, 3, 3, size, size, **options)


def run(net, context, keep, noisy, label, cache=False, modulation=None, **told):
    return net(noisy, label, net.encode_condition(Context(context, keep, **told), cache, modulation))


def labels(batch, spread=0.0):
    return torch.linspace(100, 900, batch, dtype=torch.float64)[:, None] + spread * torch.arange(3)


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_what_is_kept_changes_nothing(conditioning):
    net, (context, keep, noisy) = small(conditioning=conditioning), inputs()
    kept = run(net, context, keep, noisy, labels(2, 30), cache=True)
    torch.testing.assert_close(kept, run(net, context, keep, noisy, labels(2, 30)), atol=1e-12, rtol=0)


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_samples_of_a_condition_are_as_if_alone(conditioning):
    net, (context, keep, noisy) = small(conditioning=conditioning), inputs(num_samples=3)
    keep = keep.clone()
    keep[1] = False
    label = labels(6, 30)
    together = run(net, context, keep, noisy, label, cache=True)
    for i in range(6):
        of = slice(i // 3, i // 3 + 1)
        alone = run(net, context[of], keep[of], noisy[i : i + 1], label[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-12, rtol=0)


def test_one_label_for_all_frames_is_the_same_label_for_each():
    net, (context, keep, noisy) = small(), inputs()
    each, one = labels(2), labels(2)[:, 0]
    torch.testing.assert_close(run(net, context, keep, noisy, one), run(net, context, keep, noisy, each))
    same = torch.tensor([500.0]).expand(2)  # as a sampler gives it
    torch.testing.assert_close(run(net, context, keep, noisy, same), run(net, context, keep, noisy, same.contiguous()))


def test_times_known_beforehand_are_told_as_others_are():
    net, (context, keep, noisy) = small(), inputs()
    modulation = net.modulation(labels(2, 30).flatten().float())
    known = run(net, context, keep, noisy, labels(2, 30), cache=True, modulation=modulation)
    torch.testing.assert_close(known, run(net, context, keep, noisy, labels(2, 30)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_hidden_frames_have_no_influence_and_shown_ones_have(conditioning):
    net, (context, keep, noisy) = small(conditioning=conditioning), inputs()
    hidden = context.clone()
    encoded = net.encode_condition(Context(context, keep), False)
    hidden[:, 2] = 5.0  # what `mcvd.Condition` would have zeroed reaches no other frame through attention
    seen = net.encode_condition(Context(hidden, keep), False).seen
    layer = net.middle.attention.time
    view = encoded.biases[layer]
    assert view[..., 2].isneginf().all()
    assert view[..., [0, 1, 3, 4, 5]].isfinite().all()
    first = net.down[0].attentions[0].time
    for before, after in zip(encoded.seen[first], seen[first], strict=True):
        assert conditioning == SPATIN(8) or torch.equal(before[..., :2, :], after[..., :2, :])
    shown = context.clone()
    shown[:, 0] += 1
    assert not torch.allclose(run(net, shown, keep, noisy, labels(2)), run(net, context, keep, noisy, labels(2)))


def test_nothing_given_is_finite():
    net, (context, keep, noisy) = small(), inputs()
    out = run(net, torch.zeros_like(context), torch.zeros_like(keep), noisy, labels(2))
    assert out.isfinite().all()


def test_frames_see_each_other_unless_they_are_pictures():
    net, (context, keep, noisy) = small(), inputs()
    alone, other = torch.tensor([False, True]), noisy.clone()
    other[:, 2] += 1
    before, after = (run(net, context, keep, each, labels(2), alone=alone) for each in (noisy, other))
    changed = (before - after).abs().flatten(2).amax(2) > 1e-12
    assert changed.tolist() == [[True, True, True], [False, False, True]]


def test_only_distances_in_time_count_for_attention():
    net = TimeAttention(8, 8, level=0).double()
    torch.nn.init.normal_(net.far1.weight)
    looks = torch.ones(1, 3, 3, dtype=torch.bool)
    times = torch.tensor([[0.0, 1.0, 5.0]], dtype=torch.float64)
    bias = net.bias(FrameView(times[:, None] - times[..., None], looks))
    moved = net.bias(FrameView((times + 7)[:, None] - (times + 7)[..., None], looks))
    torch.testing.assert_close(bias, moved)
    assert not torch.allclose(bias[..., 0, 1], bias[..., 0, 2])


def test_the_place_in_time_is_told():
    net, (context, keep, noisy) = small(), inputs()
    usual = torch.arange(-2.0, 4.0)[None].double()
    plain = run(net, context, keep, noisy, labels(2))
    torch.testing.assert_close(plain, run(net, context, keep, noisy, labels(2), times=usual))
    assert not torch.allclose(plain, run(net, context, keep, noisy, labels(2), times=2 * usual))


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_gradients_flow_to_all_parameters(conditioning):
    net, (context, keep, noisy) = small(conditioning=conditioning, dropout=0.1).train(), inputs()
    run(net, context, keep, noisy, labels(2), noise_level=torch.tensor([0.1, 0.2])).square().mean().backward()
    assert [name for name, each in net.named_parameters() if each.grad is None or not each.grad.any()] == []


def test_gradient_checkpointing_changes_no_gradient():
    gradients = []
    for again in (False, True):
        net, (context, keep, noisy) = small(gradient_checkpointing=again).train(), inputs()
        run(net, context, keep, noisy, labels(2, 30)).square().mean().backward()
        gradients.append([each.grad for each in net.parameters()])
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("conditioning", CONDITIONINGS, ids=str)
def test_kept_bytes_are_those_that_are_kept(conditioning):
    net, (context, keep, _) = small(conditioning=conditioning).float(), inputs(num_conditions=1)
    with torch.inference_mode():
        encoded = net.encode_condition(Context(context.float(), keep), cache=True)
    condition = encoded.condition
    kept = [each for maps in condition.cached.values() if maps is not None for each in maps]
    kept += [each for pair in encoded.seen.values() for each in pair]
    kept += [] if condition.first is None else [condition.first]
    assert sum(each.untyped_storage().nbytes() for each in kept) == net.cache_bytes(8, 8)


def test_a_block_without_context_needs_none():
    net = small(block=FrameBlock(past=0, current=3))
    _, _, noisy = inputs()
    assert run(net, noisy[:, :0], torch.ones(2, 0, dtype=torch.bool), noisy, labels(2)).shape == noisy.shape


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"time_levels": [2]}, "time_levels must lie in 0 ... 1"),
        ({"head_channels": 5}, "heads of 5"),
        ({"conditioning": Concat(tell_motion=True)}, "tell_motion"),
    ],
)
def test_what_cannot_be_built_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        small(**wrong)


def test_what_does_not_fit_is_told():
    net, (context, keep, noisy) = small(), inputs()
    with pytest.raises(ValueError, match="one for each frame"):
        run(net, context, keep, noisy, labels(2)[:, :2])
    with pytest.raises(ValueError, match=r"times must be \(2, 6\)"):
        run(net, context, keep, noisy, labels(2), times=torch.zeros(2, 5))
    with pytest.raises(ValueError, match="claim_past_visible"):
        net.encode_condition(Context(context, keep, claim_past_visible=True), True)
