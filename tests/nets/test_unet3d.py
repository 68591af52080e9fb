"""The 3-D networks give the numbers of the published code, and take what the 2-D network takes."""

import pytest
import torch
from reference.published import published_shapes
from reference.published_numbers import (
    ABOUT,
    LABELS,
    Draws,
    answers,
    inputs,
    names_and_shapes_digest,
    network,
)

from mcvd.diffusion.denoiser import Denoiser
from mcvd.frames import Condition, FrameBlock
from mcvd.models.published.checkpoint import build_net
from mcvd.models.published.config import translate_config
from mcvd.nets import SPATIN, Concat, Context, UNet3D
from mcvd.noise import LinearBeta
from mcvd.samplers import DDIM, DDPM

CASES = ["3d", "pseudo3d", "3d_spade", "pseudo3d_spade"]
BLOCK = FrameBlock(past=2, current=3, future=1)


def shapes_of(case):
    return published_shapes(build_net(translate_config(ABOUT[case]["config"])))


def condition(case, past, future):
    """The one that the case was computed with: the mask embedding is told that the second past is hidden, which it
    is not."""
    keep = torch.ones(past.shape[:2], dtype=torch.bool)
    told = keep.clone()
    if ABOUT[case]["config"]["model"]["cond_emb"]:
        told[1] = False
    return torch.cat([past, future], 1), torch.cat([told, torch.ones(future.shape[:2], dtype=torch.bool)], 1)


@pytest.mark.parametrize("case", [*CASES, "shipped"])
def test_names_and_shapes_are_those_of_the_published_state_dict(case):
    shapes = shapes_of(case)
    assert names_and_shapes_digest(shapes) == ABOUT[case]["names_and_shapes_sha256"]
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == ABOUT[case]["parameters"]


@pytest.mark.parametrize("case", [*CASES, "shipped"])
def test_the_answer_is_the_published_one(case):
    net = network(case, shapes_of(case))
    noisy, past, future = inputs(case)
    for cache in (True, False) if case != "shipped" else (True,):
        with torch.inference_mode():
            answer = net(noisy, LABELS, net.encode_condition(Context(*condition(case, past, future)), cache)).flatten(
                1, 2
            )
        step = 8 if case == "shipped" else 2
        assert (answer[..., ::step, ::step] - answers(case)["eps"]).abs().max() < 2e-5


@pytest.mark.parametrize("kind", ["ddpm", "ddim"])
@pytest.mark.parametrize("case", CASES)
def test_samples_are_the_published_ones(case, kind):
    noisy, past, future = inputs(case)
    denoiser = Denoiser(network(case, shapes_of(case)), LinearBeta())
    sampler = DDPM(10) if kind == "ddpm" else DDIM(10)
    with torch.inference_mode():
        sample = sampler(denoiser.bind(Condition.visible(past, future)), noisy, LinearBeta(), Draws())
    difference = (sample.flatten(1, 2)[..., ::2, ::2] - answers(case)[f"{kind}_10"]).abs().max()
    assert difference < (5e-5 if kind == "ddpm" else 1e-3)


@pytest.mark.parametrize("conditioning", [Concat(tell_mask=False), SPATIN(width=8, tell_mask=False)], ids=repr)
@pytest.mark.parametrize("factorized", [False, True])
def test_samples_of_a_condition_are_computed_as_if_each_had_its_own(conditioning, factorized):
    torch.manual_seed(0)
    net = UNet3D(
        BLOCK, 1, 8, (1, 2), 1, (1,), 8, conditioning=conditioning, factorized=factorized, past_embedding=True
    ).eval()
    context, keep, noisy = torch.randn(2, 3, 1, 8, 8), torch.ones(2, 3, dtype=torch.bool), torch.randn(4, 3, 1, 8, 8)
    label = torch.tensor([300.0]).expand(4)
    with torch.inference_mode():
        shared = net(noisy, label, net.encode_condition(Context(context, keep), cache=True))
        doubled = (context.repeat_interleave(2, 0), keep.repeat_interleave(2, 0))
        torch.testing.assert_close(shared, net(noisy, label, net.encode_condition(Context(*doubled), cache=False)))
    assert net.cache_bytes(8, 8) == sum(
        each.nbytes // 2
        for maps in net.encode_condition(Context(context, keep), True).cached.values()
        if maps
        for each in maps
    )


@pytest.mark.parametrize("factorized", [False, True])
def test_gradients_are_the_same_with_checkpointing_and_reach_every_weight(factorized):
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        net = UNet3D(
            BLOCK, 1, 8, (1, 2), 1, (1,), 8, conditioning=SPATIN(8, tell_mask=False), factorized=factorized,
            gradient_checkpointing=checkpointing,
        )  # fmt: skip
        noise = torch.Generator().manual_seed(1)
        context, noisy = (torch.randn(2, 3, 1, 8, 8, generator=noise) for _ in range(2))
        condition = net.encode_condition(Context(context, torch.ones(2, 3, dtype=torch.bool)), cache=False)
        net(noisy, torch.tensor([10.0, 900.0]), condition).square().sum().backward()
        gradients.append({name: weight.grad for name, weight in net.named_parameters()})
    assert all(gradient is not None for gradient in gradients[0].values())
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("conditioning", "block", "named"),
    [
        (Concat(), BLOCK, "tell_mask"),
        (SPATIN(tell_mask=False), FrameBlock(0, 2), "SPATIN needs context"),
        (SPATIN(width=2, tell_mask=False), BLOCK, "shared out among the 3 frames"),
    ],
)
def test_what_cannot_be_built_is_refused(conditioning, block, named):
    with pytest.raises(ValueError, match=named):
        UNet3D(block, conditioning=conditioning)
