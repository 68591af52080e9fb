"""Residuals to given frames wherever they lie in a block: what is expected of the others, and how far they are."""

from itertools import product

import pytest
import torch
from reference.tiny import pixels, tiny_config
from torch.nn.init import normal_

import mcvd
from mcvd.diffusion.given_reference import BETWEEN, MAX_FRAMES, ONE_SIDE, GivenReference
from mcvd.diffusion.reference import FLOOR, ContextReference
from mcvd.frames import Condition, FrameBlock

BLOCK = FrameBlock(past=2, current=3, future=2)


def walk(batch=4, size=8, seed=0, step=0.1):
    """Frames that walk at random, float (B, 7, 1, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    return (step * torch.randn(batch, 7, 1, size, size, generator=generator)).cumsum(1)


def showing(clip, given, block=BLOCK, **told):
    """The condition in which these frames of the block are given."""
    past, current, future = block.split(clip)
    keep = torch.tensor([each in given for each in range(block.num_frames)]).expand(len(clip), -1)
    keep_past, keep_current, keep_future = keep.split([block.past, block.current, block.future], 1)
    return Condition(past, future, keep_past, keep_future, **told).showing(current, keep_current)


def expected(clip, given, place):
    """The cross-fade of the neighbours, the copy of the nearest, or nothing; nothing for a given frame."""
    before = max((each for each in given if each < place), default=None)
    after = min((each for each in given if each > place), default=None)
    if place in given or (before is None and after is None):
        return torch.zeros_like(clip[:, 0])
    if before is None or after is None:
        return clip[:, after if before is None else before]
    share = (place - before) / (after - before)
    return (1 - share) * clip[:, before] + share * clip[:, after]


def test_of_every_pattern_the_base_is_the_cross_fade():
    clip, reference = walk(2), GivenReference(BLOCK)
    for chosen in product([False, True], repeat=7):
        given = [place for place, is_given in enumerate(chosen) if is_given]
        residual = reference(showing(clip, given))
        for number, place in enumerate((2, 3, 4)):
            torch.testing.assert_close(residual.base[:, number], expected(clip, given, place), msg=str((given, place)))
            if place in given or not given:
                assert (residual.scale.expand_as(residual.base)[:, number] == 1).all()


def test_a_network_that_says_nothing_cross_fades():
    clip, given = walk(), [0, 3]
    residual = GivenReference(BLOCK)(showing(clip, given))
    frames = residual.to_frames(torch.zeros_like(clip[:, 2:5]))
    torch.testing.assert_close(frames[:, 0], (clip[:, 0] + 2 * clip[:, 3]) / 3)
    torch.testing.assert_close(residual.to_frames(residual.from_frames(clip[:, 2:5])), clip[:, 2:5])


def test_without_given_current_frames_it_says_what_the_reference_to_the_context_says():
    past, _, future = BLOCK.split(walk())
    visible = Condition.visible(past, future)
    for each in (visible, visible.null(past=False), visible.null(future=False), visible.null()):
        mine, other = GivenReference(BLOCK)(each), ContextReference(BLOCK)(each)
        torch.testing.assert_close(mine.base, other.base)
        torch.testing.assert_close(*(one.scale.expand_as(one.base) for one in (mine, other)))


def test_measured_residuals_of_all_patterns_are_of_one_size():
    reference = GivenReference(BLOCK)
    reference.measure(*BLOCK.split(walk(256, step=0.3)))
    clip = walk(128, seed=1, step=0.3)
    for given in ([0], [1], [6], [0, 1], [0, 6], [2, 4], [0, 3, 6], [5, 6], [3]):
        residual = reference(showing(clip, given)).from_frames(clip[:, 2:5])
        hidden = [number for number in range(3) if number + 2 not in given]
        size = residual[:, hidden].square().mean((0, 2, 3, 4)).sqrt()
        assert ((size > 0.35) & (size < 0.6)).all(), (given, size)


def test_the_table_is_that_of_distances_between_frames():
    reference, clip = GivenReference(BLOCK), walk(3)
    reference.measure(*BLOCK.split(clip))
    floor = FLOOR**2

    def apart(a, b):
        return (a - b).square().flatten(1).mean(1)

    fades = [
        (apart(clip[:, i], (2 * clip[:, i - 1] + clip[:, i + 2]) / 3) + floor)
        / (apart(clip[:, i - 1], clip[:, i + 2]) + floor)
        for i in range(1, 5)
    ]
    torch.testing.assert_close(reference.growth[BETWEEN, 1, 2], torch.stack(fades).mean().sqrt())
    after = [(i, i - 2, i - 3) for i in range(3, 7)] + [(i, i + 2, i + 3) for i in range(4)]
    ratios = [(apart(clip[:, i], clip[:, a]) + floor) / (apart(clip[:, a], clip[:, b]) + floor) for i, a, b in after]
    torch.testing.assert_close(reference.growth[ONE_SIDE, 2, 1], torch.stack(ratios).mean().sqrt())


def test_hidden_frames_have_no_influence():
    clip, reference = walk(), GivenReference(BLOCK)
    broken = clip.clone()
    broken[:, [1, 2, 4, 6]] = torch.nan
    mine, other = (reference(showing(each, [0, 3, 5])) for each in (clip, broken))
    assert torch.equal(mine.base, other.base)
    assert torch.equal(mine.scale, other.scale)


def test_noise_of_the_context_adds_to_the_scale_and_is_no_motion():
    clip = walk(64, step=0.001)
    noise = torch.randn(64, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    noisy = showing(clip, [0, 1, 3]).noised(torch.full((64,), 0.2), noise)
    scale = GivenReference(BLOCK)(noisy).scale
    between, after = scale[:, 0].square().mean() / 4, scale[:, 2].square().mean() / 4
    assert between.sqrt().item() == pytest.approx(0.1, abs=0.05)  # half of it is the clean frame's
    assert after.sqrt().item() < 0.1  # its base is clean


def test_a_frame_from_long_before_counts_as_hidden():
    clip, times = walk(2), torch.arange(-2.0, 5.0).repeat(2, 1)
    times[:, 0] = -40
    mine, other = (GivenReference(BLOCK)(each) for each in (showing(clip, [0, 3], times=times), showing(clip, [3])))
    assert torch.equal(mine.base, other.base)
    assert torch.equal(mine.scale, other.scale)


def model():
    torch.manual_seed(0)
    config = tiny_config(net="SpaceTimeUNet") | {"predicts": "edm", "reference": "given"}
    config |= {
        "schedule": {"class_path": "mcvd.noise.Cosine"},
        "masking": {"p_past": 0.5, "p_future": 0.5, "p_any": 0.5},
    }
    made = mcvd.build(config)
    for parameter in made.parameters():
        normal_(parameter, std=0.1)
    return made


def test_training_measures_it_and_saving_keeps_it(tmp_path):
    trained = model()
    video = pixels(4, 7, 1, 16, 16)
    trained.denoiser.measure(*trained.block.split(video.float() / 127.5 - 1))
    drawn = trained.draw({"video": video, "index": [0, 1, 2, 3]})
    assert torch.equal(drawn.condition.keep_given, drawn.frame_times < 0)
    trained.loss({"video": video}).mean().backward()
    trained.save_pretrained(tmp_path / "kept")
    again = mcvd.load(tmp_path / "kept")
    assert torch.equal(again.denoiser.reference.growth, trained.denoiser.reference.growth)
    assert again.facts().diffused == "residuals to given frames"


def test_known_frames_of_a_sampled_block_are_its_reference():
    trained, past = model().eval(), pixels(1, 2, 1, 16, 16)
    torch.nn.init.zeros_(trained.denoiser.net.last.weight)
    known = pixels(1, 16, 16, seed=1)
    # A network that says nothing leaves noise of the size that nothing tells less of: far less than that of frames.
    made = trained.predict(past, 3, known={2: known}, steps=8, num_samples=16, progress=False)[0].float().mean(0)
    faded = [past[0, 1].float().lerp(known.float(), share) for share in (1 / 3, 2 / 3)]
    assert (made[:2] - torch.stack(faded)).abs().mean() < 20
    assert torch.equal(made[2].byte(), known)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"net": tiny_config()["net"]}, "mcvd.nets.SpaceTimeUNet, got UNet"),
        ({"reference": "nearest"}, "'frames', 'context', 'given'"),
        ({"block": {"past": 1, "current": MAX_FRAMES}}, "frames at most"),
    ],
)
def test_what_does_not_go_together_is_told(changed, words):
    config = tiny_config(net="SpaceTimeUNet") | {"reference": "given"}
    with pytest.raises(ValueError, match=words):
        mcvd.build(config | changed)
