"""Measure `mcvd upsample`: held-out streets at four times their rate against the truth, and what batching gaps saves.

    python tools/studies/upsampling.py quality
    python tools/studies/upsampling.py time VIDEO

Quality: the bundled model, PSNR in dB (mean over generated frames and streets) beside cross-fading and the nearest
frame; the streets are given at 10 Hz (of 40 Hz) and at 2.5 Hz (of 10 Hz, the model's own rate). Time: seconds of the
processor for a gap when one command fills those of a whole film, when each is a command, and in Python many at once and
one by one.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import mcvd
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.evaluation.baselines import cross_faded
from mcvd.metrics.frames import psnr_per_frame
from mcvd.models.upsampling import GAPS_AT_ONCE
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


def timing(path: str, num_frames: int, num_gaps: int) -> None:
    film = mcvd.read_video(path, num_frames=num_frames)
    with TemporaryDirectory() as folder:
        clip, out = Path(folder) / "clip.mp4", Path(folder) / "out.mp4"
        mcvd.write_video(clip, film, 30)
        whole = command_seconds("upsample", str(clip), "--factor", str(FACTOR), "--out", str(out))
        print(f"one command for {num_frames - 1} gaps: {whole:.0f} s, {whole / (num_frames - 1):.3f} a gap", flush=True)
        each = []
        for gap in range(num_gaps):
            words = [str(clip), "--every-frame", "--gap", f"{4 + gap}:{8 + gap}", "--out", f"{folder}/gap-{gap}.gif"]
            each.append(command_seconds("interpolate", *words))
        print(f"a command for each gap: {sum(each) / num_gaps:.2f} s a gap, mean of {num_gaps}", flush=True)
        model, video = mcvd.load(), mcvd.read_video(clip, mcvd.load().size, num_frames=GAPS_AT_ONCE + 1)
        begin = time.process_time()
        model.upsample(video, FACTOR, progress=False)
        print(
            f"in Python, {GAPS_AT_ONCE} at once: {(time.process_time() - begin) / GAPS_AT_ONCE:.3f} s a gap", flush=True
        )
        begin = time.process_time()
        for gap in range(num_gaps):
            model.upsample(video[gap : gap + 2], FACTOR, progress=False)
        print(f"in Python, one by one: {(time.process_time() - begin) / num_gaps:.3f} s a gap", flush=True)


def command_seconds(*words: str) -> float:
    """Seconds of the processor that a command of mcvd takes."""
    before = resource_seconds()
    subprocess.run([sys.executable, "-m", "mcvd", *words], check=True, capture_output=True)
    return resource_seconds() - before


def resource_seconds() -> float:
    """Processor seconds of the processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "time"])
    parser.add_argument("video", nargs="?")
    parser.add_argument("--num-streets", type=int, default=6)
    parser.add_argument("--num-frames", type=int, default=300)
    parser.add_argument("--num-gaps", type=int, default=4, help="that are filled one by one")
    given = parser.parse_args()
    torch.set_num_threads(1)
    quality(given.num_streets) if given.what == "quality" else timing(given.video, given.num_frames, given.num_gaps)
