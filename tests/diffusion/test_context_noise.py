"""What steadies and steers rollouts: context noise, overlap, guidance that drops one side."""

import pytest
import torch
from reference.tiny import pixels, tiny_config

import mcvd
from mcvd.diffusion import block_sampler
from mcvd.diffusion.plan import plan
from mcvd.runtime.rng import TrainingNoise
from mcvd.samplers import DDIM

FAST = DDIM(num_steps=2)
PAST = pixels(2, 2, 1, 16, 16)
FUTURE = pixels(2, 2, 1, 16, 16, seed=1)


def steadied(conditioning="Concat", **changes):
    torch.manual_seed(0)
    config = tiny_config(conditioning=conditioning) | {"context_noise": 0.3} | changes
    config["net"]["init_args"]["conditioning"]["init_args"]["tell_noise"] = True
    config["masking"]["p_partial"] = 0.2
    model = mcvd.build(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return steadied()


def test_context_noise_touches_only_blocks_that_see_made_frames(model):
    plain = model.predict(PAST, 8, sampler=FAST)
    noised = model.predict(PAST, 8, sampler=FAST, context_noise=0.2)
    assert torch.equal(plain[:, :3], noised[:, :3])
    assert not torch.equal(plain[:, 3:6], noised[:, 3:6])


def test_the_noise_of_the_context_is_that_of_nothing_else(model, monkeypatch):
    keys = []
    keyed = block_sampler.KeyedNoise
    monkeypatch.setattr(block_sampler, "KeyedNoise", lambda given: keys.extend(given) or keyed(given))
    model.predict(PAST, 8, sampler=FAST, context_noise=0.2, num_samples=2)
    assert len(keys) == len(set(keys)) == 3 * 2 * 4  # blocks, kinds of noise, samples


@pytest.mark.parametrize("conditioning", ["Concat", "SPATIN"])
def test_the_network_is_told_the_level(conditioning):
    denoiser = steadied(conditioning).denoiser
    frames, noisy, t = torch.rand(2, 2, 1, 16, 16), torch.randn(2, 3, 1, 16, 16), torch.full((2,), 0.5)
    condition = mcvd.Condition.visible(frames, frames)
    told = condition.noised(torch.tensor([0.3, 0.3]), torch.zeros(2, 4, 1, 16, 16))
    with torch.no_grad():
        assert not torch.equal(denoiser.bind(condition)(noisy, t), denoiser.bind(told)(noisy, t))
        torch.testing.assert_close(
            denoiser.bind(told)(noisy, t),
            mcvd.noise.clean_from_noise(
                noisy, denoiser.predict_noise(noisy, t, told), denoiser.schedule(t).like(noisy)
            ),
            rtol=1e-4,
            atol=1e-4,
        )


@pytest.mark.parametrize(
    "options", [{"context_noise": 0.2}, {"overlap": 1}, {"guidance": 2.0, "guidance_drops": "past"}]
)
@pytest.mark.parametrize("num_samples", [1, 2])
def test_same_seed_same_video_for_any_batch_split(model, options, num_samples):
    whole = model.interpolate(PAST, FUTURE, 8, sampler=DDIM(2, eta=1.0), num_samples=num_samples, **options)
    parts = model.interpolate(
        PAST, FUTURE, 8, sampler=DDIM(2, eta=1.0), num_samples=num_samples, batch_size=1, **options
    )
    assert (whole.int() - parts.int()).abs().max() <= 1
    if num_samples > 1:
        assert not torch.equal(whole[:, 0], whole[:, 1])


def test_half_of_training_is_clean_and_the_rest_up_to_the_level(monkeypatch, model):
    seen = []
    monkeypatch.setattr(
        model.denoiser,
        "loss",
        lambda clean, condition, *_: seen.append(condition) or clean.flatten(1).sum(1),
    )
    model.loss({"video": pixels(64, 7, 1, 16, 16), "index": list(range(64))})
    level = seen[0].noise_level
    assert 16 < (level == 0).sum() < 48
    assert 0.2 < level.max() <= 0.3
    assert seen[0].keep.any(1).sum() > 32


def test_training_without_context_noise_draws_what_it_drew(model):
    draws = TrainingNoise(0, torch.device("cpu"))
    two, one = draws([3], (2, 2), (4,)), draws([3], (2, 2))
    assert all(torch.equal(a, b) for a, b in zip(two[:-1], one[:-1], strict=True))
    assert torch.equal(two.normal[0], one.normal[0])


def test_overlap_is_the_longest_context_of_a_block():
    block = mcvd.FrameBlock(past=3, current=4, future=2)
    steps = list(plan(block, num_past=3, num_future=2, num_frames=12, overlap=1))
    assert {len(step.past) for step in steps} <= {0, 1}
    assert {len(step.future) for step in steps} <= {0, 1}
    assert sorted(i for step in steps for i in step.current) == list(range(3, 15))
    assert list(plan(block, 3, 2, 12, overlap=3)) == list(plan(block, 3, 2, 12))


def test_dropping_one_side_mixes_in_the_estimate_without_it(model):
    frames, noisy, t = torch.rand(1, 2, 1, 16, 16), torch.randn(1, 3, 1, 16, 16), torch.full((1,), 0.5)
    condition = mcvd.Condition.visible(frames, frames)
    with torch.no_grad():
        given = model.denoiser.bind(condition)(noisy, t)
        without = model.denoiser.bind(condition.null(past=False))(noisy, t)
        guided = model.denoiser.bind(condition, guidance=2.0, guidance_drops="future")(noisy, t)
    torch.testing.assert_close(guided, without + 2 * (given - without), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_noise": 0.4}, "levels from 0 to 0.3"),
        ({"context_noise": -0.1}, "levels from 0"),
        ({"overlap": 3}, "1 to 2 frames"),
        ({"guidance": 2.0, "guidance_drops": "all"}, "'both', 'past', 'future' or 'signals'"),
    ],
)
def test_what_the_model_was_not_trained_for_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        model.predict(PAST, 4, sampler=FAST, **options)


def test_a_network_that_is_not_told_cannot_train_with_noise():
    with pytest.raises(ValueError, match="tell_noise"):
        mcvd.build(tiny_config() | {"context_noise": 0.1})


def test_partly_known_context_needs_partial_masks():
    whole_or_nothing = mcvd.build(tiny_config(p=0.0))
    with pytest.raises(ValueError, match="needs 2 past frames"):
        whole_or_nothing.interpolate(PAST[:, :1], FUTURE, 3, sampler=FAST)


def test_a_block_of_another_length_than_the_trained_one_is_refused(model):
    condition = mcvd.Condition.visible(torch.rand(1, 2, 1, 16, 16), torch.rand(1, 2, 1, 16, 16))
    with pytest.raises(ValueError, match=r"for FrameBlock\(past=2, current=3, future=2\), got \(1, 4,"):
        model.denoiser.bind(condition)(torch.randn(1, 4, 1, 16, 16), torch.full((1,), 0.5))
    with pytest.raises(ValueError, match=r"current=3.*now model.block is FrameBlock\(past=2, current=4.*--init_from"):
        mcvd.build(tiny_config(current=4)).on_load_checkpoint({"config": tiny_config(current=3)})
