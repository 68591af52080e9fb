"""The verbs of a model: what goes in, what comes out, and that chance is in the seed alone."""

import pytest
import torch
from lightning import Trainer
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.diffusion import engine
from mcvd.samplers import DDIM, DDPM
from mcvd.samplers.select import default_sampler

FAST = DDPM(num_steps=2)
PAST, FUTURE = pixels(2, 4, 1, 16, 16), pixels(2, 3, 1, 16, 16, seed=1)


@pytest.fixture(scope="module", params=["Concat", "SPATIN"])
def model(request):
    return tiny_model(conditioning=request.param)


class TestShapes:
    def test_predict(self, model):
        made = model.predict(PAST, num_frames=7, sampler=FAST)
        assert made.shape == (2, 7, 1, 16, 16)
        assert made.dtype == torch.uint8

    def test_samples_get_an_axis_of_their_own(self, model):
        assert model.predict(PAST, num_frames=4, num_samples=3, sampler=FAST).shape == (2, 3, 4, 1, 16, 16)

    def test_one_video_needs_no_batch_axis(self, model):
        assert torch.equal(
            model.predict(PAST[0], num_frames=4, sampler=FAST), model.predict(PAST[:1], num_frames=4, sampler=FAST)
        )

    def test_backward(self, model):
        assert model.predict(FUTURE, num_frames=4, backward=True, sampler=FAST).shape == (2, 4, 1, 16, 16)

    def test_interpolate(self, model):
        assert model.interpolate(PAST, FUTURE, num_frames=11, sampler=FAST).shape == (2, 11, 1, 16, 16)

    def test_generate(self, model):
        assert model.generate(num_frames=5, num_samples=3, sampler=FAST).shape == (3, 5, 1, 16, 16)


@pytest.mark.parametrize(
    ("clips", "told"),
    [
        (pixels(2, 7, 16, 16, 1), r"channels come before height and width: video.permute\(0, 1, 4, 2, 3\)"),
        (pixels(2, 1, 7, 16, 16), r"time comes before channels: video.transpose\(1, 2\)"),
        (pixels(1, 7, 16, 16), r"time comes before channels: video.transpose\(0, 1\)"),
        (pixels(1, 16, 16), r"one frame has no axis of time: frame\[None\]"),
        (pixels(2, 7, 3, 16, 16), r"C, H, W = \(1, 16, 16\), got torch.uint8 \(2, 7, 3, 16, 16\)"),
        (pixels(2, 7, 1, 16, 8), r"C, H, W = \(1, 16, 16\)"),
        (pixels(2, 7, 1, 16, 16) / 255, r"\(255 \* video\).round\(\) as uint8"),
        (pixels(2, 7, 1, 16, 16).long(), "uint8"),
    ],
)
def test_clips_to_learn_from_are_checked_as_frames_to_sample_from_are(clips, told):
    with pytest.raises(ValueError, match=told):
        tiny_model().loss(clips)


class TestManners:
    @pytest.mark.parametrize("training", [True, False])
    def test_a_model_is_left_in_its_mode(self, training):
        model = tiny_model().train(training)
        model.predict(PAST, 3, sampler=FAST)
        assert all(module.training == training for module in model.modules())

    @pytest.mark.parametrize("schedule", ["LinearBeta", "Geometric"])
    def test_samplers_begin_with_noise_of_the_last_time(self, schedule, monkeypatch):
        begun, sample = [], DDPM.__call__
        monkeypatch.setattr(
            DDPM,
            "__call__",
            lambda own, denoise, noise, *more: begun.append(noise) or sample(own, denoise, noise, *more),
        )
        model = mcvd.build(tiny_config() | {"schedule": {"class_path": f"mcvd.noise.{schedule}"}})
        model.predict(PAST, 3, num_samples=4, sampler=FAST)
        end = model.denoiser.schedule(torch.ones((), dtype=torch.float64))
        assert begun[0].std().item() == pytest.approx((end.alpha**2 + end.sigma**2).sqrt().item(), rel=0.05)


