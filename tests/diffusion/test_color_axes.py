"""Scales of grey and of two hues, each from what is seen to move of it."""

from dataclasses import replace

import pytest
import torch
from reference.tiny import pixels, tiny_config

import mcvd
from mcvd.diffusion.color_axes import COLORS, LEAST_SHARE, AllChannels, ColorAxes, mixed
from mcvd.diffusion.given_reference import GivenReference
from mcvd.diffusion.reference import FLOOR, ContextReference, Residual
from mcvd.diffusion.self_context import OwnContext, at_true_scale, moved
from mcvd.frames import Condition, FrameBlock

BLOCK = FrameBlock(past=2, current=3, future=2)
SCALE = {"class_path": "mcvd.models.codecs.Scale", "init_args": {"low": 0.0, "high": 9.0}}
TYPICAL = (2.4, 0.5, 0.1)  # shares of the axes in what moves, their mean 1
AXES = torch.tensor(COLORS).T
EXACT = torch.tensor(COLORS, dtype=torch.float64).T


def walk(variances, batch=4, size=16, seed=0, step=0.02):
    """Frames of noise that walk at random, float (B, 7, 3, H, W), with these squared differences along the axes."""
    generator = torch.Generator().manual_seed(seed)
    steps = step * torch.randn(batch, 7, 3, size, size, generator=generator)
    return mixed(AXES, steps * torch.tensor(variances).sqrt()[:, None, None]).cumsum(1)


def measured(kind=ContextReference, floor=FLOOR):
    """A reference that was shown typical film; growth as it begins, a random walk's."""
    reference = kind(BLOCK, floor, colors=True)
    reference.colors.measure(walk(TYPICAL, batch=16, seed=9).diff(dim=1))
    return reference


def test_the_axes_are_orthonormal_and_grey_is_the_first():
    torch.testing.assert_close(AXES.T @ AXES, torch.eye(3))
    assert torch.equal(AXES[:, 0], torch.full((3,), 3**-0.5))


def test_shares_are_those_of_the_clips_whatever_their_motion():
    colors = ColorAxes()
    for seed, step in enumerate((0.3, 0.001, 0.05)):
        colors.measure(walk(TYPICAL, seed=seed, step=step).diff(dim=1))
    colors.measure(torch.zeros(5, 6, 3, 16, 16))  # nothing moves: that tells nothing
    assert colors.num_clips == 12
    torch.testing.assert_close(colors.shares, torch.tensor(TYPICAL), rtol=0.05, atol=0.0)


def test_film_without_hues_or_without_motion_leaves_shares_above_0():
    grey, still = ColorAxes(), ColorAxes()
    grey.measure(walk((3.0, 0.0, 0.0)).diff(dim=1))
    still.measure(torch.zeros(2, 6, 3, 16, 16))
    assert torch.equal(still.shares, torch.ones(3)) and still.num_clips == 0
    torch.testing.assert_close(grey.shares[1:] / grey.shares[0], torch.full((2,), LEAST_SHARE / 3), rtol=0.01, atol=0)


@pytest.mark.parametrize("kind", [ContextReference, GivenReference])
@pytest.mark.parametrize("sides", ["past", "future", "both"])
def test_typical_film_has_the_same_scales_as_without(kind, sides):
    past, _, future = BLOCK.split(walk(TYPICAL, size=64))
    condition = Condition.visible(past, future).null(past=sides == "future", future=sides == "past")
    own, common = measured(kind)(condition), kind(BLOCK)(condition)
    assert own.scale.shape == (4, 3, 3, 64, 64)
    torch.testing.assert_close(own.base, common.base)
    each = own.scale.square().mean((0, 1, 3, 4))
    torch.testing.assert_close(each, common.scale.square().mean().expand(3), rtol=0.06, atol=0)


@pytest.mark.parametrize("kind", [ContextReference, GivenReference])
def test_residuals_of_each_axis_are_of_one_size_in_film_of_few_colours(kind):
    """What one scale for all cannot do; gaudy film has what it has with one."""
    reference = measured(kind, floor=0.001)
    for seed in range(4):
        reference.measure(*BLOCK.split(walk(TYPICAL, seed=seed, size=32)))
    sizes, common = [], []
    for hue in (0.02, 0.2, 1.0, 3.0):
        past, current, future = BLOCK.split(walk((2.4, 0.5 * hue, 0.1 * hue), size=48, seed=5, step=0.1))
        condition = Condition.visible(past, future).null(past=False)
        one_scale = replace(reference(condition), scale=reference(condition).scale[:, :, :1])
        for found, residual in ((sizes, reference(condition)), (common, one_scale)):
            along = mixed(AXES.T, residual.from_frames(current))
            found.append((along.square().mean((0, 1, 3, 4)) / reference.colors.shares).sqrt())
    torch.testing.assert_close(torch.stack(sizes[:3]), torch.full((3, 3), 0.5), rtol=0.15, atol=0)
    assert torch.stack(common)[0, 1:].max() < 0.1
    expected = kind(BLOCK, 0.001)
    expected.growth.copy_(reference.growth)
    gaudy = mixed(AXES.T, expected(condition).from_frames(current)).square().mean((0, 1, 3, 4))
    torch.testing.assert_close(sizes[3][1:], (gaudy / reference.colors.shares).sqrt()[1:], rtol=0.02, atol=0)


