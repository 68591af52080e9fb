"""Known frames come out as they are, act in every task, and nothing else depends on how the work is split."""

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.diffusion.plan import plan
from mcvd.frames import FrameBlock
from mcvd.samplers import DDIM

FRAME = pixels(1, 16, 16, seed=9)
QUICK = {"sampler": DDIM(3), "progress": False}


@pytest.fixture(scope="module")
def model():
    return tiny_model(past=2, current=4, future=1)


@pytest.mark.parametrize("known_by", ["motion", "guidance", "replacement"])
def test_a_known_frame_is_part_of_the_video_in_every_task(model, known_by):
    before, after = pixels(2, 3, 1, 16, 16), pixels(2, 2, 1, 16, 16, seed=1)
    each = pixels(2, 1, 16, 16, seed=5)  # one for each video
    options = QUICK | {"known": {1: FRAME, 6: each}, "known_by": known_by}
    videos = [
        model.predict(before, 8, **options),
        model.predict(after, 8, backward=True, **options),
        model.interpolate(before, after, 8, **options),
        model.generate(8, num_samples=2, **options),
    ]
    for video in videos:
        assert video.shape == (2, 8, 1, 16, 16)
        assert (video[:, 1] == FRAME).all()
        assert (video[:, 6] == each).all()


def test_a_known_frame_pulls_its_neighbours_and_replacing_does_so_less(model):
    before = pixels(1, 2, 1, 16, 16)
    plain = model.predict(before, 4, **QUICK)
    guided = model.predict(before, 4, known={3: FRAME}, **QUICK)
    replaced = model.predict(before, 4, known={3: FRAME}, known_by="replacement", **QUICK)
    assert not torch.equal(plain[:, :3], guided[:, :3])
    assert not torch.equal(replaced[:, :3], guided[:, :3])