class TestChance:
    def test_the_same_seed_gives_the_same_video(self, model):
        one, two = (model.predict(PAST, 4, sampler=FAST, seed=3) for _ in range(2))
        assert torch.equal(one, two)

    def test_the_global_generators_have_no_influence(self, model):
        one = model.predict(PAST, 4, sampler=FAST)
        torch.manual_seed(99)
        assert torch.equal(one, model.predict(PAST, 4, sampler=FAST))

    def test_another_seed_gives_another_video(self, model):
        assert not torch.equal(
            model.predict(PAST, 4, sampler=FAST, seed=0), model.predict(PAST, 4, sampler=FAST, seed=1)
        )

    def test_samples_differ(self, model):
        made = model.predict(PAST, 4, num_samples=2, sampler=FAST)
        assert not torch.equal(made[:, 0], made[:, 1])

    @pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
    def test_the_split_into_batches_has_no_influence(self, model, batch_size):
        whole = model.predict(PAST, 7, num_samples=3, sampler=FAST)
        rows = []
        with model.denoiser.net.register_forward_pre_hook(lambda net, inputs: rows.append(len(inputs[0]))):
            split = model.predict(PAST, 7, num_samples=3, sampler=FAST, batch_size=batch_size)
        assert (whole.int() - split.int()).abs().max() <= 1
        assert max(rows) == min(batch_size, 3)  # whole videos only, where one with all of its samples fits

    @pytest.mark.parametrize(("guidance", "videos_at_once"), [(1.0, 2), (1.5, 1)])
    def test_guided_calls_keep_two_conditions_for_each_video(self, model, monkeypatch, guidance, videos_at_once):
        monkeypatch.setattr(engine, "MAX_CACHE_BYTES", 2 * model.denoiser.net.cache_bytes(16, 16))
        rows = []
        with model.denoiser.net.register_forward_pre_hook(lambda net, inputs: rows.append(len(inputs[0]))):
            model.predict(PAST, 3, sampler=FAST, guidance=guidance)
        assert set(rows) == {2}  # both videos, or one with and without its condition
        assert len(rows) == FAST.num_calls * 2 // videos_at_once

    def test_more_samples_begin_with_the_fewer(self, model):
        two, three = (model.predict(PAST, 4, num_samples=k, sampler=FAST) for k in (2, 3))
        assert (two.int() - three[:, :2].int()).abs().max() <= 1

    def test_made_in_parts_is_made_together(self, model):
        whole = model.generate(num_frames=3, num_samples=3, sampler=FAST)
        rest = model.generate(num_frames=3, num_samples=2, first_video=1, sampler=FAST)
        assert (whole[1:].int() - rest.int()).abs().max() <= 1
        whole = model.predict(PAST, 3, num_samples=3, sampler=FAST)
        rest = model.predict(PAST, 3, num_samples=2, first_sample=1, sampler=FAST)
        assert (whole[:, 1:].int() - rest.int()).abs().max() <= 1

    def test_a_seed_per_video_makes_each_as_if_alone(self, model):
        both = model.predict(PAST, 4, sampler=FAST, seed=[5, 8])
        alone = model.predict(PAST[1:], 4, sampler=FAST, seed=[8])
        assert (both[1:].int() - alone.int()).abs().max() <= 1


class TestStreams:
    def test_the_pieces_are_the_video(self, model):
        whole = model.predict(PAST, 8, sampler=FAST)
        pieces = list(model.stream(PAST, 8, sampler=FAST))
        assert [start for start, _ in pieces] == [0, 3, 6]
        assert torch.equal(torch.cat([frames for _, frames in pieces], 1), whole)

    def test_backward_streams_descend(self, model):
        whole = model.predict(FUTURE, 7, backward=True, sampler=FAST)
        pieces = list(model.stream(None, 7, future=FUTURE, sampler=FAST))
        assert [start for start, _ in pieces] == [4, 1, 0]
        assert torch.equal(torch.cat([frames for _, frames in reversed(pieces)], 1), whole)

    def test_a_stream_starts_before_it_is_finished(self, model):
        start, frames = next(iter(model.stream(PAST[:1], 10_000, sampler=DDIM(num_steps=1))))
        assert (start, frames.shape[1]) == (0, 3)


class TestContext:
    def test_only_the_nearest_frames_count(self, model):
        other = PAST.clone()
        other[:, :2] = 0
        assert torch.equal(model.predict(PAST, 4, sampler=FAST), model.predict(other, 4, sampler=FAST))

    def test_the_past_has_influence(self, model):
        assert not torch.equal(model.predict(PAST, 4, sampler=FAST), model.predict(255 - PAST, 4, sampler=FAST))

    def test_guidance_one_is_no_guidance_and_two_is_not(self, model):
        plain = model.predict(PAST, 4, sampler=FAST)
        assert torch.equal(plain, model.predict(PAST, 4, sampler=FAST, guidance=1.0))
        assert not torch.equal(plain, model.predict(PAST, 4, sampler=FAST, guidance=2.0))


