"""Times what mcvd spends its time on, beside the arithmetic peak of the machine in the same run; a table, and JSON.

    python tools/bench.py                      # the CPU subset, a few minutes
    python tools/bench.py --device cuda --out bench.json

Each figure is the median of several interleaved rounds, so that a busy minute hits all rows alike.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import mcvd
from mcvd.data.driving import DrivingScenes
from mcvd.frames import Condition, model_from_pixels
from mcvd.samplers import DDIM

SIZE = (64, 64)
BATCH = 4
NUM_STEPS = 5
CONFIG = {
    "block": {"past": 2, "current": 5},
    "size": list(SIZE),
    "net": {
        "class_path": "mcvd.nets.UNet",
        "init_args": {"width": 32, "attention_levels": [2, 3], "head_channels": 32},
    },
}
SPATIN = {"class_path": "mcvd.nets.SPATIN", "init_args": {"width": 64}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    device = torch.device(options.device)

    cases = {**peaks(device)}
    for name, conditioning in (("concat", None), ("spatin", SPATIN)):
        cases |= model_cases(name, conditioning, device)
    cases |= data_cases()
    figures = measure(cases, options.rounds, device)
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':42} {'ms':>9} {'GFLOP/s':>9} {'videos/s':>9}")
    for name, row in figures.items():
        rate = "" if row["gflops"] is None else f"{row['gflops']:9.0f}"
        videos = "" if row["videos_per_second"] is None else f"{row['videos_per_second']:9.2f}"
        print(f"{name:42} {row['seconds'] * 1000:9.1f} {rate:>9} {videos:>9}")
    if options.out:
        options.out.write_text(json.dumps({"torch": torch.__version__, "rows": figures}, indent=2) + "\n")


Case = tuple[Callable[[], object], int]  # what to run, and for how many videos (0: it makes none)


def peaks(device: torch.device) -> dict[str, Case]:
    """A large matrix product and a large convolution: what the machine can do."""
    cases: dict[str, Case] = {}
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(2048, 2048, device=device, dtype=dtype)
        x = torch.randn(4, 128, 64, 64, device=device, dtype=dtype)
        w = torch.randn(128, 128, 3, 3, device=device, dtype=dtype)
        cases[f"peak: matrix product, {dtype}"] = (lambda a=a: a @ a, 0)
        cases[f"peak: convolution, {dtype}"] = (lambda x=x, w=w: torch.nn.functional.conv2d(x, w, padding=1), 0)
    return cases


def model_cases(name: str, conditioning: dict | None, device: torch.device) -> dict[str, Case]:
    """A network call, a training step and a sampled block of one model, in float32 and bf16."""
    config = json.loads(json.dumps(CONFIG))
    if conditioning:
        config["net"]["init_args"]["conditioning"] = conditioning
    model = mcvd.build(config).to(device)
    denoiser, block = model.denoiser, model.block
    video = torch.randint(0, 256, (BATCH, block.num_frames, 3, *SIZE), dtype=torch.uint8, device=device)
    batch = {"video": video, "index": list(range(BATCH))}
    past, current, future = block.split(model_from_pixels(video))
    condition, t = Condition.visible(past, future), torch.full((BATCH,), 0.5, device=device)

    def autocast(dtype: torch.dtype) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)

    def call(dtype: torch.dtype, denoise: Callable) -> None:
        with torch.inference_mode(), autocast(dtype):
            denoise(current, t)

    def train(dtype: torch.dtype) -> None:
        with autocast(dtype):
            loss = model.loss(batch).mean()
        loss.backward()
        model.zero_grad()

    def sample(dtype: torch.dtype) -> None:
        with autocast(dtype):
            model.predict(video[:, : block.past], block.current, sampler=DDIM(num_steps=NUM_STEPS))

    cases: dict[str, Case] = {}
    for dtype in (torch.float32, torch.bfloat16):
        with torch.inference_mode(), autocast(dtype):
            denoise = denoiser.bind(condition)
        cases[f"{name}: network call, {dtype}"] = (lambda d=dtype, f=denoise: call(d, f), BATCH)
        cases[f"{name}: forward and backward, {dtype}"] = (lambda d=dtype: train(d), BATCH)
        cases[f"{name}: a block in {NUM_STEPS} steps, {dtype}"] = (lambda d=dtype: sample(d), BATCH)
    return cases


def data_cases() -> dict[str, Case]:
    """Drawing a clip of the procedural source."""
    scenes = DrivingScenes()
    return {"driving scenes: a clip of 7 frames": (lambda: scenes.read(0, range(7), SIZE), 1)}


def measure(cases: dict[str, Case], rounds: int, device: torch.device) -> dict[str, dict[str, float | None]]:
    """Median seconds of each case over interleaved rounds, after one that warms up and counts the arithmetic."""
    flops = {}
    for name, (run, _) in cases.items():
        with FlopCounterMode(display=False) as counter:
            run()
        flops[name] = counter.get_total_flops()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (run, _) in cases.items():
            synchronise(device)
            start = time.perf_counter()
            run()
            synchronise(device)
            seconds[name].append(time.perf_counter() - start)
    result = {}
    for name, (_, videos) in cases.items():
        median = statistics.median(seconds[name])
        result[name] = {
            "seconds": median,
            "gflops": flops[name] / median / 1e9 if flops[name] else None,
            "videos_per_second": videos / median if videos else None,
        }
    return result


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