def test_the_video_does_not_depend_on_the_batch(model):
    before = pixels(2, 2, 1, 16, 16)
    options = QUICK | {"known": {5: pixels(2, 1, 16, 16, seed=3)}, "num_samples": 2, "rounded": False}
    together = model.predict(before, 6, **options)
    for size in (1, 2, 3):
        torch.testing.assert_close(model.predict(before, 6, batch_size=size, **options), together, rtol=0, atol=1e-4)
    second = options | {"known": {5: options["known"][5][1:]}, "first_video": 1}
    torch.testing.assert_close(model.predict(before[1:], 6, **second)[0], together[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["context", "guidance", "spatin", "bf16"])
def test_known_frames_work_with(kind):
    config = tiny_config(past=2, current=3, future=0, conditioning="SPATIN" if kind == "spatin" else "Concat")
    if kind == "context":
        config["reference"] = "context"
    torch.manual_seed(0)
    model = mcvd.build(config)
    for parameter in model.denoiser.net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    options = {"guidance": 2.0} if kind == "guidance" else {"precision": "bf16"} if kind == "bf16" else {}
    before = pixels(2, 2, 1, 16, 16)
    plain = model.predict(before, 5, **QUICK, **options)
    video = model.predict(before, 5, known={4: FRAME}, compile="always", **QUICK, **options)
    assert (video[:, 4] == FRAME).all()
    assert torch.equal(video[:, :2], plain[:, :2])  # the block before the keyframe's
    assert not torch.equal(video[:, 2:4], plain[:, 2:4])
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not video.requires_grad


def test_of_a_masked_frame_only_what_is_known_comes_out(model):
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[:, :8] = True
    before = pixels(1, 2, 1, 16, 16)
    hidden = FRAME.clone()
    hidden[..., 8:] = 0
    options = QUICK | {"known_pixels": mask}
    videos = [model.predict(before, 3, known=dict.fromkeys(range(3), frame), **options) for frame in (FRAME, hidden)]
    assert (videos[0][0, :, :, :, :8] == FRAME[..., :8]).all()
    assert torch.equal(*videos)
    each = model.predict(before, 3, known={0: FRAME, 2: FRAME}, **QUICK | {"known_pixels": {2: mask}})
    assert torch.equal(each[0, 0], FRAME)
    assert not torch.equal(each[0, 2], FRAME)


def test_a_loop_ends_with_what_leads_to_its_beginning(model):
    """What follows the last frame is known: its block is the same as with keyframes there."""
    before = pixels(1, 3, 1, 16, 16)
    looped = model.predict(before, 7, loop=True, **QUICK)
    longer = model.predict(before, 9, known={7: before[0, 0], 8: before[0, 1]}, **QUICK)
    assert torch.equal(looped, longer[:, :7])
    assert not torch.equal(looped, model.predict(before, 7, **QUICK))

    nothing = model.generate(7, loop=True, num_samples=2, **QUICK)
    again = model.generate(9, num_samples=2, known={7: nothing[:, 0], 8: nothing[:, 1]}, **QUICK)
    assert torch.equal(nothing[:, :4], again[:, :4])
    assert (nothing.float() - again[:, :7].float()).abs().mean() < 1  # there the keyframes were of 8 bits

    for length, future, what in ((4, None, "more than 4"), (7, before, "after it")):
        empty = before[:, :0] if future is None else before
        with pytest.raises(ValueError, match=what):
            model.stream(empty, length, future=future, loop=True)


def test_a_guide_of_ones_own_is_followed_in_every_block(model):
    def darker(clean, t):
        return (clean + 1).square().flatten(1).sum(1)

    before = pixels(1, 2, 1, 16, 16)
    plain, dark = (model.predict(before, 8, guide=guide, guide_weight=5.0, **QUICK) for guide in (None, darker))
    assert (dark[:, :4].float().mean() < plain[:, :4].float().mean() - 5).all()
    assert (dark[:, 4:].float().mean() < plain[:, 4:].float().mean() - 5).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"known": {8: FRAME}}, r"known\[8\]: the generated frames are 0 to 7"),
        ({"known": {-1: FRAME}}, r"known\[-1\]"),
        ({"known": {0: FRAME.float()}}, r"known\[0\] must be a uint8 frame"),
        ({"known": {0: FRAME[:, :8]}}, "got torch.uint8 .1, 8, 16."),
        ({"known": {0: FRAME}, "known_pixels": FRAME[0]}, "known_pixels must be bool"),
        ({"known_by": "magic"}, "known_by must be 'motion', 'guidance', 'replacement' or 'condition'"),
        ({"guide_weight": -1.0}, "guide_weight"),
        ({"guide_weight": float("nan")}, "guide_weight"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(model, options, said):
    with pytest.raises(ValueError, match=said):
        model.stream(pixels(1, 2, 1, 16, 16), 8, **options)


@pytest.mark.parametrize("block", [FrameBlock(2, 5, 0), FrameBlock(2, 5, 2), FrameBlock(1, 1, 1), FrameBlock(3, 4, 2)])
@pytest.mark.parametrize("sides", [(3, 0), (0, 2), (3, 2), (0, 0)])
@pytest.mark.parametrize("keyframes", [(7,), (12,), (5, 6, 7, 8), (0, 13), range(17), ()])
def test_plans_with_keyframes_make_every_frame_once(block, sides, keyframes):
    if sides[1] and not block.future:
        return
    made = []
    for window in plan(block, *sides, 17, keyframes=keyframes):
        assert len(window.current) == block.current
        assert window.new
        assert {*window.new} <= {*window.current}
        made += [place - sides[0] for place in window.new]
    assert sorted(made) == [*range(17)]


def test_the_window_before_a_keyframe_is_shortened_so_that_the_next_one_ends_with_it():
    forward = [window.new for window in plan(FrameBlock(2, 5), 2, 0, 12, keyframes=[8])]
    assert forward == [range(2, 6), range(6, 11), range(11, 14)]
    backward = [window.new for window in plan(FrameBlock(2, 5, 2), 0, 2, 12, keyframes=[3])]
    assert backward == [range(8, 12), range(3, 8), range(3)]
    in_a_row = [window.new for window in plan(FrameBlock(2, 5), 2, 0, 12, keyframes=[7, 8, 9])]
    assert in_a_row == [range(2, 6), range(6, 11), range(11, 14)]
