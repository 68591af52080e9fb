"""Weights shared out between processes; whole trainings are in test_fit.py and faults/test_several_processes.py."""

import copy

import torch
from reference.tiny import pixels, tiny_model
from torch.distributed.device_mesh import init_device_mesh

from mcvd.runtime.distributed import spawn, world_size
from mcvd.runtime.fsdp import full_state_dict, full_tensor, load_full_state_dict, shard, unsharded


def shares_out(conditioning):
    whole = tiny_model(conditioning=conditioning)
    parts, batch = copy.deepcopy(whole), {"video": pixels(2, 7, 1, 16, 16), "index": [0, 1]}
    shard(parts.denoiser, init_device_mesh("cpu", (world_size(),)), "loss")
    num_own = sum(weight.to_local().numel() for weight in parts.parameters())
    num_all = sum(weight.numel() for weight in whole.parameters())
    assert abs(num_own - num_all / world_size()) < 0.01 * num_all

    losses = [model.loss(batch).mean() for model in (whole, parts)]
    torch.testing.assert_close(losses[1], losses[0])
    for loss in losses:
        loss.backward()
    for expected, weight in zip(whole.parameters(), parts.parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(full_tensor(weight.grad), expected.grad)

    with unsharded(parts):
        videos = [model.predict(pixels(1, 2, 1, 16, 16), 3, progress=False) for model in (whole, parts)]
    assert torch.equal(*videos)

    state = {name: torch.full_like(value, 2.0) for name, value in whole.state_dict().items()}
    load_full_state_dict(parts, state)
    assert all((full_tensor(weight) == 2).all() for weight in parts.parameters())
    first = torch.distributed.get_rank() == 0
    assert full_state_dict(parts).keys() == (state.keys() if first else {}.keys())


def test_each_process_keeps_its_part_and_the_numbers_are_those_of_the_whole():
    spawn(shares_out, 2, conditioning="SPATIN")
