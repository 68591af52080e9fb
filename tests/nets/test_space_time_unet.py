"""The space-time U-Net: who sees whom, what is computed once, a noise level for each frame."""

import pytest
import torch
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from mcvd.frames import FrameBlock
from mcvd.nets import SPATIN, Concat, Context, SpaceTimeUNet
from mcvd.nets.frame_planes import frame_planes, num_frame_planes
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
    kept += [] if encoded.first is None else [encoded.first]
    assert sum(each.untyped_storage().nbytes() for each in kept) == net.cache_bytes(8, 8)


def motion_of(num_conditions=2, size=8):
    """Planes of motion and of smaller frames for a block of 2 | 3 | 1 in colour."""
    generator = torch.Generator().manual_seed(2)
    options = {"generator": generator, "dtype": torch.float64}
    return [torch.randn(num_conditions, planes, size, size, **options) for planes in (11, 10)]


def test_each_frame_is_told_its_own_planes_and_those_of_the_block():
    motion, low = motion_of()
    context, keep, _ = inputs()
    planes = frame_planes(Context(context, keep, motion=motion, low=low), BLOCK, 3)
    told = Concat(tell_motion=True, tell_low=True)
    assert planes.shape == (2, 3, num_frame_planes(BLOCK, 3, told), 8, 8)
    for frame in range(3):
        own = slice(3 * frame, 3 * frame + 3)
        expected = [motion[:, own], motion[:, 9:10], motion[:, 10:], low[:, own], low[:, 9:]]
        assert torch.equal(planes[:, frame], torch.cat(expected, 1))


@pytest.mark.parametrize("kind", [Concat, SPATIN])
@pytest.mark.parametrize("patch", [1, 2])
def test_planes_for_each_frame_are_kept_and_of_their_condition(kind, patch):
    net, (context, keep, noisy) = small(conditioning=kind(tell_motion=True), patch=patch), inputs(num_samples=2)
    motion, label = motion_of()[0], labels(4, 30)
    together = run(net, context, keep, noisy, label, cache=True, motion=motion)
    torch.testing.assert_close(together, run(net, context, keep, noisy, label, motion=motion), atol=1e-12, rtol=0)
    one = slice(1, 2)
    alone = run(net, context[one], keep[one], noisy[3:], label[3:], motion=motion[one])
    torch.testing.assert_close(together[3:], alone, atol=1e-12, rtol=0)
    assert not torch.allclose(together, run(net, context, keep, noisy, label, motion=motion + 1))
    with torch.inference_mode():
        each = Context(context[one].float(), keep[one], motion=motion[one].float())
        encoded = net.float().encode_condition(each, cache=True)
    kept = [each for maps in encoded.condition.cached.values() if maps is not None for each in maps]
    kept += [each for pair in encoded.seen.values() for each in pair] + [encoded.first]
    assert sum(each.untyped_storage().nbytes() for each in kept) == net.cache_bytes(8, 8)
    with pytest.raises(ValueError, match="11 planes of motion"):
        run(net, context, keep, noisy, label)


def test_patches_are_pixels_of_as_many_more_channels():
    told = Concat(tell_mask=False)
    net, (context, keep, noisy) = small(conditioning=told, patch=2), inputs()
    wide = small(conditioning=told, channels=12)
    wide.load_state_dict(net.state_dict())
    made = run(wide, pixel_unshuffle(context, 2), keep, pixel_unshuffle(noisy, 2), labels(2, 30))
    assert torch.equal(run(net, context, keep, noisy, labels(2, 30)), pixel_shuffle(made, 2))
    with pytest.raises(ValueError, match="2 levels and patches of 2: height and width must be divisible by 4"):
        net.check_size(8, 6)


def test_a_block_without_context_needs_none():
    net = small(block=FrameBlock(past=0, current=3))
    _, _, noisy = inputs()
    assert run(net, noisy[:, :0], torch.ones(2, 0, dtype=torch.bool), noisy, labels(2)).shape == noisy.shape


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"time_levels": [2]}, "time_levels must lie in 0 ... 1"),
        ({"head_channels": 5}, "heads of 5"),
        ({"patch": 0}, "patch must be 1 to 16"),
        ({"block": FrameBlock(1, 3), "conditioning": Concat(tell_motion=True)}, "tell_motion needs"),
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
