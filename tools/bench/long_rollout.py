"""What a block of a long video costs, from the first to the last: the cost must not grow with what is already made.

    OMP_NUM_THREADS=1 python tools/bench/long_rollout.py --num-frames 10000 --steps 1

Prints CPU seconds of a block (medians over stretches of the video) and the memory the process held at their ends.
"""

from __future__ import annotations

import argparse
import statistics
import time

import psutil
import torch

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.models.load import BOX
from mcvd.samplers import DDIM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BOX)
    parser.add_argument("--num-frames", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=1, help="network calls for each block")
    parser.add_argument("--stretches", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, process = mcvd.load(options.model), psutil.Process()
    past = DrivingScenes(seed=1).read(0, range(model.block.past), model.size)
    num_blocks = -(-options.num_frames // model.block.current)
    ends = {num_blocks * (i + 1) // options.stretches for i in range(options.stretches)}
    print(f"{num_blocks} blocks of {model.block.current} frames, {options.steps} network calls each", flush=True)
    print(f"{'blocks':>14} {'CPU seconds a block':>20} {'lowest':>8} {'highest':>8} {'MB held':>8}", flush=True)
    seconds: list[float] = []
    first, before = 0, time.process_time()
    stream = model.stream(past, options.num_frames, sampler=DDIM(num_steps=options.steps), progress=False)
    for number, _ in enumerate(stream, start=1):
        now = time.process_time()
        seconds.append(now - before)
        before = now
        if number in ends:
            held = process.memory_info().rss / 1e6
            row = f"{statistics.median(seconds):20.4f} {min(seconds):8.4f} {max(seconds):8.4f} {held:8.0f}"
            print(f"{first:6} to {number:5} {row}", flush=True)
            seconds, first = [], number


if __name__ == "__main__":
    main()
