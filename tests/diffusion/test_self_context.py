"""Training on context of the model's own making."""

from math import log

import pytest
import torch

import mcvd
from mcvd.diffusion.self_context import (
    NOISES,
    OwnContext,
    at_true_scale,
    drawn,
    max_depth,
    moved,
    ways_of,
    with_own_context,
)
from mcvd.runtime.rng import TrainingNoise, keyed_seed
from mcvd.samplers import DDIM
from mcvd.samplers.spacing import AbstractSpacing, time_from_log_snr

BLOCK = mcvd.FrameBlock(2, 3, 2)


def small_model(**options):
    net = lambda block, channels: mcvd.nets.UNet(  # noqa: E731
        block, channels, width=8, multipliers=(1, 2), attention_levels=(1,), dropout=0.5
    )
    torch.manual_seed(0)
    arguments = {"size": (8, 8), "channels": 1, "reference": "context", "predicts": "edm", **options}
    arguments.setdefault("masking", mcvd.Masking(p_past=0.5, p_future=0.5))
    model = mcvd.MCVD(arguments.pop("block", BLOCK), net, **arguments)
    for weight in model.parameters():  # a network whose last layer is 0 would be too simple
        torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.fixture
def clips():
    return torch.rand(4, 7, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


def ahead(*rows, depth=1, call=0):
    return [OwnContext(row, back=False, depth=depth, call=call) for row in rows]


def test_chosen_clips_go_on_after_what_the_model_makes_of_the_frames_before(clips):
    denoiser = small_model().denoiser.train()
    made = with_own_context(denoiser, BLOCK, clips, ahead(1, 3), 5, [10, 11, 12, 13])
    assert torch.equal(made[[0, 2]], clips[[0, 2]])
    assert torch.equal(made[[1, 3], 2:5], clips[[1, 3], 4:7])  # true frames follow
    assert made[[1, 3], 5:].eq(0).all()
    assert denoiser.training and all(each.training for each in denoiser.modules())
    assert (made[[1, 3], :2] - clips[[1, 3], 2:4]).abs().mean() > 0.05
    unseen = clips.clone()
    unseen[:, 5:] = 0  # after the block that is made
    again = with_own_context(denoiser, BLOCK, unseen, ahead(1, 3), 5, [10, 11, 12, 13])
    torch.testing.assert_close(again[[1, 3], :2], made[[1, 3], :2])
    alone = with_own_context(denoiser, BLOCK, clips[3:], ahead(0), 5, [13])  # whatever batch a clip lands in
    torch.testing.assert_close(alone[0], made[3])
    other = with_own_context(denoiser, BLOCK, clips[3:], ahead(0), 6, [13])
    assert not torch.equal(other[0, :2], made[3, :2])


def test_others_lead_to_what_it_makes_of_the_frames_after(clips):
    denoiser = small_model().denoiser.eval()
    made = with_own_context(denoiser, BLOCK, clips, [OwnContext(2, True, 1)], 5, [10, 11, 12, 13])
    assert torch.equal(made[[0, 1, 3]], clips[[0, 1, 3]])
    assert torch.equal(made[2, 2:5], clips[2, :3]) and made[2, :2].eq(0).all()
    assert (made[2, 5:] - clips[2, 3:5]).abs().mean() > 0.05
    unseen = clips.clone()
    unseen[:, :2] = 0
    again = with_own_context(denoiser, BLOCK, unseen, [OwnContext(2, True, 1)], 5, [10, 11, 12, 13])
    torch.testing.assert_close(again[2, 5:], made[2, 5:])


def test_the_later_the_model_is_asked_the_nearer_are_its_frames_to_the_true_ones(clips):
    denoiser = small_model().denoiser.eval()
    own = [OwnContext(row, back=False, depth=1, call=row) for row in range(4)]
    made = with_own_context(denoiser, BLOCK, clips[:1].repeat(4, 1, 1, 1, 1), own, 5, [10] * 4)
    error = (made[:, :2] - clips[0, 2:4]).square().flatten(1).mean(1)
    assert len(own) == len(NOISES) and error.diff().lt(0).all() and error[-1] > 0


class AtNoises(AbstractSpacing):
    def __call__(self, num_steps, schedule):
        assert num_steps == len(NOISES)
        times = [time_from_log_snr(torch.tensor(-2 * log(noise)).double(), schedule) for noise in NOISES]
        return torch.stack([*times, torch.zeros((), dtype=torch.float64)])


@pytest.mark.parametrize("back", [False, True])
def test_the_frames_made_are_those_of_ddim_from_the_noised_truth_block_after_block(back):
    block = mcvd.FrameBlock(1, 3, 1)
    denoiser = small_model(block=block).denoiser.eval()
    clips = torch.rand(1, 5, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    made = with_own_context(denoiser, block, clips, [OwnContext(0, back, 2)], 5, [10])
    context = clips[:, -1:] if back else clips[:, :1]
    sampler = DDIM(len(NOISES), clip=False, spacing=AtNoises())
    at = denoiser.schedule(AtNoises()(len(NOISES), denoiser.schedule)[0])
    for step, true in ((1, clips[:, 1:4]), (2, clips[:, :3] if back else clips[:, 2:])):
        (noise,) = TrainingNoise(keyed_seed(5, 7, step), clips.device)([10], (3, 1, 8, 8)).normal
        sides = (torch.zeros_like(context), context) if back else (context, torch.zeros_like(context))
        bound = denoiser.bind(mcvd.Condition.visible(*sides).null(past=back, future=not back))
        with torch.no_grad():
            start = at.alpha * bound.from_frames(true) + at.sigma * noise
            frames = bound.to_frames(sampler(bound, start, denoiser.schedule)).clamp(-1, 1)
        context = frames[:, -1:] if back else frames[:, :1]
    torch.testing.assert_close(made[:, -1:] if back else made[:, :1], context, rtol=1e-3, atol=1e-3)
    known, expected = (made[:, 2:4], clips[:, :2]) if back else (made[:, 1:3], clips[:, 3:])
    assert torch.equal(known, expected)  # what lies two frames further on


def test_blocks_follow_each_other_as_long_as_half_of_the_frames_after_them_are_known():
    depths = {
        (2, 5, 2): (2, 2),
        (2, 3, 2): (1, 1),
        (2, 5, 0): (1, 0),
        (1, 3, 2): (3, 1),
        (1, 5, 1): (2, 2),
        (0, 3, 0): (0, 0),
    }
    for frames, (ahead_of, back_of) in depths.items():
        block = mcvd.FrameBlock(*frames)
        assert (max_depth(block, back=False), max_depth(block, back=True)) == (ahead_of, back_of)
    assert max_depth(mcvd.FrameBlock(4, 3, 4), back=False) == 0  # a block is shorter than its context


def test_about_as_many_clips_are_chosen_as_asked_and_the_same_ones_each_time():
    ways = ways_of(mcvd.FrameBlock(2, 5, 2), mcvd.Masking(0.5, 0.5))
    own = drawn(0.4, ways, 3, range(2000))
    kinds = [sum(each.back == back and each.depth == depth for each in own) for back in (0, 1) for depth in (1, 2)]
    assert all(150 < number < 250 for number in kinds) and sum(kinds) == len(own)
    assert all(150 < sum(each.call == call for each in own) < 250 for call in range(len(NOISES)))
    assert drawn(0.4, ways, 3, range(2000)) == own != drawn(0.4, ways, 4, range(2000))
    assert drawn(0.0, ways, 3, range(100)) == [] and len(drawn(1.0, ways, 3, range(100))) == 100
    assert not any(each.back for each in drawn(1.0, ways[:1], 3, range(100)))
    pictures = [True, False] * 50
    assert [each.row for each in drawn(1.0, ways, 3, range(100), pictures)] == [*range(1, 100, 2)]


@pytest.mark.parametrize(
    ("block", "masks", "expected"),
    [
        ((2, 5, 2), (0.5, 0.5), [(False, 2), (True, 2)]),
        ((2, 5, 2), (0.0, 0.5), [(False, 2)]),  # never a future without its past
        ((2, 5, 2), (0.5, 0.0), [(True, 2)]),
        ((2, 5, 2), (0.0, 0.0), []),  # which interpolates alone
        ((2, 5, 2), (1.0, 1.0), []),  # which is never given a frame
        ((2, 5, 0), (0.0, 0.0), [(False, 1)]),
        ((2, 5, 0), (1.0, 0.0), []),
        ((0, 5, 2), (0.0, 0.0), [(True, 1)]),
    ],
)
def test_a_side_is_shown_alone_as_the_masks_show_it(block, masks, expected):
    assert ways_of(mcvd.FrameBlock(*block), mcvd.Masking(*masks)) == expected
    assert not ways_of(mcvd.FrameBlock(2, 5, 2), mcvd.Masking(0.5, 0.5, tied=True))


def test_pictures_that_have_nothing_to_do_with_each_other_get_no_context_and_count_in_full():
    net = lambda block, channels: mcvd.nets.SpaceTimeUNet(  # noqa: E731
        block, channels, width=8, multipliers=(1, 2), attention_levels=(1,), head_channels=8
    )
    options = {"size": (8, 8), "channels": 1, "reference": "context", "masking": mcvd.Masking(0.5, 0.5)}
    model = mcvd.MCVD(BLOCK, net, self_context=1.0, **options).train()
    video = torch.randint(0, 256, (4, 7, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    pictures = torch.tensor([True, False, True, False])
    found = model.draw({"video": video, "index": [0, 1, 2, 3], "unrelated": pictures})
    assert found.weight[pictures].eq(1).all() and not found.condition.keep[pictures].any()
    assert torch.equal(found.current[pictures], model.codec.encode(video)[pictures, 2:5])
    assert found.condition.keep[~pictures].any(1).all()


@pytest.mark.parametrize("autocast", [False, True])
def test_a_step_learns_from_such_clips_as_much_as_from_others(autocast):
    """In bf16 too, where weights that were cast for the sampling must not be taken for the loss."""
    video = torch.randint(0, 256, (4, 7, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    model = small_model(self_context=1.0).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model.loss({"video": video, "index": [0, 1, 2, 3]}).mean()
    loss.backward()
    without = [name for name, each in model.denoiser.named_parameters() if each.grad is None or not each.grad.any()]
    plain = small_model().train()
    plain.loss({"video": video, "index": [0, 1, 2, 3]}).mean().backward()
    expected = [name for name, each in plain.denoiser.named_parameters() if each.grad is None or not each.grad.any()]
    assert without == expected


def test_errors_after_a_context_that_stands_still_count_as_after_the_true_one(clips):
    denoiser = small_model().denoiser
    made = moved(clips, ahead(0, 2), BLOCK)
    assert at_true_scale(denoiser, BLOCK, clips, made, ahead(0, 2)).eq(1).all()
    made[2, 0] = made[2, 1]
    weight = at_true_scale(denoiser, BLOCK, clips, made, ahead(0, 2))
    assert weight[0].eq(1).all() and weight[1].lt(0.05).all() and weight[1].gt(0).all()
    # an error of a grey level weighs the same after both contexts
    true = moved(clips, ahead(2), BLOCK)
    shown = [mcvd.Condition.visible(video[2:3, :2], video[2:3, 5:]).null(past=False) for video in (true, made)]
    of_true, of_made = (denoiser.reference(each).scale.square() for each in shown)
    torch.testing.assert_close(weight[1:] / of_made, 1 / of_true)
    made[2, 0] = 1 - 2 * (made[2, 1] > 0)  # and moves more than the film
    assert at_true_scale(denoiser, BLOCK, clips, made, ahead(2)).le(1).all()
    assert at_true_scale(
        small_model(reference="frames").denoiser, BLOCK, clips, made, ahead(0, 2)
    ).flatten().tolist() == [1, 1]


def test_the_condition_of_such_clips_shows_what_the_model_made_alone():
    video = torch.randint(0, 256, (16, 9, 1, 8, 8), dtype=torch.uint8)
    block = mcvd.FrameBlock(2, 5, 2)
    model = small_model(self_context=0.7, masking=mcvd.Masking(0.999, 0.999), block=block).train()
    found = model.draw({"video": video, "index": list(range(16))})
    own = drawn(0.7, ways_of(block, model.masking), model.seed, range(16))
    frames = model.codec.encode(video)
    assert {each.back for each in own} == {False, True} and {each.depth for each in own} == {1, 2} and len(own) < 16
    made = with_own_context(model.denoiser, block, frames, own, model.seed, range(16))
    for each in own:
        shown = (found.condition.future, made[:, -2:]) if each.back else (found.condition.past, made[:, :2])
        torch.testing.assert_close(*(side[each.row] for side in shown))  # though the masks hide both sides
        assert found.condition.keep_past[each.row].eq(not each.back).all()
        assert found.condition.keep_future[each.row].eq(each.back).all()
        known = found.weight[each.row, :, 0, 0, 0] > 0
        expected = [1, 1, 1, 1, 1] if each.depth == 1 else [0, 0, 1, 1, 1] if each.back else [1, 1, 1, 0, 0]
        assert known.tolist() == expected
        true = frames[each.row, : known.sum().int()] if each.back else frames[each.row, -known.sum().int() :]
        assert torch.equal(found.current[each.row, known.bool()], true)
    others = [row for row in range(16) if row not in {each.row for each in own}]
    assert not found.condition.keep[others].any() and found.weight[others].eq(1).all()
    assert torch.equal(found.current[others], frames[others, 2:7])


def test_a_held_out_loss_is_that_of_true_context():
    video = torch.randint(0, 256, (4, 7, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    batch = {"video": video, "index": [0, 1, 2, 3]}
    losses = [small_model(self_context=share).eval().loss(batch) for share in (0.0, 1.0)]
    assert torch.equal(*losses)


def test_frames_move_by_as_many_contexts_as_blocks_were_made():
    own = [OwnContext(1, False, 1), OwnContext(2, True, 2)]
    found = moved(torch.arange(15.0).view(3, 5, 1, 1, 1), own, mcvd.FrameBlock(2, 2, 1)).flatten(1).tolist()
    assert found == [[0, 1, 2, 3, 4], [7, 8, 9, 0, 0], [0, 0, 10, 11, 12]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"self_context": 1.5}, "probability"),
        ({"self_context": 0.1, "block": mcvd.FrameBlock(2, 2, 0)}, "two blocks"),
        ({"self_context": 0.1, "masking": mcvd.Masking()}, r"Masking\(.* never does: leave it out"),
        ({"self_context": 0.1, "diffuses_context": True, "reference": "frames"}, "without diffuses_context"),
    ],
)
def test_what_does_not_go_together_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small_model(**options)


def test_weights_that_are_shared_out_are_refused():
    """Processes with such clips and those without would wait for each other."""
    model = small_model(self_context=0.1)
    model._device_mesh = object()
    with pytest.raises(ValueError, match="ddp"):
        model.configure_model()
