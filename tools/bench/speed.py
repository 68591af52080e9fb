"""How many times faster mcvd is than the plain path of the same network (`plain_unet`), in interleaved rounds.

    python tools/bench/speed.py                     # concat and spatin, network call and training step
    python tools/bench/speed.py --case spatin --rounds 9 --threads 2 --out speed.json
    python tools/bench/speed.py --what call --threads 1 --cpu-time      # on a busy machine
    python tools/bench/speed.py --device cuda --case cityscapes smmnist --what call train sample --batch 16

"sample" is a future of 28 frames: the plain path with 100 DDPM steps, as published, and mcvd with its default sampler.
A training step also tells its FLOP/s and the share of the dense rate that a large matrix product reaches in this run.

A CPU without fast bf16 is timed in float32 alone.

Each ratio is the median over rounds of plain time / fast time, both taken in the same round: a busy minute hits both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.profiler import ProfilerActivity
from torch.utils.flop_counter import FlopCounterMode

from mcvd.frames import Condition, FrameBlock
from mcvd.models.mcvd import MCVD
from mcvd.nets import SPATIN, AbstractConditioning, Concat, UNet
from mcvd.nets.cuda_graph import CUDAGraphNet
from mcvd.noise import clean_from_noise
from mcvd.runtime.device import NO_BF16, has_fast_bf16
from mcvd.samplers import DDPM

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.plain_unet import plain_forward

GOALS = {
    "concat": {"call": (1.7, 2.6), "train": (1.6, 2.5)},
    "spatin": {"call": (4.0, 6.5), "train": (1.2, 2.0)},
    "cityscapes": {"call": (4.0, 4.0), "train": (None, 2.5), "sample": (40.0, 40.0)},
    "smmnist": {"call": (4.0, 4.0), "train": (None, 2.5), "sample": (40.0, 40.0)},
}
NUM_FRAMES = 28
NUM_PUBLISHED = 100  # steps of the published sampler
NUM_TIMED = 10  # of them: all cost the same


@dataclass(frozen=True)
class Shape:
    """A network and the frames that it works on; the last two are the paper's."""

    block: FrameBlock
    channels: int
    side: int
    batch: int
    width: int
    multipliers: tuple[int, ...]
    conditioning: AbstractConditioning

    @property
    def head_channels(self) -> int:
        """Of each attention head."""
        return 64 if self.width % 64 == 0 and self.width < 192 else self.width

    def toy(self) -> Shape:
        """Small enough to try the command on a CPU."""
        return replace(self, side=32, batch=1, width=16)

    def model(self, device: torch.device) -> MCVD:
        """With new weights."""
        net = partial(
            UNet,
            width=self.width,
            multipliers=self.multipliers,
            attention_levels=tuple(range(len(self.multipliers)))[-3:],
            head_channels=self.head_channels,
            conditioning=self.conditioning,
        )
        return MCVD(self.block, net, (self.side, self.side), self.channels).to(device)


SHAPES = {
    "concat": Shape(FrameBlock(5, 5), 1, 64, 4, 64, (1, 2, 3, 4), Concat()),
    "spatin": Shape(FrameBlock(2, 5), 3, 128, 1, 64, (1, 1, 2, 3, 4), SPATIN(128)),
    "cityscapes": Shape(FrameBlock(2, 5), 3, 128, 16, 192, (1, 1, 2, 3, 4), SPATIN(256)),
    "smmnist": Shape(FrameBlock(5, 5), 1, 64, 64, 64, (1, 2, 3, 4), Concat()),
}

