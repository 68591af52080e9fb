"""The fast network against the same network computed the plain way."""

import pytest
import torch
from reference.plain_unet import plain_forward

from mcvd.frames import FrameBlock
from mcvd.nets import SPATIN, Concat, Context, UNet


def network(conditioning):
    torch.manual_seed(0)
    block = FrameBlock(past=2, current=2, future=1)
    options = {"width": 16, "multipliers": (1, 2, 2), "attention_levels": (1, 2), "head_channels": 16}
    net = UNet(block, conditioning=conditioning, **options)
    for parameter in net.parameters():
        if parameter.ndim > 1 and parameter.abs().max() < 1e-3:  # those that start at almost nothing
            torch.nn.init.normal_(parameter, std=0.05)
    return net.eval()


def inputs():
    generator = torch.Generator().manual_seed(1)
    keep = torch.tensor([[True, True, False], [True, True, True]])
    context = torch.randn(2, 3, 3, 16, 24, generator=generator) * keep[..., None, None, None]
    noisy = torch.randn(2, 2, 3, 16, 24, generator=generator)
    return noisy, torch.tensor([980.0, 37.0]), context, keep


@pytest.mark.parametrize("conditioning", [Concat(), SPATIN(16)], ids=str)
@pytest.mark.parametrize("cache", [True, False])
def test_the_fast_network_equals_the_plain_one(conditioning, cache):
    net, (noisy, label, context, keep) = network(conditioning), inputs()
    with torch.inference_mode():
        expected = plain_forward(net, noisy, label, context, keep)
        answer = net(noisy, label, net.encode_condition(Context(context, keep), cache))
    torch.testing.assert_close(answer, expected, atol=2e-5 * expected.abs().max().item(), rtol=0)


@pytest.mark.parametrize("conditioning", [Concat(), SPATIN(16)], ids=str)
def test_bf16_is_the_plain_network_within_its_precision(conditioning):
    net, (noisy, label, context, keep) = network(conditioning), inputs()
    with torch.inference_mode():
        expected = plain_forward(net, noisy, label, context, keep)
        with torch.autocast("cpu", torch.bfloat16):
            answer = net(noisy, label, net.encode_condition(Context(context, keep), cache=True))
    assert (answer - expected).std() < 0.03 * expected.std()


@pytest.mark.parametrize("conditioning", [Concat(), SPATIN(16)], ids=str)
def test_the_fast_network_has_the_gradients_of_the_plain_one(conditioning):
    net, (noisy, label, context, keep) = network(conditioning), inputs()
    plain_forward(net, noisy, label, context, keep).square().sum().backward()
    expected = [parameter.grad.clone() for parameter in net.parameters()]
    net.zero_grad()
    net(noisy, label, net.encode_condition(Context(context, keep), cache=False)).square().sum().backward()
    for parameter, each in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, each, atol=1e-4 * each.abs().max().item() + 1e-5, rtol=1e-4)
