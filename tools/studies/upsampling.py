"""Measure `mcvd upsample`: held-out streets at four times their rate against the truth, and what batching gaps saves.

    python tools/studies/upsampling.py quality
    python tools/studies/upsampling.py time VIDEO

Quality: the bundled model, PSNR in dB (mean over generated frames and streets) beside cross-fading and the nearest
frame; the streets are given at 10 Hz (of 40 Hz) and at 2.5 Hz (of 10 Hz, the model's own rate). Time: seconds of the
processor for a gap when many are filled at once, when each is a call of Python, and when each is a command.
"""

import argparse
import subprocess
import sys
import time

import torch

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.evaluation.baselines import cross_faded
from mcvd.metrics.frames import psnr_per_frame
from mcvd.samplers import DDIM

FACTOR, HELD_OUT, FIRST_SECONDS, NUM_GIVEN = 4, 9, 1, 5


def quality(num_streets: int) -> None:
    model = mcvd.load()
    print("| given at | of | nearest frame | cross-fade | bundled model | DDIM, 2 calls |\n|---|---|---|---|---|---|")
    for rate in (40, 10):
        streets = DrivingScenes(num_streets, num_frames=10 * rate, frame_rate_hz=rate, seed=HELD_OUT)
        first = FIRST_SECONDS * rate
        frames = range(first, first + (NUM_GIVEN - 1) * FACTOR + 1)
        truth = torch.stack([streets.read(i, frames, model.size) for i in range(num_streets)])
        given = truth[:, ::FACTOR]
        nearest = given[:, [(i + FACTOR // 2) // FACTOR for i in range(truth.shape[1])]]
        rows = [nearest, torch.stack([cross_faded(each, FACTOR) for each in given])]
        rows += [model.upsample(given, FACTOR, progress=False)]
        rows += [model.upsample(given, FACTOR, sampler=DDIM(num_steps=2), progress=False)]
        new = [i for i in range(truth.shape[1]) if i % FACTOR]
        values = [psnr_per_frame(row[:, None, new], truth[:, None, new]).mean() for row in rows]
        print(
            f"| {rate / FACTOR:g} Hz | {rate} Hz | " + " | ".join(f"{value:.2f}" for value in values) + " |", flush=True
        )


def timing(path: str, num_gaps: int, rounds: int) -> None:
    model = mcvd.load()
    video = mcvd.read_video(path, model.size, num_frames=num_gaps + 1)
    command = [
        sys.executable,
        "-m",
        "mcvd",
        "interpolate",
        path,
        "--every-frame",
        "--gap",
        "4:8",
        "--out",
        "/tmp/gap.gif",
    ]
    seconds: dict[str, list[float]] = {"at once": [], "a call each": [], "a command each": []}
    for _ in range(rounds):
        begin = time.process_time()
        model.upsample(video, FACTOR, progress=False, batch_size=num_gaps)
        seconds["at once"].append((time.process_time() - begin) / num_gaps)
        begin = time.process_time()
        for i in range(num_gaps):
            model.upsample(video[i : i + 2], FACTOR, progress=False)
        seconds["a call each"].append((time.process_time() - begin) / num_gaps)
        before = resource_seconds()
        subprocess.run(command, check=True, capture_output=True)
        seconds["a command each"].append(resource_seconds() - before)
    for name, each in seconds.items():
        middle = sorted(each)[len(each) // 2]
        print(f"{name}: {middle:.3f} s of the processor for a gap", flush=True)


def resource_seconds() -> float:
    """Processor seconds of the processes that were started here and have ended."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "time"])
    parser.add_argument("video", nargs="?")
    parser.add_argument("--num-streets", type=int, default=6)
    parser.add_argument("--num-gaps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    quality(given.num_streets) if given.what == "quality" else timing(given.video, given.num_gaps, given.rounds)
