"""The optimiser: steps that are orthogonal for matrices, torch's own numbers where torch has the same method."""

import copy

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from mcvd.runtime.distributed import spawn, world_size
from mcvd.runtime.fsdp import full_tensor, shard
from mcvd.training.muon import Muon, orthogonalized


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.GroupNorm(2, 8), nn.Conv2d(8, 6, 3), nn.Conv2d(6, 1, 1))


def learn(net, optimizer, num_steps, size=1.0, start=0):
    for step in range(start, start + num_steps):
        frames = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(step)).to(next(net.parameters()))
        optimizer.zero_grad()
        (size * (net(frames) - frames.mean((1, 2, 3), keepdim=True)).square().mean()).backward()
        optimizer.step()


@pytest.mark.parametrize("shape", [(3, 20, 50), (2, 50, 20), (1, 30, 30)])
def test_singular_vectors_stay_and_singular_values_become_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, values, vh = torch.linalg.svd(matrices, full_matrices=False)
    assert values.amin() < values.amax() / 2
    found = u.mT @ orthogonalized(matrices).double() @ vh.mT
    diagonal = found.diagonal(dim1=1, dim2=2)
    assert ((diagonal > 0.6) & (diagonal < 1.3)).all()
    assert (found - torch.diag_embed(diagonal)).abs().max() < 0.05


def test_matrices_take_the_steps_of_torch_and_all_others_those_of_adamw():
    shapes = [(16, 48), (48, 16), (16, 48), (7,), (1, 9), (5, 1)]
    ours = [nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))) for shape in shapes]
    theirs = copy.deepcopy(ours)
    muon = Muon(ours, lr=0.02, weight_decay=0.1, adam_lr=1e-3, betas=(0.8, 0.9))
    torch_muon = torch.optim.Muon(theirs[:3], lr=0.02, weight_decay=0.1)
    adamw = torch.optim.AdamW(theirs[3:], lr=1e-3, weight_decay=0.1, betas=(0.8, 0.9))
    for step in range(3):
        for own, other in zip(ours, theirs, strict=True):
            own.grad = torch.randn(own.shape, generator=torch.Generator().manual_seed(step))
            other.grad = own.grad.clone()
        for optimizer in (muon, torch_muon, adamw):
            optimizer.step()
    for own, other in zip(ours[:3], theirs[:3], strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=2e-3)  # of 0.06: both may compute in bfloat16
    for own, other in zip(ours[3:], theirs[3:], strict=True):
        torch.testing.assert_close(own, other)


def test_a_convolution_is_a_matrix_and_the_size_of_the_loss_does_not_matter():
    nets = [network() for _ in range(3)]
    flat = nn.Parameter(nets[0][0].weight.detach().flatten(1))
    gradient = torch.randn(8, 27)
    for each, of in ((nets[0][0].weight, gradient.view(8, 3, 3, 3)), (flat, gradient)):
        each.grad = of
        Muon([each]).step()
    assert torch.equal(nets[0][0].weight.flatten(1), flat)

    for net, size in zip(nets[1:], (1.0, 1000.0), strict=True):
        learn(net, Muon(net.parameters()), 3, size)
    for small, large in zip(nets[1].parameters(), nets[2].parameters(), strict=True):
        torch.testing.assert_close(small, large, rtol=1e-3, atol=1e-3)


def test_it_learns():
    net, frames = network(), torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(999))
    losses = []
    for num_steps in (0, 60):
        learn(net, Muon(net.parameters()), num_steps)
        losses.append((net(frames) - frames.mean((1, 2, 3), keepdim=True)).square().mean().item())
    assert losses[1] < losses[0] / 10


def test_a_resumed_training_goes_on_with_the_same_numbers():
    whole, first = network(), network()
    learn(whole, Muon(whole.parameters()), 6)
    optimizer = Muon(first.parameters())
    learn(first, optimizer, 3)
    second = copy.deepcopy(first)
    resumed = Muon(second.parameters(), lr=1.0)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    learn(second, resumed, 3, start=3)
    for expected, found in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_weights_without_a_gradient_stay():
    net = network()
    before = copy.deepcopy(net)
    optimizer = Muon(net.parameters())
    optimizer.step()
    net[1].weight.grad = torch.ones_like(net[1].weight)
    optimizer.step()
    changed = [not torch.equal(a, b) for a, b in zip(net.parameters(), before.parameters(), strict=True)]
    assert changed == [each is net[1].weight for each in net.parameters()]


@pytest.mark.parametrize(
    "options", [{"lr": -1}, {"adam_lr": float("nan")}, {"momentum": 1}, {"betas": (0.9, 1.0)}, {"weight_decay": -0.1}]
)
def test_numbers_out_of_range_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Muon(network().parameters(), **options)


def test_groups_are_refused():
    with pytest.raises(ValueError, match="finds the groups"):
        Muon([{"params": list(network().parameters())}])


def steps_of_shared_weights():
    whole, parts = network(), network()
    shard(parts, init_device_mesh("cpu", (world_size(),)))
    for net in (whole, parts):
        optimizer = Muon(net.parameters(), weight_decay=0.1)
        learn(net, optimizer, 3)
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, float("nan"))
        optimizer.found_inf = torch.tensor(1.0)
        optimizer.step()  # left out
        optimizer.found_inf = torch.tensor(0.0)
        learn(net, optimizer, 2, start=3)
    for expected, weight in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(full_tensor(weight), expected, rtol=1e-3, atol=1e-3)


def test_weights_that_are_shared_out_take_the_same_steps():
    spawn(steps_of_shared_weights, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("found", [1.0, 2.0])  # of two devices, their sum
def test_a_step_that_is_left_out_changes_nothing_and_one_that_is_not_is_the_step(dtype, found):
    left_out, plain = network().to(dtype), network().to(dtype)
    optimizers = [Muon(net.parameters(), weight_decay=0.1) for net in (left_out, plain)]
    for net, optimizer in zip((left_out, plain), optimizers, strict=True):
        learn(net, optimizer, 2)
    before = copy.deepcopy((left_out.state_dict(), optimizers[0].state_dict()["state"]))
    for parameter in left_out.parameters():
        parameter.grad = torch.full_like(parameter, float("nan"))
    optimizers[0].found_inf = torch.tensor(found)
    optimizers[0].step()
    after = left_out.state_dict(), optimizers[0].state_dict()["state"]
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    optimizers[0].found_inf = torch.tensor(0.0)
    for net, optimizer in zip((left_out, plain), optimizers, strict=True):
        learn(net, optimizer, 2, start=2)
    torch.testing.assert_close(left_out.state_dict(), plain.state_dict(), rtol=0, atol=0)
