"""Training on context of the model's own making."""

from dataclasses import replace

import pytest
import torch

import mcvd
from mcvd.diffusion.self_context import SAMPLER, moved_on, rows_chosen, with_own_context
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
    made = with_own_context(denoiser, BLOCK, clips, [1, 3], 5, [10, 11, 12, 13])
    assert torch.equal(made[[0, 2]], clips[[0, 2]])
    assert torch.equal(made[[1, 3], 2:5], clips[[1, 3], 4:7])  # true frames follow
    assert made[[1, 3], 5:].eq(0).all()
    assert denoiser.training and all(each.training for each in denoiser.modules())
    # The past is what the sampler makes after the first two frames, without a look at those that come later.
    blind = clips.clone()
    blind[:, 2:] = 0
    again = with_own_context(denoiser, BLOCK, blind, [1, 3], 5, [10, 11, 12, 13])
    torch.testing.assert_close(again[[1, 3], :2], made[[1, 3], :2])
    assert (made[[1, 3], :2] - clips[[1, 3], 2:4]).abs().mean() > 0.05
    alone = with_own_context(denoiser, BLOCK, clips[3:], [0], 5, [13])  # whatever batch a clip lands in
    torch.testing.assert_close(alone[0], made[3])
    other = with_own_context(denoiser, BLOCK, clips[3:], [0], 6, [13])
    assert not torch.equal(other[0, :2], made[3, :2])


def test_the_frames_made_are_those_of_a_prediction(clips):
    """What is sampled from the same noise by the sampler itself."""
    denoiser = small_model().denoiser.eval()
    made = with_own_context(denoiser, BLOCK, clips[:1], [0], 5, [10])
    (start,) = TrainingNoise(keyed_seed(5, 7), clips.device)([10], (3, 1, 8, 8)).normal
    bound = denoiser.bind(mcvd.Condition.visible(clips[:1, :2], clips[:1, 5:]).null(past=False))
    with torch.no_grad():
        expected = bound.to_frames(SAMPLER(bound, start, denoiser.schedule))
    torch.testing.assert_close(made[:, :2], expected[:, :2].clamp(-1, 1), rtol=1e-3, atol=1e-3)


def test_about_as_many_clips_are_chosen_as_asked_and_the_same_ones_each_time():
    chosen = rows_chosen(0.25, 3, range(2000))
    assert 400 < len(chosen) < 600
    assert rows_chosen(0.25, 3, range(2000)) == chosen != rows_chosen(0.25, 4, range(2000))
    assert rows_chosen(0.0, 3, range(100)) == [] and len(rows_chosen(1.0, 3, range(100))) == 100


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


def test_the_condition_of_such_clips_shows_their_past_alone():
    video = torch.randint(0, 256, (8, 7, 1, 8, 8), dtype=torch.uint8)
    masking = mcvd.Masking(p_past=1.0, p_future=0.0)
    model = small_model(self_context=0.5, masking=masking)
    drawn = model.draw({"video": video, "index": list(range(8))})
    rows = rows_chosen(0.5, model.seed, range(8))
    assert 0 < len(rows) < 8
    is_chosen = torch.tensor([row in rows for row in range(8)])
    assert torch.equal(drawn.condition.keep_past, is_chosen[:, None].expand(8, 2))
    assert torch.equal(drawn.condition.keep_future, ~is_chosen[:, None].expand(8, 2))
    frames = model.codec.encode(video)
    assert torch.equal(drawn.current[rows], frames[rows, 4:7])
    others = [row for row in range(8) if row not in rows]
    assert torch.equal(drawn.current[others], frames[others, 2:5])


def test_weights_of_numbers_move_with_their_frames():
    moved = moved_on(torch.arange(10.0).view(2, 5, 1, 1, 1), [1], 2)
    assert moved.flatten().tolist() == [0, 1, 2, 3, 4, 7, 8, 9, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"self_context": 1.5}, "probability"),
        ({"self_context": 0.1, "block": replace(BLOCK, future=1)}, "two blocks"),
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
