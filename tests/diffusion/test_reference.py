"""What the context tells, and diffusing what frames add to it."""

from dataclasses import replace

import pytest
import torch
from reference.tiny import pixels, tiny_config
from torch import nn

import mcvd
from mcvd import samplers
from mcvd.diffusion.denoiser import GUIDED_NOISE, Denoiser
from mcvd.diffusion.reference import FLOOR, GLOBAL, MAX_GAIN, ContextReference, Residual
from mcvd.diffusion.rollout import rollout
from mcvd.frames import Condition, FrameBlock
from mcvd.noise import Cosine, LinearBeta

BLOCK = FrameBlock(past=2, current=3, future=2)


def clip(batch=4, size=8, seed=0, step=0.1):
    """Frames that walk at random, float (B, 7, 1, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    return (step * torch.randn(batch, 7, 1, size, size, generator=generator)).cumsum(1).clamp(-1, 1)


def conditions(past, future):
    visible = Condition.visible(past, future)
    return {
        "past": visible.null(past=False),
        "future": visible.null(future=False),
        "both": visible,
        "nothing": visible.null(),
    }


def test_the_base_is_the_nearest_frame_the_cross_fade_or_nothing():
    past, current, future = BLOCK.split(clip())
    base = {name: ContextReference(BLOCK)(each).base for name, each in conditions(past, future).items()}
    torch.testing.assert_close(base["past"], past[:, -1:].expand_as(current))
    torch.testing.assert_close(base["future"], future[:, :1].expand_as(current))
    fades = [(1 - w) * past[:, -1] + w * future[:, 0] for w in (0.25, 0.5, 0.75)]
    torch.testing.assert_close(base["both"], torch.stack(fades, 1))
    assert not base["nothing"].any()


def test_the_scale_is_twice_the_floor_where_nothing_moves_and_grows_with_the_distance():
    still = clip()[:, :1].expand(-1, 7, -1, -1, -1)
    past, _, future = BLOCK.split(still)
    away = {"past": (1, 2, 3), "future": (3, 2, 1), "both": (3 / 4, 1, 3 / 4)}
    for name, each in conditions(past, future).items():
        expected = 2 * FLOOR * torch.tensor(away[name]).sqrt() if name != "nothing" else torch.ones(3)
        scale = ContextReference(BLOCK)(each).scale.expand(4, 3, 1, 8, 8)
        torch.testing.assert_close(scale, expected.view(1, 3, 1, 1, 1).expand_as(scale))


def test_the_scale_follows_the_motion_seen_where_it_was_seen():
    past = torch.zeros(1, 2, 1, 64, 64)
    past[:, 1, :, :, 40:] = 0.3
    reference = ContextReference(BLOCK)
    reference.growth.copy_(torch.tensor([[1.0, 2.0, 3.0]] * 3))
    scale = reference(Condition.visible(past, past).null(past=False)).scale[0, :, 0]
    seen, floor = torch.tensor([1.0, 2.0, 3.0]) * 0.3, FLOOR**2 * torch.tensor([1.0, 2.0, 3.0])
    everywhere = GLOBAL * 24 / 64
    moving, still = (2 * (floor + part * seen**2).sqrt() for part in (1 - GLOBAL + everywhere, everywhere))
    torch.testing.assert_close(scale[:, 32, 55], moving)
    torch.testing.assert_close(scale[:, 32, 10], still)
    assert (scale[:, 32].diff(dim=1) >= -1e-6).all()  # and rises in between


def test_each_sample_has_a_case_of_its_own_and_masked_frames_have_no_influence():
    past, _, future = BLOCK.split(clip())
    keep_past = torch.tensor([[True, True], [False, True], [False, False], [False, False]])
    keep_future = torch.tensor([[False, False], [True, True], [True, False], [False, False]])
    mixed = Condition(past, future, keep_past, keep_future)
    reference = ContextReference(BLOCK)
    each = [
        reference(Condition(*(side[i : i + 1] for side in (past, future, keep_past, keep_future)))) for i in range(4)
    ]
    together = reference(mixed)
    torch.testing.assert_close(together.base, torch.cat([one.base for one in each]))
    torch.testing.assert_close(together.scale, torch.cat([one.scale for one in each]))
    # Of the third sample one future frame is visible: the typical motion stands for what is seen.
    away = torch.tensor([3.0, 2.0, 1.0])
    typical = 2 * (away * FLOOR**2 + (reference.growth[1] * reference.motion) ** 2).sqrt()
    torch.testing.assert_close(together.scale[2, :, 0, 0, 0], typical)
    past = torch.where(keep_past[..., None, None, None], past, torch.nan)
    torch.testing.assert_close(reference(Condition(past, future, keep_past, keep_future)).base, together.base)


def test_noise_of_the_context_is_no_motion_and_widens_the_scale():
    past, _, future = BLOCK.split(clip(batch=1, size=256)[:, :1].expand(-1, 7, -1, -1, -1))
    reference = ContextReference(BLOCK)
    noise = torch.randn(1, 4, 1, 256, 256, generator=torch.Generator().manual_seed(1))
    noised = Condition.visible(past, future).null(past=False).noised(torch.tensor([0.2]), noise)
    expected = 2 * (torch.tensor([1.0, 2.0, 3.0]) * FLOOR**2 + 0.2**2).sqrt()
    torch.testing.assert_close(reference(noised).scale.mean((0, 2, 3, 4)), expected, rtol=0.1, atol=0)


def test_measured_residuals_have_the_size_of_frames_in_every_case():
    reference = ContextReference(BLOCK)
    for seed in range(20):
        reference.measure(*BLOCK.split(clip(16, size=48, seed=seed)))
    assert reference.num_clips == 320
    torch.testing.assert_close(reference.motion.item(), 0.1, rtol=0.05, atol=0)
    past, current, future = BLOCK.split(clip(32, size=48, seed=99))
    for name, each in conditions(past, future).items():
        if name != "nothing":
            size = reference(each).from_frames(current).square().mean((0, 2, 3, 4)).sqrt()
            torch.testing.assert_close(size, torch.full((3,), 0.5), rtol=0.15, atol=0)


def test_a_block_without_past_or_future_is_measured_too():
    for block in (FrameBlock(1, 6, 0), FrameBlock(0, 5, 2), FrameBlock(0, 7, 0), FrameBlock(0, 1, 0)):
        reference = ContextReference(block)
        reference.measure(*block.split(clip()[:, : block.num_frames]))
        assert torch.isfinite(reference.growth).all() and (reference.growth > 0).all()
        assert all(each.isfinite().all() for each in reference.state_dict().values())  # a saved one can be opened


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2)])
def test_frames_of_a_pixel_a_side_such_as_latents_have_a_scale_too(size):
    frames = torch.tensor([-0.5, 0.5]).view(1, 2, 1, 1, 1).expand(1, 2, 1, *size)
    scale = ContextReference(FrameBlock(2, 1))(Condition.visible(frames, frames[:, :0])).scale
    torch.testing.assert_close(scale, torch.full_like(scale, 2 * (1 + FLOOR**2) ** 0.5))


class Zero(nn.Module):
    """A network that sees nothing: residuals are 0."""

    def encode_condition(self, context, cache, modulation):
        return None

    def forward(self, noisy, label, encoded):
        return torch.zeros_like(noisy)


@pytest.mark.parametrize("name", ["DDIM", "DDPM", "UniPC", "SASolver", "Heun", "DPMSolverPP", "PNDM"])
def test_a_network_that_says_nothing_copies_and_cross_fades_exactly(name):
    past, _, future = BLOCK.split(clip())
    denoiser = Denoiser(Zero(), LinearBeta(), "x0", reference=ContextReference(BLOCK))
    sampler = getattr(samplers, name)(num_steps=5)
    for each in conditions(past, future).values():
        denoise = denoiser.bind(each)
        noise = torch.randn(8, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        frames = denoise.to_frames(sampler(denoise, noise, LinearBeta()))
        torch.testing.assert_close(frames, denoiser.reference(each).base.repeat_interleave(2, 0), rtol=0, atol=5e-5)


def test_samplers_clip_residuals_where_frames_are_black_or_white():
    past, _, future = BLOCK.split(clip())
    reference = ContextReference(BLOCK)

    class Far(Zero):
        def forward(self, noisy, label, encoded):
            return torch.full_like(noisy, 1e4)

    denoise = Denoiser(Far(), LinearBeta(), "x0", reference=reference).bind(Condition.visible(past, future))
    frames = denoise.to_frames(samplers.DDIM(num_steps=4)(denoise, torch.zeros(4, 3, 1, 8, 8), LinearBeta()))
    torch.testing.assert_close(frames, torch.ones_like(frames), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="threshold"):
        samplers.DPMSolverPP(num_steps=4, threshold=0.99)(denoise, torch.zeros(4, 3, 1, 8, 8), LinearBeta())


class Posterior(nn.Module):
    """The right answer where each pixel of a frame is normal, N(mean, std^2), first in one kind of residuals, then in
    another: as guidance asks for the conditional and the unconditional one in one batch."""

    def __init__(self, schedule, mean, std, residuals):
        super().__init__()
        self.schedule, self.mean, self.std, self.residuals = schedule, mean, std, residuals

    def encode_condition(self, context, cache, modulation):
        return None

    def forward(self, noisy, label, encoded):
        at = self.schedule(1 - label / self.schedule.num_steps).like(noisy)
        base, scale = (torch.cat([getattr(each, name) for each in self.residuals]) for name in ("base", "scale"))
        mean, std = (self.mean - base) / scale, self.std / scale
        gain = at.alpha * std**2 / (at.alpha**2 * std**2 + at.sigma**2)
        return mean + gain * (noisy - at.alpha * mean)


@pytest.mark.parametrize("t", [1.0, 0.9, 0.4, 0.05])
def test_guidance_asks_for_the_unconditional_residuals_of_the_same_noisy_frames(t):
    """If both halves know the same distribution of frames, guidance changes nothing, whatever base and scale are."""
    past, _, future = (side.double() for side in BLOCK.split(clip()))

    class OneScale(ContextReference):
        """For all pixels: then the change of units is exact."""

        def forward(self, condition):
            known = super().forward(condition)
            return Residual(known.base, known.scale.flatten(1).mean(1).view(-1, 1, 1, 1, 1))

    reference = OneScale(BLOCK).double()
    condition = Condition.visible(past, future).null(past=False)
    residuals = reference(condition), reference(condition.null())
    schedule = Cosine()
    denoise = [
        Denoiser(Posterior(schedule, 0.3, 0.2, which), schedule, "x0", reference=reference).bind(condition, guidance)
        for which, guidance in ((residuals[:1], 1.0), (residuals, 3.0))
    ]
    noisy = torch.randn(4, 3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain, guided = (each.to_frames(each(noisy, torch.full((4,), t, dtype=torch.float64))) for each in denoise)
    torch.testing.assert_close(guided, plain, rtol=0, atol=1e-4)


def test_guidance_leaves_residuals_alone_while_frames_are_too_noisy_to_show_the_picture():
    """What is unconditional there does not know the base, and the whole picture would be exaggerated."""
    past, _, future = (side.double() for side in BLOCK.split(clip()))
    reference = ContextReference(BLOCK).double()
    condition = Condition.visible(past, future).null(past=False)
    residuals = reference(condition), reference(condition.null())
    schedule = Cosine()

    class Opinions(Posterior):
        """The unconditional half believes in other frames."""

        def forward(self, noisy, label, encoded):
            moved = super().forward(noisy, label, encoded)
            return moved + torch.arange(len(noisy)).ge(4).view(-1, 1, 1, 1, 1) * 0.3 / self.residuals[-1].scale[:1]

    plain = Denoiser(Posterior(schedule, 0.3, 0.2, residuals[:1]), schedule, "x0", reference=reference)
    guided = Denoiser(Opinions(schedule, 0.3, 0.2, residuals), schedule, "x0", reference=reference)
    noisy = torch.randn(4, 3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for t, acts in ((0.9, False), (0.02, True)):
        times = torch.full((4,), t, dtype=torch.float64)
        at = schedule(times).like(noisy)
        quiet = at.sigma * residuals[0].scale <= GUIDED_NOISE * at.alpha
        assert bool(quiet.all()) is acts and bool(quiet.any()) is acts
        without, with_it = plain.bind(condition)(noisy, times), guided.bind(condition, 2.0)(noisy, times)
        change = (with_it - without).abs().max().item()
        assert change > 0.1 if acts else change < 1e-6


def small(**options):
    torch.manual_seed(0)
    return mcvd.build(tiny_config() | {"reference": "context"} | options)


def test_a_model_with_a_reference_does_all_tasks_is_saved_and_loaded(tmp_path):
    model = small().eval()
    model.denoiser.reference.growth.mul_(1.5)
    model.save_pretrained(tmp_path / "model")
    loaded = mcvd.load(tmp_path / "model")
    video = pixels(1, 4, 1, 16, 16)
    for make in (
        lambda m: m.predict(video[:, :2], 7, num_samples=2),
        lambda m: m.predict(video[:, :2], 4, backward=True, guidance=2.0),
        lambda m: m.interpolate(video[:, :2], video[:, 2:], 8),
        lambda m: m.generate(4),
    ):
        assert torch.equal(make(model), make(loaded))
    assert loaded.config["reference"] == "context"


def test_an_untrained_model_copies_instead_of_making_noise():
    """Its last layer is zero: what it predicts of the residual is nothing."""
    past = pixels(1, 1, 1, 16, 16).expand(-1, 2, -1, -1, -1)
    model = small(predicts="x0", schedule={"class_path": "mcvd.noise.Cosine"}).eval()
    off = model.predict(past, 6).float() - past[:, -1:].float()
    assert off.abs().max() <= 1


def test_a_training_measures_on_its_first_clips_and_a_resumed_one_goes_on(tmp_path):
    from lightning import Trainer
    from torch.utils.data import DataLoader

    walk = (clip(8, size=16) * 127.5 + 127.5).round().to(torch.uint8)
    quiet = {
        "default_root_dir": tmp_path,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    model = small(warmup_steps=1)
    trainer = Trainer(max_steps=3, **quiet)
    trainer.fit(model, DataLoader(walk, batch_size=4))
    assert model.denoiser.reference.num_clips == 12
    trainer.save_checkpoint(tmp_path / "three.ckpt")
    growth = model.denoiser.reference.growth.clone()
    resumed = small(warmup_steps=1)
    Trainer(max_steps=5, **quiet).fit(resumed, DataLoader(walk, batch_size=4), ckpt_path=tmp_path / "three.ckpt")
    assert resumed.denoiser.reference.num_clips == 20
    # A new training of given weights keeps their table: it is a part of what their outputs mean.
    tuned = small(warmup_steps=1)
    tuned.load_state_dict(model.state_dict())
    trainer = Trainer(max_steps=2, **quiet)
    trainer.fit(tuned, DataLoader(walk, batch_size=4))
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    resumed = small(warmup_steps=1)  # and goes on so
    Trainer(max_steps=4, **quiet).fit(resumed, DataLoader(walk, batch_size=4), ckpt_path=tmp_path / "two.ckpt")
    for each in (tuned, resumed):
        assert torch.equal(each.denoiser.reference.growth, growth)


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="reference"):
        small(reference="future")


def test_the_floor_is_the_model_s_and_has_to_be_a_distance():
    model = small(reference_floor=0.01)
    still = torch.zeros(1, 2, 1, 16, 16)
    scale = model.denoiser.reference(Condition.visible(still, still[:, :0])).scale
    torch.testing.assert_close(scale[0, 0, 0, 0, 0], torch.tensor(2 * 0.01))
    with pytest.raises(ValueError, match="reference_floor"):
        small(reference_floor=0.0)


def test_a_floor_or_memory_without_residuals_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"reference_floor 0.01 is of residuals.*set reference: context"):
        small(reference="frames", reference_floor=0.01)
    with pytest.raises(ValueError, match=r"reference_memory .*: set that, or leave reference_memory out"):
        small(reference="frames", reference_memory=True)


def test_with_memory_a_generated_context_counts_as_much_motion_as_the_given_frames_had():
    past, _, future = BLOCK.split(clip(seed=3))
    for name, condition in conditions(past, future).items():
        plain, memory = ContextReference(BLOCK), ContextReference(BLOCK, memory=True)
        told = replace(condition, motion=torch.tensor([0.0, 0.003, 1e-9, 10.0]))
        assert torch.equal(plain(told).scale, plain(condition).scale)
        found, before = memory(told), memory(condition)
        torch.testing.assert_close(found.base, before.base)
        ratio = (found.scale**2 - 4 * memory.floor**2 * memory.distance[0].view(3, 1, 1, 1)) / (
            before.scale**2 - 4 * memory.floor**2 * memory.distance[0].view(3, 1, 1, 1)
        )
        if name in ("both", "nothing"):
            assert torch.equal(found.scale, before.scale)
        elif name == "past":
            seen = (past[:, 1] - past[:, 0]).square().flatten(1).mean(1)
            expected = torch.tensor([1, 0.003 / seen[1], 1 / MAX_GAIN, MAX_GAIN])
            torch.testing.assert_close(
                ratio.flatten(1).mean(1), expected, rtol=0.02, atol=0
            )  # borders count a little less
        else:
            assert not torch.equal(found.scale[1:], before.scale[1:]) and torch.equal(found.scale[0], before.scale[0])


@pytest.mark.parametrize("given", ["past", "future", "both sides", "one frame", "nothing"])
def test_only_conditions_with_generated_frames_tell_the_motion_of_the_given_ones(given):
    video = clip(batch=2)
    past = {"past": 2, "both sides": 2, "one frame": 1}.get(given, 0)
    future = {"future": 2, "both sides": 2}.get(given, 0)
    told = []

    def sample_block(condition, number, sees_generated, known):
        told.append((sees_generated, condition.motion))
        return torch.zeros(4, 3, 1, 8, 8)

    sides = video[:, :past], video[:, 7 - future :]
    list(rollout(sample_block, BLOCK, *sides, num_frames=9, num_samples=2, memory=True))
    assert len(told) == 3 and not told[0][0]
    side = sides[0] if past > 1 else sides[1]
    for sees_generated, motion in told:
        if not sees_generated or given in ("one frame", "nothing"):
            assert motion is None
        else:
            expected = (side[:, 1] - side[:, 0]).square().flatten(1).mean(1).repeat_interleave(2)
            torch.testing.assert_close(motion, expected)
    list(rollout(lambda *found: told.append(found[0].motion) or torch.zeros(4, 3, 1, 8, 8), BLOCK, *sides, 9, 2))
    assert told[3:] == [None] * 3


def test_a_model_with_memory_keeps_it_and_rolls_out_otherwise(tmp_path):
    plain, memory = (small(reference_memory=each) for each in (False, True))
    past = pixels(1, 2, 1, 16, 16)
    first, long = ([model.predict(past, frames, seed=1, steps=2) for model in (plain, memory)] for frames in (3, 9))
    assert torch.equal(*first) and not torch.equal(*long)
    memory.save_pretrained(tmp_path)
    assert torch.equal(mcvd.load(tmp_path).predict(past, 9, seed=1, steps=2), long[1])
    with pytest.raises(ValueError, match="reference_memory"):
        small(reference="frames", reference_memory=True)
