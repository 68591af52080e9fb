"""Training on context of the model's own making."""

from dataclasses import replace

import pytest
import torch

import mcvd
from mcvd.diffusion.self_context import SAMPLER, Rows, moved, rows_chosen, with_own_context
from mcvd.runtime.rng import TrainingNoise, keyed_seed

BLOCK = mcvd.FrameBlock(2, 3, 2)


def small_model(**options):
    net = lambda block, channels: mcvd.nets.UNet(  # noqa: E731
        block, channels, width=8, multipliers=(1, 2), attention_levels=(1,), dropout=0.5
    )
    torch.manual_seed(0)
    arguments = {"size": (8, 8), "channels": 1, "reference": "context", "predicts": "edm", **options}
    model = mcvd.MCVD(arguments.pop("block", BLOCK), net, **arguments)
    for weight in model.parameters():  # a network whose last layer is 0 would be too simple
        torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.fixture
def clips():
    return torch.rand(4, 7, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_chosen_clips_go_on_after_what_the_model_makes_of_their_first_frames(clips):
    denoiser = small_model().denoiser.train()
    made = with_own_context(denoiser, BLOCK, clips, Rows([1, 3]), 5, [10, 11, 12, 13])
    assert torch.equal(made[[0, 2]], clips[[0, 2]])
    assert torch.equal(made[[1, 3], 2:5], clips[[1, 3], 4:7])  # true frames follow
    assert made[[1, 3], 5:].eq(0).all()
    assert denoiser.training and all(each.training for each in denoiser.modules())
    # The past is what the sampler makes after the first two frames, without a look at those that come later.
    blind = clips.clone()
    blind[:, 2:] = 0
    again = with_own_context(denoiser, BLOCK, blind, Rows([1, 3]), 5, [10, 11, 12, 13])
    torch.testing.assert_close(again[[1, 3], :2], made[[1, 3], :2])
    assert (made[[1, 3], :2] - clips[[1, 3], 2:4]).abs().mean() > 0.05
    alone = with_own_context(denoiser, BLOCK, clips[3:], Rows([0]), 5, [13])  # whatever batch a clip lands in
    torch.testing.assert_close(alone[0], made[3])
    other = with_own_context(denoiser, BLOCK, clips[3:], Rows([0]), 6, [13])
    assert not torch.equal(other[0, :2], made[3, :2])


def test_others_lead_to_what_it_makes_of_their_last_frames(clips):
    denoiser = small_model().denoiser.eval()
    made = with_own_context(denoiser, BLOCK, clips, Rows(back=[2]), 5, [10, 11, 12, 13])
    assert torch.equal(made[[0, 1, 3]], clips[[0, 1, 3]])
    assert torch.equal(made[2, 2:5], clips[2, :3]) and made[2, :2].eq(0).all()
    blind = clips.clone()
    blind[:, :5] = 0
    again = with_own_context(denoiser, BLOCK, blind, Rows(back=[2]), 5, [10, 11, 12, 13])
    torch.testing.assert_close(again[2, 5:], made[2, 5:])
    assert (made[2, 5:] - clips[2, 3:5]).abs().mean() > 0.05


@pytest.mark.parametrize("back", [False, True])
def test_the_frames_made_are_those_of_a_prediction(clips, back):
    """What is sampled from the same noise by the sampler itself."""
    denoiser = small_model().denoiser.eval()
    made = with_own_context(denoiser, BLOCK, clips[:1], Rows(back=[0]) if back else Rows([0]), 5, [10])
    (start,) = TrainingNoise(keyed_seed(5, 7), clips.device)([10], (3, 1, 8, 8)).normal
    bound = denoiser.bind(mcvd.Condition.visible(clips[:1, :2], clips[:1, 5:]).null(past=back, future=not back))
    with torch.no_grad():
        expected = bound.to_frames(SAMPLER(bound, start, denoiser.schedule)).clamp(-1, 1)
    found, expected = (made[:, 5:], expected[:, 1:]) if back else (made[:, :2], expected[:, :2])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_about_as_many_clips_are_chosen_as_asked_and_the_same_ones_each_time():
    chosen = rows_chosen(0.4, BLOCK, 3, range(2000))
    assert 320 < len(chosen.ahead) < 480 and 320 < len(chosen.back) < 480
    assert not {*chosen.ahead} & {*chosen.back}
    assert rows_chosen(0.4, BLOCK, 3, range(2000)) == chosen != rows_chosen(0.4, BLOCK, 4, range(2000))
    assert rows_chosen(0.0, BLOCK, 3, range(100)) == Rows([], [])
    one_way = rows_chosen(1.0, mcvd.FrameBlock(1, 3, 2), 3, range(100))
    assert one_way == Rows([*range(100)], [])
    assert rows_chosen(1.0, mcvd.FrameBlock(2, 3, 1), 3, range(100)) == Rows([], [*range(100)])


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


def test_the_condition_of_such_clips_shows_what_the_model_made_alone():
    video = torch.randint(0, 256, (16, 7, 1, 8, 8), dtype=torch.uint8)
    model = small_model(self_context=0.7, masking=mcvd.Masking(p_past=1.0, p_future=1.0)).train()
    drawn = model.draw({"video": video, "index": list(range(16))})
    rows = rows_chosen(0.7, BLOCK, model.seed, range(16))
    others = [row for row in range(16) if row not in {*rows.ahead, *rows.back}]
    assert rows.ahead and rows.back and others
    keep = torch.stack([drawn.condition.keep_past, drawn.condition.keep_future], 1)
    for chosen, expected in ((rows.ahead, (True, False)), (rows.back, (False, True)), (others, (False, False))):
        assert torch.equal(keep[chosen], torch.tensor(expected)[None, :, None].expand(len(chosen), 2, 2))
    frames = model.codec.encode(video)
    assert torch.equal(drawn.current[rows.ahead], frames[rows.ahead, 4:7])
    assert torch.equal(drawn.current[rows.back], frames[rows.back, :3])
    assert torch.equal(drawn.current[others], frames[others, 2:5])


def test_a_held_out_loss_is_that_of_true_context():
    video = torch.randint(0, 256, (4, 7, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    batch = {"video": video, "index": [0, 1, 2, 3]}
    losses = [small_model(self_context=share).eval().loss(batch) for share in (0.0, 1.0)]
    assert torch.equal(*losses)


def test_weights_of_numbers_move_with_their_frames():
    found = moved(torch.arange(15.0).view(3, 5, 1, 1, 1), Rows([1], [2]), mcvd.FrameBlock(2, 1, 2)).flatten(1).tolist()
    assert found == [[0, 1, 2, 3, 4], [7, 8, 9, 0, 0], [0, 0, 10, 11, 12]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"self_context": 1.5}, "probability"),
        ({"self_context": 0.1, "block": replace(BLOCK, future=0)}, "two blocks"),
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
