"""The I3D network against its published structure."""

from itertools import pairwise

import pytest
import torch

from mcvd.metrics.i3d import I3D, conv_same, max_pool_same, random_i3d


def windows(x, kernel, stride, fill):
    """TensorFlow's definition of "same": ceil(size / stride) windows, (B, C, T', H', W', kernel...)."""
    for axis, (size, window, step) in enumerate(zip(x.shape[2:], kernel, stride, strict=True), start=2):
        count = -(-size // step)
        missing = max((count - 1) * step + window - size, 0)
        shape = list(x.shape)
        parts = []
        for place in range(count):
            part = []
            for offset in range(window):
                where = place * step - missing // 2 + offset
                shape[axis] = 1
                part.append(x.narrow(axis, where, 1) if 0 <= where < size else x.new_full(shape, fill))
            parts.append(torch.cat(part, axis).unsqueeze(axis).movedim(axis + 1, -1))
        x = torch.cat(parts, axis)
    return x


def independent_conv(x, weight, stride):
    return torch.einsum("bcthwijk,dcijk->bdthw", windows(x, weight.shape[2:], stride, 0.0), weight)


def independent_pool(x, kernel, stride):
    return windows(x, kernel, stride, -float("inf")).amax((-1, -2, -3))


@pytest.mark.parametrize("size", [(2, 4, 6), (3, 5, 7), (1, 8, 9)])
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 1), (1, 1), (3, 2), (2, 2)])
def test_padding_is_same_as_tensorflow_defines_it(size, kernel, stride):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *size, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 3, kernel, kernel, kernel, generator=generator, dtype=torch.float64)
    steps = (stride,) * 3
    torch.testing.assert_close(conv_same(x, weight, None, steps), independent_conv(x, weight, steps))
    torch.testing.assert_close(max_pool_same(x, (kernel,) * 3, steps), independent_pool(x, (kernel,) * 3, steps))


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 3, 3), (2, 2, 2)])
def test_pooling_is_the_same_to_the_bit_with_and_without_gradients(kernel):
    x = torch.randn(2, 3, 5, 9, 8, generator=torch.Generator().manual_seed(0))
    x[0, 0, 0, 0, 0], x[1, 2, 4, 8, 7] = float("nan"), float("-inf")
    for stride in ((1, 1, 1), (1, 2, 2), (2, 2, 2)):
        pooled = max_pool_same(x, kernel, stride)
        traced = max_pool_same(x.clone().requires_grad_(), kernel, stride)
        torch.testing.assert_close(pooled, traced.detach(), rtol=0, atol=0, equal_nan=True)


def independent_logits(state, video):
    """The graph of deepmind/i3d-kinetics-400, written down from its list of operations."""

    def unit(x, name, stride=1):
        x = independent_conv(x, state[f"{name}.conv3d.weight"], (stride,) * 3)
        mean, variance, beta = (state[f"{name}.bn.{key}"] for key in ("running_mean", "running_var", "bias"))
        x = (x - mean[:, None, None, None]) / (variance + 0.001)[:, None, None, None].sqrt()
        return (x + beta[:, None, None, None]).relu()

    def mixed(x, name):
        pooled = independent_pool(x, (3, 3, 3), (1, 1, 1))
        branches = [
            unit(x, f"{name}.b0"),
            unit(unit(x, f"{name}.b1a"), f"{name}.b1b"),
            unit(unit(x, f"{name}.b2a"), f"{name}.b2b"),
            unit(pooled, f"{name}.b3b"),
        ]
        return torch.cat(branches, 1)

    x = independent_pool(unit(video, "Conv3d_1a_7x7", stride=2), (1, 3, 3), (1, 2, 2))
    x = unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
    x = independent_pool(x, (1, 3, 3), (1, 2, 2))
    x = independent_pool(mixed(mixed(x, "Mixed_3b"), "Mixed_3c"), (3, 3, 3), (2, 2, 2))
    for letter in "bcdef":
        x = mixed(x, f"Mixed_4{letter}")
    x = mixed(mixed(independent_pool(x, (2, 2, 2), (2, 2, 2)), "Mixed_5b"), "Mixed_5c")
    pairs = torch.stack([(a + b) / 2 for a, b in pairwise(x.mean((3, 4)).unbind(2))])
    logits = pairs @ state["logits.conv3d.weight"].flatten(1).T + state["logits.conv3d.bias"]
    return logits.mean(0)


@pytest.mark.parametrize(("num_frames", "height", "width"), [(9, 32, 40), (17, 33, 24)])
def test_logits_are_those_of_an_independent_computation(num_frames, height, width):
    generator = torch.Generator().manual_seed(0)
    net = random_i3d().double()
    for name, buffer in net.named_buffers():
        if "running" in name:
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5 * ("var" in name))
    video = torch.rand(2, 3, num_frames, height, width, generator=generator, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(net(video), independent_logits(net.state_dict(), video))


def test_state_dict_is_laid_out_as_the_published_ports():
    shapes = {name: tuple(value.shape) for name, value in I3D().state_dict().items()}
    assert len(shapes) == 57 * 6 + 2
    assert shapes["Conv3d_1a_7x7.conv3d.weight"] == (64, 3, 7, 7, 7)
    assert shapes["Mixed_3b.b1b.conv3d.weight"] == (128, 96, 3, 3, 3)
    assert shapes["Mixed_5c.b3b.bn.running_var"] == (128,)
    assert shapes["logits.conv3d.weight"] == (400, 1024, 1, 1, 1)
    assert sum(value.numel() for value in I3D().parameters()) == 12_697_264


def test_videos_too_short_are_refused():
    with pytest.raises(ValueError, match="9 frames or more"):
        I3D()(torch.zeros(1, 3, 8, 32, 32))


def test_random_network_depends_on_its_seed_alone():
    video = torch.rand(1, 3, 9, 32, 32)
    torch.manual_seed(1)
    first = random_i3d(3)(video)
    torch.manual_seed(2)
    assert torch.equal(random_i3d(3)(video), first)
    assert not torch.allclose(random_i3d(4)(video), first)
