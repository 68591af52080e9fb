"""Any frames given, and a noise level for each frame: masks, times, loss and sampling."""

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model
from torch.nn.init import normal_

import mcvd
from mcvd.diffusion.frame_noise import FrameNoise
from mcvd.diffusion.guidance import conditioned
from mcvd.diffusion.masking import Masking
from mcvd.frames import Condition, FrameBlock
from mcvd.samplers import DDPM, UniPC

BLOCK = FrameBlock(past=2, current=3, future=2)


def config(**options):
    """Of a tiny model that takes any frames."""
    masking = {"p_past": 0.5, "p_future": 0.5, "p_any": 0.5}
    cosine = {"class_path": "mcvd.noise.Cosine"}
    return tiny_config(net="SpaceTimeUNet") | {"predicts": "edm", "schedule": cosine, "masking": masking, **options}


def model(**options):
    torch.manual_seed(0)
    made = mcvd.build(config(**options))
    for parameter in made.parameters():
        normal_(parameter, std=0.1)
    return made.eval()


def test_any_frames_are_shown_of_some_samples():
    uniform = torch.rand(20_000, 8, generator=torch.Generator().manual_seed(0))
    is_any, context, given = Masking(p_any=0.3).given(BLOCK, uniform)
    assert is_any.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert context[is_any].float().mean(0).tolist() == pytest.approx([0.5] * 4, abs=0.02)
    patterns = {tuple(row) for row in given[is_any].tolist()}
    assert len(patterns) == 2**3 - 1  # all but all
    assert not given[~is_any].any()


def test_shown_frames_take_the_place_of_hidden_sides():
    past, future = torch.ones(2, 2, 1, 8, 8), torch.ones(2, 2, 1, 8, 8)
    shown = torch.tensor([True, False]), torch.tensor([[True, False, False, True]] * 2)
    condition = Masking(p_past=1, p_any=0.5).condition(past, future, torch.rand(2, 2), shown)
    assert condition.keep.tolist() == [[True, False, False, True], [False, False, True, True]]


def test_times_of_frames_are_of_their_kind():
    generator = torch.Generator().manual_seed(0)
    uniform, own = torch.rand(2000, generator=generator), torch.rand(2000, 5, generator=generator)
    assert torch.equal(FrameNoise().times(uniform, own), uniform[:, None].expand(-1, 4))
    assert torch.equal(FrameNoise(p_own=1).times(uniform, own), own[:, 1:])
    rising = FrameNoise(p_rising=1).times(uniform, own)
    steps = rising.diff(dim=1)
    assert ((steps - 0.25).abs() < 1e-6).logical_or(rising[:, 1:] > 1 - 1e-6).all()
    assert rising.max() < 1
    with pytest.raises(ValueError, match="probabilities"):
        FrameNoise(p_own=0.7, p_rising=0.7)


@pytest.mark.parametrize("predicts", ["eps", "v", "x0", "edm"])
@pytest.mark.parametrize("reference", ["frames", "context", "given"])
def test_given_frames_cost_nothing_and_their_noise_is_not_seen(predicts, reference):
    denoiser = model(predicts=predicts, reference=reference, schedule={"class_path": "mcvd.noise.LinearBeta"}).denoiser
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(2, 7, 1, 16, 16, generator=generator)
    past, clean, future = BLOCK.split(frames)
    noise, t = torch.randn(clean.shape, generator=generator), torch.tensor([[0.0, 0.5, 0.9], [0.3, 0.0, 0.0]])
    condition = Condition.visible(past, future)
    loss = denoiser.loss(clean, condition, t, noise)
    assert loss.isfinite().all()
    other = noise.clone()
    other[t == 0] += 5
    assert torch.equal(loss, denoiser.loss(clean, condition, t, other))
    other[t > 0] += 1
    assert (loss != denoiser.loss(clean, condition, t, other)).all()


@pytest.mark.parametrize("min_snr", [None, 5.0])
def test_one_time_for_all_frames_is_that_time_for_each(min_snr):
    denoiser = model(min_snr=min_snr).denoiser
    generator = torch.Generator().manual_seed(0)
    frames, noise = torch.randn(2, 7, 1, 16, 16, generator=generator), torch.randn(2, 3, 1, 16, 16, generator=generator)
    past, clean, future = BLOCK.split(frames)
    t, condition = torch.tensor([0.2, 0.7]), Condition.visible(past, future)
    each = denoiser.loss(clean, condition, t[:, None].expand(-1, 3), noise)
    torch.testing.assert_close(each, denoiser.loss(clean, condition, t, noise))


def test_training_draws_the_same_for_a_clip_in_any_batch_and_reaches_every_weight():
    trained = model(frame_noise={"p_own": 0.4, "p_rising": 0.3}).train()
    video = pixels(4, 7, 1, 16, 16)
    loss = trained.loss({"video": video, "index": [5, 6, 7, 8]})
    alone = trained.loss({"video": video[2:3], "index": [7]})
    torch.testing.assert_close(loss[2:3], alone)
    loss.mean().backward()
    idle = [name for name, each in trained.named_parameters() if each.grad is None or not each.grad.any()]
    assert idle == ["denoiser.net.embed_given.weight"]  # of the context's noise, of which there is none


