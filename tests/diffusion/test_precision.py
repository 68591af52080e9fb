"""Sampling in bf16: the same videos as in float32 within what bf16 allows."""

import pytest
import torch
from reference.tiny import pixels, tiny_config, tiny_model

import mcvd
from mcvd.nets import Context
from mcvd.samplers import DDIM

pytestmark = pytest.mark.filterwarnings("ignore:this CPU has no arithmetic for bf16")


def psnr(a, b):
    return -10 * ((a.double() - b.double()) / 255).square().mean().log10()


@pytest.mark.parametrize("conditioning", ["Concat", "SPATIN"])
def test_bf16_makes_the_video_of_float32(conditioning):
    model, past = tiny_model(conditioning=conditioning), pixels(2, 2, 1, 16, 16)
    model.denoiser.predicts = "v"  # random weights that predict noise would be chaotic: 1 / alpha is 160 at first
    options = {"num_frames": 3, "seed": 3, "sampler": DDIM(num_steps=10)}
    exact, rough = (model.predict(past, precision=precision, **options) for precision in ("float32", "bf16"))
    other = model.predict(past, **(options | {"seed": 4}))
    assert psnr(exact, rough) > 30 > psnr(exact, other)


@pytest.mark.parametrize("colors", [False, True], ids=["grey", "colours"])
def test_the_state_of_the_sampler_stays_float32(colors):
    """Its noise too, which is mixed of the channels of white noise, and clipped estimates, which are mixed back."""
    seen, model = [], tiny_model()
    if colors:
        chosen = {"reference": "context", "reference_colors": True, "colored_noise": True, "reference_flow": True}
        model = mcvd.build(tiny_config(channels=3) | chosen)

    class Watched(DDIM):
        def __call__(self, denoise, noise, schedule, draw):
            def watched(noisy, t):
                clean = denoise(noisy, t)
                clipped = denoise.clip(clean)
                seen.extend([noisy.dtype, clean.dtype, clipped.dtype, draw(noisy).dtype])
                return clean

            return super().__call__(watched, noise, schedule, draw)

    model.predict(pixels(1, 2, model.channels, 16, 16), 3, sampler=Watched(num_steps=2), precision="bf16")
    assert set(seen) == {torch.float32}


def test_a_cpu_without_fast_bf16_is_told_of(monkeypatch):
    monkeypatch.setattr("mcvd.diffusion.engine.has_fast_bf16", lambda device: False)
    with pytest.warns(UserWarning, match="longer than float32"):
        tiny_model().predict(pixels(1, 2, 1, 16, 16), 3, sampler=DDIM(num_steps=1), precision="bf16")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_refused_with_what_to_do(dtype):
    """The convolution said that its input and weights should be the same, and not which of them to change."""
    model, past = tiny_model().to(dtype), pixels(1, 2, 1, 16, 16)
    with pytest.raises(ValueError, match=rf"the weights are {dtype}.*call float\(\)"):
        model.predict(past, 3, sampler=DDIM(num_steps=1))
    assert model.float().predict(past, 3, sampler=DDIM(num_steps=1)).shape == (1, 3, 1, 16, 16)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="bf16"):
        tiny_model().predict(pixels(1, 2, 1, 16, 16), 3, precision="int8")


class Silent(DDIM):
    """Does not tell its times beforehand."""

    def times(self, schedule):
        return None


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("past_embedding", [False, True], ids=["", "past_embedding"])
def test_times_that_are_told_beforehand_change_nothing_but_work(past_embedding, precision):
    model, past = tiny_model(past_embedding=past_embedding), pixels(2, 2, 1, 16, 16)
    model.denoiser.predicts = "v"
    chosen = {"num_frames": 6, "num_samples": 2, "guidance": 1.5, "precision": precision}
    told, silent = (model.predict(past, sampler=kind(num_steps=4), **chosen) for kind in (DDIM, Silent))
    assert psnr(told, silent) > (60 if precision == "float32" else 30)


def test_one_time_for_all_is_the_same_as_a_time_for_each():
    model, noisy = tiny_model(), torch.randn(4, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    context = torch.zeros(2, 4, 1, 16, 16)
    net, label = model.denoiser.net, torch.tensor([300.0])
    with torch.inference_mode():
        encoded = net.encode_condition(Context(context, torch.ones(2, 4, dtype=torch.bool)), cache=True)
        one, each = net(noisy, label.expand(4), encoded), net(noisy, label.repeat(4), encoded)
    torch.testing.assert_close(one, each, atol=1e-5 * each.abs().max().item(), rtol=0)