def test_where_no_hue_moves_its_scale_is_the_floor():
    past = walk((3.0, 0.0, 0.0))[:, :2]
    scale = measured()(Condition.visible(past, past[:, :0].expand(-1, 0, -1, -1, -1))).scale
    floor = 2 * FLOOR * torch.tensor([1.0, 2.0, 3.0]).sqrt()
    torch.testing.assert_close(scale[:, :, 1:], floor.view(1, 3, 1, 1, 1).expand(4, 3, 2, 16, 16))
    assert (scale[:, :, 0] > 1.02 * floor.view(3, 1, 1)).all()


def test_noise_of_the_context_is_no_motion_of_any_hue():
    still = walk(TYPICAL, batch=1, size=256)[:, :1].expand(-1, 4, -1, -1, -1)
    noise = torch.randn(1, 4, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    noised = Condition.visible(still[:, :2], still[:, 2:]).null(past=False).noised(torch.tensor([0.2]), noise)
    for reference in (measured(), measured(GivenReference)):
        walked = torch.tensor([1.0, 2.0, 3.0])[:, None] * FLOOR**2
        expected = 2 * (walked + 0.2**2 / reference.colors.shares).sqrt()
        torch.testing.assert_close(reference(noised).scale.mean((0, 3, 4)), expected, rtol=0.1, atol=0)


def residual():
    generator = torch.Generator().manual_seed(3)
    base = torch.rand(2, 3, 3, 8, 8, generator=generator, dtype=torch.float64) * 2 - 1
    return Residual(base, torch.rand(base.shape, generator=generator, dtype=torch.float64) + 0.01, axes=EXACT)


def test_residuals_along_axes_are_frames_again():
    own, frames = residual(), torch.rand(2, 3, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(own.to_frames(own.from_frames(frames)), frames)
    twice = own.repeat(2)
    zero = torch.zeros(4, 3, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(twice.to_frames(zero), own.base.repeat_interleave(2, 0))


def test_autocast_is_for_networks_and_costs_residuals_nothing():
    own, frames = residual(), torch.rand(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    own = replace(own, base=own.base.float(), scale=own.scale.float())
    exact = [own.from_frames(frames), own.to_frames(frames), own.clip(20 * frames)]
    with torch.autocast("cpu", torch.bfloat16):
        same = [own.from_frames(frames), own.to_frames(frames), own.clip(20 * frames)]
    assert all(torch.equal(*pair) for pair in zip(exact, same, strict=True))


def test_clipping_leaves_frames_that_can_be_and_takes_the_nearest_of_others():
    own = residual()
    inside = own.from_frames(torch.linspace(-1, 1, 1152, dtype=torch.float64).view(2, 3, 3, 8, 8))
    torch.testing.assert_close(own.clip(inside), inside)
    wild = 100 * torch.randn(2, 3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(own.to_frames(own.clip(wild)), own.to_frames(wild).clamp(-1, 1))


def test_the_variance_of_residuals_is_that_of_random_frames():
    own = residual()
    frames = 0.3 * torch.randn(20_000, 1, 1, 3, 1, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = own.from_frames(frames).var(0)
    torch.testing.assert_close(own.from_variance(torch.tensor(0.09, dtype=torch.float64)), found, rtol=0.06, atol=0)


def test_a_weight_is_of_what_is_along_an_axis():
    """After a context of the model's own that lost its hues alone, errors of hue would otherwise count as grey ones."""
    own, video = [OwnContext(0, back=False, depth=1)], walk(TYPICAL, batch=1, step=0.3)
    denoiser = colored(predicts="x0").denoiser
    for parameter in denoiser.net.parameters():
        torch.nn.init.zeros_(parameter)
    true = moved(video, own, BLOCK)
    made = true.clone()
    made[:, 0] = made[:, 1] + mixed(AXES[:, :1] @ AXES[:, :1].T, made[:, 0] - made[:, 1])
    weight = at_true_scale(denoiser, BLOCK, video, made, own)
    assert weight[:, :, 0].mean() > 0.8 and (weight[:, :, 1:] < 0.5).all()
    (past, current, future), noise = BLOCK.split(made), torch.zeros(1, 3, 3, 16, 16)
    condition = Condition.visible(past, future).null(past=False)
    along = mixed(AXES.T, denoiser.bind(condition).from_frames(current))  # a silent network misses it all
    found = denoiser.loss(current, condition, torch.tensor([0.001]), noise, weight)
    torch.testing.assert_close(found, 0.5 * (weight * along.square()).sum()[None])


def colored(**options):
    torch.manual_seed(0)
    config = tiny_config(channels=3) | {"reference": "context", "colored_noise": True, "reference_colors": True}
    return mcvd.build(config | options)


def test_a_model_with_colours_does_all_tasks_is_saved_and_loaded(tmp_path):
    model = colored().eval()
    model.denoiser.measure(*model.block.split(walk(TYPICAL)))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path / "model")
    loaded = mcvd.load(tmp_path / "model")
    torch.testing.assert_close(loaded.denoiser.reference.colors.shares, model.denoiser.reference.colors.shares)
    assert loaded.denoiser.reference.colors.shares[0] > 2
    video, options = pixels(1, 4, 3, 16, 16), {"steps": 3, "progress": False}
    for make in (
        lambda m: m.predict(video[:, :2], 7, num_samples=2, **options),
        lambda m: m.predict(video[:, :2], 4, backward=True, guidance=2.0, **options),
        lambda m: m.interpolate(video[:, :2], video[:, 2:], 8, guidance=2.0, **options),
        lambda m: m.predict(video[:, :2], 3, known={1: video[0, 3]}, **options),
        lambda m: m.generate(4, **options),
    ):
        assert torch.equal(make(model), make(loaded))


def test_an_untrained_model_keeps_grey_film_grey():
    """Of noise that is as small as what is seen of the hues nothing is left; with one scale it is in the film."""
    torch.manual_seed(0)
    grey = torch.randint(0, 256, (1, 2, 1, 16, 16), dtype=torch.uint8).expand(-1, -1, 3, -1, -1)
    shown = {}
    for colors in (True, False):
        model = colored(reference_colors=colors, predicts="edm", reference_floor=0.005).eval()
        model.denoiser.measure(*model.block.split(walk(TYPICAL)))
        torch.nn.init.normal_(model.denoiser.net.last.weight, std=0.2)
        video = model.predict(grey, 3, seed=1, steps=4, progress=False)[0].float()
        shown[colors] = (video.amax(1) - video.amin(1)).mean().item()
    assert shown[True] < 3 and shown[False] > 5 * shown[True]


def test_weights_from_before_measure_the_shares_when_they_are_trained_further(tmp_path):
    """They bring growth, but no shares: left at 1 these would drown the hues in noise, and nothing would tell."""
    from lightning import Trainer
    from torch.utils.data import DataLoader

    model = colored()
    model.denoiser.reference.num_clips.fill_(100)
    model.denoiser.noise_colors.num_clips.fill_(100)
    clips = (walk(TYPICAL, batch=8) * 127.5 + 127.5).clamp(0, 255).byte()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    Trainer(max_steps=2, default_root_dir=tmp_path, **quiet).fit(model, DataLoader(clips, batch_size=4))
    reference = model.denoiser.reference
    assert reference.colors.num_clips == 8 and reference.colors.shares[0] > 1.5
    assert reference.num_clips == 100 and torch.equal(reference.growth, colored().denoiser.reference.growth)
    assert torch.equal(model.denoiser.noise_colors.mixing, torch.eye(3))


def test_grey_frames_have_no_hues_to_scale():
    models = [colored(channels=1, reference_colors=colors).eval() for colors in (True, False)]
    assert models[0].state_dict().keys() == models[1].state_dict().keys()
    videos = [model.predict(pixels(1, 2, 1, 16, 16), 3, steps=2, progress=False) for model in models]
    assert torch.equal(*videos)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"reference": "frames"}, "reference_colors is of residuals to given frames: set reference: context"),
        ({"channels": 2}, "reference_colors is for pixels, grey or of three channels, got 2"),
        ({"codec": SCALE}, "grey or of three channels, got 3 of Scale.*set it to false"),
    ],
)
def test_what_does_not_go_together_is_told(changed, words):
    with pytest.raises(ValueError, match=words):
        colored(**changed)


def test_all_channels_alike_are_their_mean_square():
    difference = walk(TYPICAL)[:, 0]
    each = AllChannels()
    torch.testing.assert_close(each.squared(difference), difference.square().mean(1, keepdim=True))
    own = measured().colors
    torch.testing.assert_close(own.together(own.squared(difference)), each.squared(difference))
    assert (own.capped(own.squared(difference)) <= each.squared(difference) + 1e-9).all()
