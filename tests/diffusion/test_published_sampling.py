"""Samples and losses equal those of the published code, with its weights, inputs and noises."""

import pytest
import torch
from reference.published import description, needs_fixtures, tensors

from mcvd.diffusion.denoiser import Denoiser
from mcvd.frames import Condition, FrameBlock
from mcvd.models.published.state_dict import translate, translations
from mcvd.nets import Concat, UNet
from mcvd.noise import LinearBeta
from mcvd.samplers import DDIM, DDPM

RUNS = [
    f"{name}_clip{clip}_denoise{denoise}"
    for name in ("ddpm_10", "ddpm_50", "ddim_10")
    for clip in (0, 1)
    for denoise in (0, 1)
] + ["ddpm_justbeta_10_clip1_denoise1"]

pytestmark = needs_fixtures


def denoiser_a(dtype=torch.float32, distance="squared"):
    weights = tensors("unet_a")
    net = UNet(
        FrameBlock(2, 4, 2), width=16, multipliers=(1, 2, 2), num_blocks=1, attention_levels=(1, 2), head_channels=16,
        conditioning=Concat(tell_mask=False),
    )  # fmt: skip
    net.load_state_dict(translate(net, {k[4:]: v for k, v in weights.items() if k.startswith("ref.")}))
    return Denoiser(net.to(dtype).eval(), LinearBeta(), distance=distance)


def frames(channels):
    return channels.unflatten(1, (-1, 3))


@pytest.mark.parametrize("run", RUNS)
def test_samples_are_the_published_ones(run):
    inputs = tensors("sampler_inputs")
    outputs, about = tensors("sampler_a"), description("sampler_a")["runs"][run]
    past, future = frames(inputs["cond"]).split([2, 2], 1)
    noises = iter(frames(inputs["noises"].flatten(0, 1)).unflatten(0, (-1, 1)))
    options = {
        "num_steps": about["subsample_steps"],
        "clip": about["clip_before"],
        "published_final_denoise": about["denoise"],
    }
    sampler = DDIM(**options) if "ddim" in run else DDPM(**options, just_beta=about["just_beta"])
    with torch.inference_mode():
        denoise = denoiser_a().bind(Condition.visible(past, future))
        sample = sampler(denoise, frames(inputs["x_init"]), LinearBeta(), draw=lambda x: next(noises))

    reference = frames(outputs[f"{run}.f64"])
    tolerance = (1e-3 if "ddim" in run else 5e-5) * max(1, reference.abs().max().item())
    assert (sample - reference).abs().max() < tolerance
    assert sampler.num_calls == about["net_calls"]
    assert len(list(noises)) == len(inputs["noises"]) - about["noises_used"]


@pytest.mark.parametrize(("name", "distance"), [("L2", "squared"), ("L1", "absolute")])
def test_loss_and_gradients_are_the_published_ones(name, distance):
    inputs, about = tensors("loss_a"), description("loss_a")
    denoiser = denoiser_a(torch.float64, distance)
    past, future = frames(inputs["in.cond"].double()).split([2, 2], 1)
    t = 1 - inputs["in.labels"].double() / 1000
    loss = denoiser.loss(frames(inputs["in.x"].double()), Condition.visible(past, future), t, frames(inputs["in.z"]))
    loss.mean().backward()

    torch.testing.assert_close(loss, inputs[f"{name}.f64.per_sample"].double(), rtol=1e-5, atol=0)
    expected = about[f"{name}.grad_l2_per_param_f64"]
    gradients = dict(denoiser.net.named_parameters())
    for each in translations(denoiser.net):
        parts = gradients[each.ours].grad.chunk(len(each.published))
        for published, part in zip(each.published, parts, strict=True):
            assert part.norm().item() == pytest.approx(expected.pop(published), rel=1e-5)
    assert not expected
