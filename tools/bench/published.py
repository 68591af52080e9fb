"""How many times faster mcvd is than the published code, with networks of the same size and new weights.

    git clone https://github.com/voletiv/mcvd-pytorch published
    python tools/bench/published.py published                            # an idle machine
    python tools/bench/published.py published --threads 1 --cpu-time     # a busy one
    python tools/bench/published.py published --case spatin --calls 20 4 --rounds 5

A network call, a training step (float32, batch of the case), and a future of 28 frames. Of that the published code is
only charged its 101 network calls for each of six blocks, as one of them takes, which favours it; mcvd makes the whole
video, from pixels to pixels, with its default sampler at each number of calls that is asked for. Ratios are medians of
ratios of the same round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from gpu_baselines import published_net, published_step
from speed import NUM_FRAMES, NUM_PUBLISHED, SHAPES, Case, Shape, measure, runs

from mcvd.runtime.device import has_fast_bf16
from mcvd.samplers.select import default_sampler

PUBLISHED = "published"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path, help="the folder of its repository")
    parser.add_argument("--case", nargs="+", choices=["concat", "spatin"], default=["spatin", "concat"])
    parser.add_argument("--what", nargs="+", choices=["call", "train", "sample"], default=["call", "train", "sample"])
    parser.add_argument("--calls", type=int, nargs="+", default=[20, 4], help="of mcvd for each block")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="default: torch's")
    parser.add_argument("--cpu-time", action="store_true", help="CPU seconds, with --threads 1: for a busy machine")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter
    for case in options.case:
        for what in options.what:
            cases = dict(_cases(options.published, case, what, options.calls))
            seconds = measure(cases, options.rounds, torch.device("cpu"), clock)
            theirs = seconds.pop(PUBLISHED)
            for name, ours in seconds.items():
                ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
                print(
                    f"{case:7} {what:6} {name:18} {statistics.median(theirs):8.3f} s -> {statistics.median(ours):8.3f}"
                    f" s: {statistics.median(ratios):6.2f} times ({min(ratios):.2f} to {max(ratios):.2f})",
                    flush=True,
                )


def _cases(published: Path, case: str, what: str, calls: list[int]) -> Iterator[tuple[str, Case]]:
    shape, device = SHAPES[case], torch.device("cpu")
    precisions = ["float32", "bf16"] if has_fast_bf16(device) else ["float32"]
    if what == "train":
        yield PUBLISHED, (published_step(published, case, shape, device), 1)
    else:
        num_blocks = -(-NUM_FRAMES // shape.block.current)
        share = 1 if what == "call" else 1 / ((NUM_PUBLISHED + 1) * num_blocks)
        yield PUBLISHED, (_published_call(published, case, shape, device), share)
    if what != "sample":
        fast = runs(shape, what, device, compiled=False)
        yield from ((name, fast[name]) for name in precisions)
        return
    model = shape.model(device)
    past = torch.zeros(shape.batch, shape.block.past, shape.channels, shape.side, shape.side, dtype=torch.uint8)
    for precision in precisions:
        for number in calls:
            sampler = default_sampler(False, number)
            video = partial(model.predict, past, NUM_FRAMES, sampler=sampler, precision=precision, progress=False)
            yield f"{precision}, {number} calls", (video, 1)


def _published_call(published: Path, case: str, shape: Shape, device: torch.device) -> Callable[[], object]:
    net = published_net(published, case, shape, device).eval()
    noisy, past = (
        torch.randn(shape.batch, frames * shape.channels, shape.side, shape.side)
        for frames in (shape.block.current, shape.block.past)
    )
    label = torch.full((shape.batch,), 500)

    @torch.inference_mode()
    def call() -> None:
        net(noisy, label, cond=past)

    return call


if __name__ == "__main__":
    main()
