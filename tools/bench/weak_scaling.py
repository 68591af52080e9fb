"""Training on 1, 2 and 4 processes of this machine, each with the same work: how the steps stretch.

    python tools/bench/weak_scaling.py --processes 1 2 4

Gloo between processes, one thread each, `torch`'s DistributedDataParallel as Lightning uses it, gradients averaged in
every step. Where there are more processes than cores they share them: beside wall time the table has the CPU seconds of
a process for a step, which that does not touch.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import mcvd
from mcvd.runtime.distributed import all_gather, rank, spawn

BATCH = 2
CONFIG = {
    "block": {"past": 2, "current": 5},
    "size": [32, 32],
    "net": {"class_path": "mcvd.nets.UNet", "init_args": {"width": 32, "attention_levels": [3], "head_channels": 32}},
}


class Loss(nn.Module):
    """A model whose call is its loss, as DistributedDataParallel needs it."""

    def __init__(self, model: mcvd.MCVD) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: dict) -> torch.Tensor:
        return self.model.loss(batch).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    print(
        f"{'processes':>9} {'seconds a step':>15} {'clips/s':>8} {'CPU s a step':>13} {'gradients, MB':>14}", flush=True
    )
    for num_processes in options.processes:
        spawn(train, num_processes, num_steps=options.steps)


def train(num_steps: int) -> None:
    """The share of one process; the first prints the row of all."""
    torch.set_num_threads(1)
    loss = DistributedDataParallel(Loss(mcvd.build(CONFIG)))
    optimizer = loss.module.model.optimizer(loss.parameters())
    seconds, cpu_seconds = [], []
    for step in range(num_steps + 1):
        number = BATCH * (step * distributed.get_world_size() + rank())
        video = torch.randint(0, 256, (BATCH, 7, 3, 32, 32), dtype=torch.uint8)
        distributed.barrier()
        start, cpu_start = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        loss({"video": video, "index": [number, number + 1]}).backward()
        nn.utils.clip_grad_norm_(loss.parameters(), 1.0)
        optimizer.step()
        if step:  # the first one warms up
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
    cpu = statistics.mean(all_gather(statistics.median(cpu_seconds)))
    if rank() == 0:
        step_seconds = statistics.median(seconds)
        clips = BATCH * distributed.get_world_size() / step_seconds
        megabytes = sum(weight.nbytes for weight in loss.parameters()) / 1e6
        row = f"{step_seconds:15.3f} {clips:8.2f} {cpu:13.3f} {megabytes:14.1f}"
        print(f"{distributed.get_world_size():9} {row}", flush=True)


if __name__ == "__main__":
    main()