Case = tuple[Callable[[], object], float]  # what to run, and how many network calls, steps, videos or FLOP it is
NUM_CALLS = {"cpu": 4, "cuda": 20}  # of mcvd's network in a trajectory that is timed; what is printed is of one call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=list(SHAPES), default=["concat", "spatin"])
    parser.add_argument("--what", nargs="+", choices=["call", "train", "sample"], default=["call", "train"])
    parser.add_argument("--batch", type=int, help="default: that of the case")
    parser.add_argument("--toy", action="store_true", help="tiny networks: only to see that the command works")
    parser.add_argument("--compile", default="never", choices=["never", "always"], help="mcvd's network")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="default: torch's")
    parser.add_argument("--cpu-time", action="store_true", help="CPU seconds, with --threads 1: for a busy machine")
    parser.add_argument("--profile", action="store_true", help="also show which kernels the quickest runs use")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    precisions = tuple(DTYPES) if has_fast_bf16(device) else ("float32",)
    if "bf16" not in precisions:
        print(f"bf16 is not timed: {NO_BF16}")
    rows = []
    for case in options.case:
        shape = SHAPES[case].toy() if options.toy else SHAPES[case]
        shape = replace(shape, batch=options.batch or shape.batch)
        for what in options.what:
            clock = time.process_time if options.cpu_time else time.perf_counter
            cases = runs(shape, what, device, options.compile == "always")
            cases = {name: run for name, run in cases.items() if name.split()[-1] in ("plain", *precisions)}
            flops = count_flops(cases["plain"][0]) if what == "train" else 0
            seconds = measure(cases, options.rounds, device, clock)
            if options.profile:
                print(profile(cases[precisions[-1]][0], device), flush=True)
            for dtype, goal in zip(precisions, GOALS[case].get(what, (None, None)), strict=False):
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
                if what == "train":
                    row["flops_per_second"] = flops / row["seconds"]
                    row["share_of_dense_rate"] = row["flops_per_second"] / (
                        1 / statistics.median(seconds[f"dense {dtype}"])
                    )
                rows.append(row)
                print(
                    f"{case:7} {what:6} {dtype:8} {row['plain_seconds']:7.3f} s -> {row['seconds']:7.3f} s: "
                    f"{row['times_faster']:5.2f} times ({row['lowest']:.2f} to {row['highest']:.2f}), goal {goal}"
                    + (f", {100 * row['share_of_dense_rate']:.0f}% of the dense rate" if what == "train" else ""),
                    flush=True,
                )
    if options.out:
        facts = {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": options.device}
        options.out.write_text(json.dumps({**facts, "rows": rows}, indent=2) + "\n")


def runs(shape: Shape, what: str, device: torch.device, compiled: bool) -> dict[str, Case]:
    """What is timed: the plain path, and mcvd in float32 and bf16."""
    torch.manual_seed(0)
    block, batch, frame = shape.block, shape.batch, (shape.channels, shape.side, shape.side)
    model = shape.model(device)
    denoiser, net = model.denoiser, model.denoiser.net
    past = torch.randn(batch, block.past, *frame, device=device)
    noisy = torch.randn(batch, block.current, *frame, device=device)
    condition, num_calls = Condition.visible(past, past[:, :0]), NUM_CALLS[device.type]
    t = torch.tensor(0.5, device=device).expand(batch)
    if what == "sample":
        return sampled(model, past, noisy, condition, compiled)
    if what == "call":
        net.eval()
        label = torch.full((batch,), 500.0, device=device)

        @torch.inference_mode()
        def plain() -> None:
            plain_forward(net, noisy, label, condition.frames, condition.keep)

        def fast(bf16: bool) -> Callable[[], object]:
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                denoise = denoiser.bind(condition, modulation=denoiser.modulation(t[:1]))
            scope = torch.autocast(device.type, torch.bfloat16, enabled=bf16)

            def call() -> None:  # autocast is entered once a trajectory: the weights are cast once
                replayed = CUDAGraphNet(net) if device.type == "cuda" else None
                stand_in = denoiser.compiled("reduce-overhead") if compiled else replayed
                with torch.inference_mode(), scope, denoiser.calling(stand_in):
                    for _ in range(num_calls):
                        denoise(noisy, t)

            return call

        return {"plain": (plain, 1), "float32": (fast(False), num_calls), "bf16": (fast(True), num_calls)}

    def step(loss: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss().mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    def plain_loss() -> torch.Tensor:
        label = torch.full((batch,), 500.0, device=device)
        return (plain_forward(net, noisy, label, condition.frames, condition.keep) - noisy).square().flatten(1).sum(1)

    def fast_loss(bf16: bool) -> torch.Tensor:
        stand_in = denoiser.compiled() if compiled else None
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16), denoiser.calling(stand_in):
            return denoiser.loss(noisy, condition, t, noisy)

    slow, quick = torch.optim.Adam(net.parameters(), foreach=False), torch.optim.Adam(net.parameters(), fused=True)
    return {
        "plain": (lambda: step(plain_loss, slow), 1),
        "float32": (lambda: step(lambda: fast_loss(False), quick), 1),
        "bf16": (lambda: step(lambda: fast_loss(True), quick), 1),
        **{f"dense {name}": dense(dtype, device) for name, dtype in DTYPES.items()},
    }


DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def dense(dtype: torch.dtype, device: torch.device) -> Case:
    """A large matrix product, counted in FLOP: its "seconds" are seconds for each, see `measure`."""
    side = 8192 if device.type == "cuda" else 1024
    a = torch.randn(side, side, device=device, dtype=dtype)
    return (lambda: a @ a), 2 * side**3


def profile(run: Callable[[], object], device: torch.device) -> str:
    """The kernels that one run spends most time in."""
    kind = {"cpu": ProfilerActivity.CPU, "cuda": ProfilerActivity.CUDA}[device.type]
    with torch.profiler.profile(activities=[kind]) as profiler:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    by = "self_cpu_time_total" if device.type == "cpu" else "self_device_time_total"
    return profiler.key_averages().table(sort_by=by, row_limit=14, max_name_column_width=60)


def count_flops(run: Callable[[], object]) -> int:
    """The arithmetic of one run, of products and convolutions alone."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def sampled(
    model: MCVD, past: torch.Tensor, noisy: torch.Tensor, condition: Condition, compiled: bool
) -> dict[str, Case]:
    """A future of 28 frames; of the plain path a part of one block is timed, as all steps cost the same."""
    net, num_blocks = model.denoiser.net, -(-NUM_FRAMES // noisy.shape[1])
    shown = past.new_zeros(past.shape, dtype=torch.uint8)

    @torch.inference_mode()
    def plain() -> None:
        def denoise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            noise = plain_forward(net, x, 1000 * (1 - t), condition.frames, condition.keep)
            return clean_from_noise(x, noise, model.denoiser.schedule(t).like(x))

        DDPM(num_steps=NUM_TIMED)(denoise, noisy, model.denoiser.schedule)

    def fast(precision: str) -> Callable[[], object]:
        word = "always" if compiled else "auto"
        return lambda: model.predict(shown, NUM_FRAMES, precision=precision, compile=word, progress=False)

    # `measure` gives the seconds of a video: of the plain path a small share was run.
    return {
        "plain": (plain, NUM_TIMED / NUM_PUBLISHED / num_blocks),
        "float32": (fast("float32"), 1),
        "bf16": (fast("bf16"), 1),
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
