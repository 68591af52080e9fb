"""How many times faster mcvd is than the plain path of the same network (tools/plain_path.py), in interleaved rounds.

    python tools/bench_speed.py                     # concat and spatin, network call and training step
    python tools/bench_speed.py --case spatin --rounds 9 --threads 2 --out speed.json
    python tools/bench_speed.py --what call --threads 1 --cpu-time      # on a busy machine

Each ratio is the median over rounds of plain time / fast time, both taken in the same round: a busy minute hits both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from plain_path import plain_forward
from torch import nn

from mcvd.denoiser import Denoiser
from mcvd.frames import Condition, FrameBlock
from mcvd.nets import SPATIN, Concat, UNet
from mcvd.noise import LinearBeta

GOALS = {"concat": {"call": (1.7, 2.6), "train": (1.6, 2.5)}, "spatin": {"call": (4.0, 6.5), "train": (1.2, 2.0)}}


Case = tuple[Callable[[], object], int]  # what to run, and how many network calls or steps it is
NUM_CALLS = 4  # of mcvd's network in what is timed as one trajectory; the seconds printed are those of one call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=["concat", "spatin"], help="default: both")
    parser.add_argument("--what", choices=["call", "train"], help="default: both")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="default: torch's")
    parser.add_argument("--cpu-time", action="store_true", help="CPU seconds, with --threads 1: for a busy machine")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    rows = []
    for case in [options.case] if options.case else GOALS:
        for what in [options.what] if options.what else ("call", "train"):
            clock = time.process_time if options.cpu_time else time.perf_counter
            seconds = measure(runs(case, what, device), options.rounds, device, clock)
            for dtype, goal in zip(("float32", "bf16"), GOALS[case][what], strict=True):
                ratios = [plain / fast for plain, fast in zip(seconds["plain"], seconds[dtype], strict=True)]
                row = {
                    "case": case,
                    "what": what,
                    "precision": dtype,
                    "plain_seconds": statistics.median(seconds["plain"]),
                    "seconds": statistics.median(seconds[dtype]),
                    "times_faster": statistics.median(ratios),
                    "lowest": min(ratios),
                    "highest": max(ratios),
                    "goal": goal,
                }
                rows.append(row)
                print(
                    f"{case:7} {what:6} {dtype:8} {row['plain_seconds']:7.3f} s -> {row['seconds']:7.3f} s: "
                    f"{row['times_faster']:5.2f} times ({row['lowest']:.2f} to {row['highest']:.2f}), goal {goal}",
                    flush=True,
                )
    if options.out:
        facts = {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": options.device}
        options.out.write_text(json.dumps({**facts, "rows": rows}, indent=2) + "\n")


def runs(case: str, what: str, device: torch.device) -> dict[str, Case]:
    """What is timed: the plain path, and mcvd in float32 and bf16."""
    torch.manual_seed(0)
    if case == "concat":
        block, batch, channels, side = FrameBlock(past=5, current=5), 4, 1, 64
        net = UNet(block, channels, width=64, multipliers=(1, 2, 3, 4), conditioning=Concat())
    else:
        block, batch, channels, side = FrameBlock(past=2, current=5), 1, 3, 128
        net = UNet(block, channels, multipliers=(1, 1, 2, 3, 4), attention_levels=(2, 3, 4), conditioning=SPATIN(128))
    net = net.to(device)
    past = torch.randn(batch, block.past, channels, side, side, device=device)
    noisy = torch.randn(batch, block.current, channels, side, side, device=device)
    condition = Condition.visible(past, past[:, :0])
    t = torch.tensor(0.5, device=device).expand(batch)
    denoiser = Denoiser(net, LinearBeta())
    if what == "call":
        net.eval()
        label = torch.full((batch,), 500.0, device=device)

        @torch.inference_mode()
        def plain() -> None:
            plain_forward(net, noisy, label, condition.frames, condition.keep)

        def fast(bf16: bool) -> Callable[[], object]:
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                denoise = denoiser.bind(condition)
            scope = torch.autocast(device.type, torch.bfloat16, enabled=bf16)

            def call() -> None:
                with torch.inference_mode(), scope:  # entered once a trajectory: the weights are cast once
                    for _ in range(NUM_CALLS):
                        denoise(noisy, t)

            return call

        return {"plain": (plain, 1), "float32": (fast(False), NUM_CALLS), "bf16": (fast(True), NUM_CALLS)}

    def step(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss().mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    def plain_loss() -> torch.Tensor:
        label = torch.full((batch,), 500.0, device=device)
        return (plain_forward(net, noisy, label, condition.frames, condition.keep) - noisy).square().flatten(1).sum(1)

    def fast_loss(bf16: bool) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return denoiser.loss(noisy, condition, t, noisy)

    slow, quick = torch.optim.Adam(net.parameters(), foreach=False), torch.optim.Adam(net.parameters(), fused=True)
    return {
        "plain": (lambda: step(plain_loss, slow), 1),
        "float32": (lambda: step(lambda: fast_loss(False), quick), 1),
        "bf16": (lambda: step(lambda: fast_loss(True), quick), 1),
    }


def measure(
    cases: dict[str, Case], rounds: int, device: torch.device, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of each case in each round, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, (run, num_calls) in cases.items():
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            start = clock()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if number:
                seconds[name].append((clock() - start) / num_calls)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