def test_motion_is_told_to_frames_of_patches_too():
    net = config()["net"]
    told = {"class_path": "mcvd.nets.Concat", "init_args": {"tell_motion": True}}
    net = net | {"init_args": net["init_args"] | {"conditioning": told, "patch": 2}}
    trained, past = model(net=net, reference="given"), pixels(2, 2, 1, 16, 16)
    trained.loss({"video": pixels(2, 7, 1, 16, 16)}).mean().backward()
    assert trained.denoiser.net.first_own.weight.grad.any()
    options = {"steps": 2, "num_samples": 2, "progress": False, "known": {1: past[0, 0]}}
    made = trained.predict(past, 3, **options)
    assert (made[:, :, 1] == past[0, 0]).all()
    alone = trained.predict(past[1:], 3, **options | {"num_samples": 1, "first_video": 1})
    torch.testing.assert_close(made[1, 0], alone[0], atol=1, rtol=0)


def test_a_known_frame_is_shown_clean_at_time_zero():
    calls, frames = [], torch.full((2, 3, 1, 4, 4), 7.0)
    keep = torch.tensor([[False, True, False]]).expand(2, -1)

    def denoise(noisy, t):
        calls.append((noisy, t))
        return noisy

    conditioned(denoise, frames, keep)(torch.zeros(2, 3, 1, 4, 4), torch.tensor([0.5]).expand(2))
    ((noisy, t),) = calls
    assert t.tolist() == [[0.5, 0.0, 0.5]] * 2
    assert t.stride(0) == 0
    assert noisy[:, :, 0, 0, 0].tolist() == [[0, 7, 0]] * 2


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("reference", ["frames", "context", "given"])
def test_known_frames_come_out_and_act_on_all_of_their_block(guidance, reference):
    trained, past = model(reference=reference), pixels(2, 2, 1, 16, 16)
    options = {"sampler": DDPM(3), "guidance": guidance, "progress": False}
    known = pixels(2, 1, 16, 16, seed=1)
    made = trained.predict(past, 6, known={1: known}, **options)
    other = trained.predict(past, 6, known={1: 255 - known}, **options)
    assert torch.equal(made[:, 1], known)
    assert all((made[:, frame] != other[:, frame]).any() for frame in (0, 2, 3))


def test_frames_around_a_short_gap_are_used_and_not_made_again():
    trained = model()
    past, future = pixels(1, 4, 1, 16, 16), pixels(1, 3, 1, 16, 16, seed=1)
    options = {"sampler": UniPC(3), "progress": False}
    made = trained.interpolate(past, future, 1, **options)
    changed = past.clone()
    changed[:, 3] = 255 - changed[:, 3]  # which lies inside the window, not before it
    assert (made != trained.interpolate(changed, future, 1, **options)).any()
    guided = [trained.interpolate(each, future, 1, known_by="guidance", **options) for each in (past, changed)]
    assert torch.equal(*guided)


def test_a_part_of_a_frame_is_known_by_guidance():
    trained, past = model(), pixels(1, 2, 1, 16, 16)
    keep = torch.zeros(16, 16, dtype=torch.bool)
    keep[:8] = True
    made = trained.predict(past, 3, known={1: past[0, 0]}, known_pixels=keep, steps=2, progress=False)
    assert torch.equal(made[0, 1][:, keep], past[0, 0][:, keep])
    with pytest.raises(ValueError, match="whole frames"):
        trained.predict(past, 3, known={1: past[0, 0]}, known_pixels=keep, known_by="condition")


def test_models_that_never_saw_it_say_so():
    with pytest.raises(ValueError, match=r"masking\.p_any"):
        tiny_model().predict(pixels(1, 2, 1, 16, 16), 3, known={1: pixels(1, 16, 16)}, known_by="condition")
    with pytest.raises(ValueError, match="SpaceTimeUNet"):
        mcvd.build(tiny_config() | {"masking": {"p_any": 0.5}})
    with pytest.raises(ValueError, match="SpaceTimeUNet"):
        mcvd.build(tiny_config() | {"frame_noise": {"p_own": 0.5}})


def test_it_is_kept_and_tells_what_it_is(tmp_path):
    trained = model(frame_noise={"p_own": 0.25})
    trained.save_pretrained(tmp_path / "kept")
    again = mcvd.load(tmp_path / "kept")
    assert again.masking.p_any == 0.5
    assert again.frame_noise == FrameNoise(p_own=0.25)
    assert again.facts().net == "SpaceTimeUNet"
    past = pixels(1, 2, 1, 16, 16)
    options = {"steps": 2, "progress": False, "known": {0: past[0, 0]}}
    assert torch.equal(trained.predict(past, 3, **options), again.predict(past, 3, **options))
