"""Times what mcvd spends its time on, beside the arithmetic peak of the machine in the same run; a table, and JSON.

    python tools/bench/bench.py                      # the CPU subset, a few minutes
    python tools/bench/bench.py --device cuda --out bench.json
    OMP_NUM_THREADS=1 python tools/bench/bench.py --cpu-time        # on a busy machine

Each figure is the median of several interleaved rounds, so that a busy minute hits all rows alike. GFLOP/s count
products and convolutions alone; "of peak" is their share of what a large convolution of that precision reaches in the
same run. A CPU without fast bf16 is timed in float32 alone.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.frames import Condition, model_from_pixels
from mcvd.metrics.i3d import INPUT_SIZE, random_i3d
from mcvd.runtime.device import NO_BF16, has_fast_bf16
from mcvd.samplers import DDIM, DDPM, AbstractSampler, UniPC
from mcvd.samplers.select import default_sampler

SIZE = (64, 64)
BATCH = 4
NUM_BLOCKS = 3  # of a rollout
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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose name holds this, and the peaks")
    parser.add_argument("--cpu-time", action="store_true", help="CPU seconds, with one thread")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    device = torch.device(options.device)

    cases = {**peaks(device)}
    for name, conditioning in (("concat", None), ("spatin", SPATIN)):
        cases |= model_cases(name, conditioning, device)
    with tempfile.TemporaryDirectory() as folder:
        cases |= data_cases(Path(folder)) | feature_cases(device)
        cases = {name: case for name, case in cases.items() if name.startswith("peak") or options.only in name}
        clock = time.process_time if options.cpu_time else time.perf_counter
        figures = measure(cases, options.rounds, device, clock)
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':46} {'ms':>9} {'GFLOP/s':>9} {'of peak':>8} {'frames/s':>9} {'MB':>7}")
    for name, row in figures.items():
        rate = "" if row["gflops"] is None else f"{row['gflops']:9.0f}"
        share = "" if row["share_of_peak"] is None else f"{100 * row['share_of_peak']:.0f}%"
        frames = "" if row["frames_per_second"] is None else f"{row['frames_per_second']:.2f}"
        memory = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:.0f}"
        print(f"{name:46} {row['seconds'] * 1000:9.1f} {rate:>9} {share:>8} {frames:>9} {memory:>7}")
    if torch.bfloat16 not in dtypes_of(device):
        print(f"bf16 is not timed: {NO_BF16}")
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"the process held {held / 1e6:.0f} MB at most; MB of a row is that of the GPU's tensors")
    if options.out:
        facts = {"torch": torch.__version__, "threads": torch.get_num_threads(), "process_peak_bytes": held}
        options.out.write_text(json.dumps({**facts, "rows": figures}, indent=2) + "\n")


# The counter does not know the convolutions of sampling on a CPU (mcvd/nets/packed.py).
PACKED = {}
if torch.backends.mkldnn.is_available():
    PACKED[torch.ops.mkldnn._convolution_pointwise] = lambda x, weight, *_, out_shape, **__: conv_flop_count(
        x, weight, out_shape
    )
Case = tuple[Callable[[], object], int]  # what to run, and how many frames that makes, reads or looks at (0: none)


def dtypes_of(device: torch.device) -> tuple[torch.dtype, ...]:
    """The precisions that are worth timing."""
    return (torch.float32, torch.bfloat16) if has_fast_bf16(device) else (torch.float32,)


def peaks(device: torch.device) -> dict[str, Case]:
    """A large matrix product and a large convolution: what the machine can do."""
    cases: dict[str, Case] = {}
    for dtype in dtypes_of(device):
        a = torch.randn(2048, 2048, device=device, dtype=dtype)
        x = torch.randn(4, 128, 64, 64, device=device, dtype=dtype)
        w = torch.randn(128, 128, 3, 3, device=device, dtype=dtype)
        cases[f"peak: matrix product, {dtype}"] = (lambda a=a: a @ a, 0)
        cases[f"peak: convolution, {dtype}"] = (lambda x=x, w=w: torch.nn.functional.conv2d(x, w, padding=1), 0)
    return cases


def model_cases(name: str, conditioning: dict | None, device: torch.device) -> dict[str, Case]:
    """Network call, training step, sampled blocks and a rollout of one model, in float32 and bf16."""
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

    optimizer = model.optimizer(model.parameters())

    def train(dtype: torch.dtype) -> None:
        optimizer.zero_grad()
        with autocast(dtype):
            loss = model.loss(batch).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    def sample(dtype: torch.dtype, sampler: AbstractSampler, num_blocks: int) -> None:
        precision = "bf16" if dtype == torch.bfloat16 else "float32"
        given = video[:, : block.past]
        model.predict(given, num_blocks * block.current, sampler=sampler, precision=precision, progress=False)

    cases: dict[str, Case] = {}
    for dtype in dtypes_of(device):
        with torch.inference_mode(), autocast(dtype):
            denoise = denoiser.bind(condition)
        cases[f"{name}: network call, {dtype}"] = (lambda d=dtype, f=denoise: call(d, f), 0)
        cases[f"{name}: training step, {dtype}"] = (lambda d=dtype: train(d), 0)
        for sampler in (DDIM(num_steps=5), DDPM(num_steps=5), UniPC(num_steps=10), default_sampler()):
            title = f"{name}: {type(sampler).__name__}, {sampler.num_calls} calls, {dtype}"
            cases[title] = (lambda d=dtype, s=sampler: sample(d, s, 1), BATCH * block.current)
        title = f"{name}: {NUM_BLOCKS} blocks, DDIM, 5 calls, {dtype}"
        making = lambda d=dtype: sample(d, DDIM(num_steps=5), NUM_BLOCKS)  # noqa: E731
        cases[title] = (making, BATCH * NUM_BLOCKS * block.current)
    return cases


def data_cases(folder: Path) -> dict[str, Case]:
    """Drawing a clip of the procedural source, and decoding a video file."""
    scenes = DrivingScenes()
    path = folder / "streets.mp4"
    mcvd.write_video(path, scenes.read(0, range(30), (128, 128)), fps=10)
    return {
        "driving scenes: a clip of 7 frames": (lambda: scenes.read(0, range(7), SIZE), 7),
        "decoding: 30 frames of 128x128 mp4 to 64x64": (lambda: mcvd.read_video(path, size=SIZE), 30),
    }


def feature_cases(device: torch.device) -> dict[str, Case]:
    """The features that FVD is made of, of one clip; weights do not change the time."""
    network = random_i3d().to(device).eval()
    video = torch.rand(1, 3, 16, INPUT_SIZE, INPUT_SIZE, device=device) * 2 - 1

    @torch.inference_mode()
    def features() -> None:
        network(video)

    return {f"FVD features: 16 frames of {INPUT_SIZE}x{INPUT_SIZE}, float32": (features, 16)}


def measure(
    cases: dict[str, Case], rounds: int, device: torch.device, clock: Callable[[], float]
) -> dict[str, dict[str, float | None]]:
    """Median seconds of each case over interleaved rounds, after one that warms up and counts the arithmetic."""
    flops, held = {}, dict.fromkeys(cases)
    for name, (run, _) in cases.items():
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        with FlopCounterMode(display=False, custom_mapping=PACKED) as counter:
            run()
        flops[name] = counter.get_total_flops()
        if device.type == "cuda":
            held[name] = torch.cuda.max_memory_allocated()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, (run, _) in cases.items():
            synchronise(device)
            start = clock()
            run()
            synchronise(device)
            seconds[name].append(clock() - start)
    result = {}
    for name, (_, frames) in cases.items():
        median, dtype = statistics.median(seconds[name]), name.rsplit(", ", 1)[-1].removeprefix("torch.")
        peak = f"peak: convolution, torch.{dtype}"
        rate = flops[name] / median if flops[name] else None
        result[name] = {
            "seconds": median,
            "gflops": rate and rate / 1e9,
            "share_of_peak": rate / result[peak]["gflops"] / 1e9 if rate and peak in result else None,
            "frames_per_second": frames / median if frames else None,
            "peak_bytes": held[name],
        }
    return result


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