def test_guidance_mixes_the_conditional_and_the_null_estimate():
    denoiser = tiny_model().denoiser
    condition = mcvd.Condition.visible(torch.rand(2, 2, 1, 16, 16), torch.rand(2, 2, 1, 16, 16))
    noisy, t = torch.randn(4, 3, 1, 16, 16), torch.full((4,), 0.5)
    with torch.no_grad():
        given, null = denoiser.bind(condition)(noisy, t), denoiser.bind(condition.null())(noisy, t)
        guided = denoiser.bind(condition, guidance=1.5)(noisy, t)
    torch.testing.assert_close(guided, null + 1.5 * (given - null), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("conditioning", ["Concat", "SPATIN"])
def test_bound_and_plain_estimates_agree(conditioning):
    denoiser = tiny_model(conditioning=conditioning).denoiser
    condition = mcvd.Condition.visible(torch.rand(2, 2, 1, 16, 16), torch.rand(2, 2, 1, 16, 16))
    noisy, t = torch.randn(2, 3, 1, 16, 16), torch.tensor([0.3, 0.9])
    at = denoiser.schedule(t).like(noisy)
    with torch.no_grad():
        bound = mcvd.noise.noise_from_clean(noisy, denoiser.bind(condition)(noisy, t), at)
        torch.testing.assert_close(bound, denoiser.predict_noise(noisy, t, condition), rtol=1e-5, atol=1e-5)


class TestRefusals:
    def test_frames_of_another_size(self, model):
        with pytest.raises(ValueError, match=r"C, H, W = \(1, 16, 16\)"):
            model.predict(pixels(1, 2, 1, 8, 8), 4)

    def test_floats(self, model):
        with pytest.raises(ValueError, match="uint8"):
            model.predict(PAST.float(), 4)

    def test_nothing_given(self, model):
        with pytest.raises(ValueError, match="generate"):
            model.stream(None, 4)

    def test_no_samples(self, model):
        with pytest.raises(ValueError, match="num_samples"):
            model.predict(PAST, 4, num_samples=0)

    def test_too_few_seeds(self, model):
        with pytest.raises(ValueError, match="seed"):
            model.predict(PAST, 4, seed=[1])

    def test_guidance_without_masks(self):
        with pytest.raises(ValueError, match="hidden"):
            tiny_model(future=0, p=0).predict(PAST, 4, guidance=2.0)

    def test_sizes_that_cannot_be_halved(self):
        with pytest.raises(ValueError, match="divisible by 2"):
            mcvd.build(tiny_config() | {"size": [15, 16]})


class TestTraining:
    def batch(self, *numbers):
        return {"video": torch.stack([pixels(7, 1, 16, 16, seed=n) for n in numbers]), "index": list(numbers)}

    def test_a_clip_has_the_same_loss_in_any_batch(self, model):
        together, alone = model.loss(self.batch(1, 2, 3)), model.loss(self.batch(2))
        torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=0)

    def test_each_visit_to_a_clip_draws_anew(self, model):
        video = pixels(1, 7, 1, 16, 16)
        first, second = (model.loss({"video": video, "index": [n]}) for n in (0, 100))
        assert not torch.equal(first, second)

    def test_the_learning_rate_rises_as_published(self):
        model = tiny_model()
        model.warmup_steps = 4
        configured = model.configure_optimizers()
        optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
        rates = []
        for _ in range(6):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        assert rates == pytest.approx([0, 0.5e-4, 1e-4, 1.5e-4, 2e-4, 2e-4])

    def test_the_learning_rate_falls_at_the_end_when_asked(self):
        model = tiny_model()
        model.warmup_steps, model.cooldown_steps = 2, 4
        model.trainer = Trainer(max_steps=8, accelerator="cpu", logger=False, enable_checkpointing=False)
        configured = model.configure_optimizers()
        optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
        rates = []
        for _ in range(9):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        assert rates == pytest.approx([0, 1e-4, 2e-4, 2e-4, 2e-4, 1.5e-4, 1e-4, 0.5e-4, 0])


def test_the_default_is_what_samples_where_none_is_chosen(model):
    made = model.generate(num_frames=2, seed=1)
    assert torch.equal(made, model.generate(num_frames=2, seed=1, sampler=default_sampler(from_nothing=True)))
    past = torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    assert torch.equal(model.predict(past, 2), model.predict(past, 2, sampler=default_sampler()))
