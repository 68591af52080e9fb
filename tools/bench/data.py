"""Clips per second: engines by kind of file beside the bare libraries, the cache beside a plain copy of memory.

    python tools/bench/data.py                    # all, a few minutes
    python tools/bench/data.py --kinds 64x64      # the small files only
    python tools/bench/data.py --out bench_data.json
    python tools/bench/data.py --processor        # clips per second of the processor: on a busy machine

Files are encoded here. All candidates read the same clips in turn, several rounds of them; each clip counts with the
shortest time that a candidate needed for it: what other programs of a busy machine took away is left out. Each has a
process of its own, held still while others run: decord's threads work on after the answer, and turn while they wait.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
import torch

from mcvd.data.clips.dataset import read_clip
from mcvd.data.clips.sampling import ClipRef
from mcvd.data.clips.spec import ClipSpec
from mcvd.data.datamodule import VideoData
from mcvd.data.sources.cached import CachedVideos
from mcvd.data.sources.folder import VideoFolder
from mcvd.video.decoders.base import VideoError
from mcvd.video.decoders.color import ONE_THREAD, SCALING
from mcvd.video.open import ENGINES

Run = Callable[[int], object]  # reads the clip that begins at a frame
CLIP = 12
NUM_CLIPS = 16
NUM_FRAMES = 300
# kind -> (height, width), encoder, options
KINDS = {
    "64x64, long GOP": ((64, 64), "libx264", {"g": "250"}),
    "64x64, short GOP": ((64, 64), "libx264", {"g": "12"}),
    "64x64, intra only": ((64, 64), "mjpeg", {}),
    "320x240, long GOP": ((240, 320), "libx264", {"g": "250"}),
    "320x240, short GOP": ((240, 320), "libx264", {"g": "12"}),
    "320x240, intra only": ((240, 320), "mjpeg", {}),
    "1280x720, long GOP": ((720, 1280), "libx264", {"g": "250"}),
    "1280x720, short GOP": ((720, 1280), "libx264", {"g": "12"}),
    "1280x720, intra only": ((720, 1280), "mjpeg", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kinds", nargs="*", help="only files whose kind begins so: 64x64 320x240 1280x720")
    parser.add_argument("--processor", action="store_true", help="count seconds of the processor, not of the clock")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = {kind: file for kind, file in KINDS.items() if kind.startswith(tuple(options.kinds or ("",)))}
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        print(f"| file | {' | '.join((*ENGINES, 'bare av', 'bare decord'))} | ours / fastest | of processor time |")
        print("|---" * (len(ENGINES) + 5) + "|")
        for kind, (size, codec, settings) in kinds.items():
            path = encode(Path(folder) / kind.replace(" ", "_").replace(",", "") / "film.mkv", size, codec, settings)
            figures[kind] = bench_file(path, min(128, size[0]), options.rounds, options.processor)
            row = figures[kind]
            cells = [f"{row[name]:.1f}" if name in row else "-" for name in (*ENGINES, "bare av", "bare decord")]
            print(
                f"| {kind} | {' | '.join(cells)} | {row['ours / fastest']:.2f} | "
                f"{row['ours / fastest, processor time']:.2f} |",
                flush=True,
            )
        root = Path(folder) / next(kind for kind in kinds).replace(" ", "_").replace(",", "")
        figures["cache"] = bench_cache(Path(folder) / "cache", root, options.rounds)
        print("\n".join(f"{name}: {value:.4g}" for name, value in figures["cache"].items()))
        figures["training"] = bench_training(root, Path(folder) / "cache")
        print("\n".join(f"{name}: {value:.4g}" for name, value in figures["training"].items()))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=2) + "\n")


def encode(path: Path, size: tuple[int, int], codec: str, settings: dict[str, str]) -> Path:
    """A moving texture with noise, so that there is something to decode."""
    path.parent.mkdir(parents=True)
    random = np.random.default_rng(0)
    texture = random.integers(0, 256, (size[0] // 8 + 40, size[1] // 8 + 40, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=settings | ({"preset": "veryfast"} if settings else {}))
        stream.height, stream.width = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(NUM_FRAMES):
            window = texture[number : number + size[0], number : number + size[1]]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(window), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def bench_file(path: Path, side: int, rounds: int, by_processor: bool) -> dict[str, float]:
    """Clips per second of a file whose reader stays open, at the same random places for all."""
    makers: dict[str, Callable[[], Run]] = {engine: partial(reading, engine, path, side) for engine in ENGINES}
    makers |= {"bare av": partial(bare_av, path, side), "bare decord": partial(bare_decord, path, side)}
    starts = np.random.default_rng(0).integers(0, NUM_FRAMES - CLIP, NUM_CLIPS).tolist()
    seconds, cpu_seconds = interleave(makers, starts, rounds)
    rates = {name: NUM_CLIPS / total for name, total in (cpu_seconds if by_processor else seconds).items()}
    rates["ours / fastest"] = min(seconds.values()) / seconds["pyav"]
    rates["ours / fastest, processor time"] = min(cpu_seconds.values()) / cpu_seconds["pyav"]
    return rates


def interleave(
    makers: dict[str, Callable[[], Run]], starts: list[int], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds for all the starts, each at its best of the rounds: by the clock, and of the processor, all threads."""
    candidates = {name: Candidate(make) for name, make in makers.items()}
    turn = [(name, candidate) for name, candidate in candidates.items() if candidate.works]
    best = {name: np.full((2, len(starts)), np.inf) for name, _ in turn}
    try:
        for _ in range(rounds):
            for place, start in enumerate(starts):
                turn = turn[1:] + turn[:1]
                for name, candidate in turn:
                    best[name][:, place] = np.minimum(best[name][:, place], candidate.seconds(start))
    finally:
        for candidate in candidates.values():
            candidate.end()  # one that stands still would not hear an ordinary request to end
    clock, processor = ({name: float(times[row].sum()) for name, times in best.items()} for row in (0, 1))
    return clock, processor


class Candidate:
    """One way of reading clips, in a process of its own that stands still when it is not asked."""

    def __init__(self, make: Callable[[], Run]) -> None:
        fork = multiprocessing.get_context("fork")
        self._connection, theirs = fork.Pipe()
        self._process = fork.Process(target=answer, args=(make, theirs), daemon=True)
        self._process.start()
        self.works = self._connection.recv()
        self._stand_still()

    def seconds(self, start: int) -> np.ndarray:
        """What the clip that begins at frame ``start`` takes: (2,), by the clock, and of the processor."""
        os.kill(self._process.pid, signal.SIGCONT)
        self._connection.send(start)
        spent = self._connection.recv()
        self._stand_still()
        return spent

    def end(self) -> None:
        """Let the process go."""
        self._process.kill()
        self._process.join()

    def _stand_still(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)


def answer(make: Callable[[], Run], connection: Connection) -> None:
    """The life of a candidate's process."""
    torch.set_num_threads(1)
    try:
        run = make()
        run(0)
    except (ImportError, VideoError, ValueError):
        connection.send(False)
        return
    connection.send(True)
    while True:
        start = connection.recv()
        begin = np.array([time.perf_counter(), time.process_time()])
        run(start)
        answered = time.perf_counter()
        connection.send(np.array([answered, at_rest()]) - begin)


def at_rest() -> float:
    """Processor time of the process, once its threads do nothing more."""
    before = time.process_time()
    while True:
        time.sleep(2e-3)
        now = time.process_time()
        if now - before < 5e-4:
            return before
        before = now


def reading(engine: str, path: Path, side: int) -> Run:
    """What training reads with."""
    videos = VideoFolder(path, engine)
    return lambda start: videos.read(0, range(start, start + CLIP), (side, side))


def bare_av(path: Path, side: int) -> Run:
    """PyAV as its documentation has it: seek, decode, scale with our filter; the container stays open."""
    container = av.open(str(path))
    stream = container.streams.video[0]
    stream.thread_type, stream.codec_context.thread_count = "SLICE", 2

    def run(start: int) -> list[np.ndarray]:
        container.seek(round(start / 25 / stream.time_base), stream=stream)
        frames = []
        for frame in container.decode(stream):
            if frame.time * 25 > start - 0.5:
                width = round(frame.width * side / frame.height)
                frames.append(frame.reformat(width, side, "rgb24", interpolation=SCALING, **ONE_THREAD).to_ndarray())
                if len(frames) == CLIP:
                    return frames
        return frames

    return run


def bare_decord(path: Path, side: int) -> Run:
    """decord scaling as it decodes."""
    import decord

    first = decord.VideoReader(str(path))[0].shape
    width = round(first[1] * side / first[0])
    reader = decord.VideoReader(str(path), width=width, height=side, num_threads=1)
    return lambda start: reader.get_batch(range(start, start + CLIP)).asnumpy()


def bench_cache(folder: Path, root: Path, rounds: int) -> dict[str, float]:
    """Clips of 12 x 3 x 128 x 128 from files of 320x240, from the cache, and by copying as much memory."""
    size, path = (128, 128), folder.parent / "source" / "film.mkv"
    encode(path, (240, 320), "libx264", {"g": "12"})
    spec, plain = ClipSpec(CLIP, size), VideoFolder(path.parent)
    cached = CachedVideos(plain, folder, size)
    cached.prepare()
    block = torch.randint(0, 256, (NUM_FRAMES, 3, *size), dtype=torch.uint8)

    def fifty(read: Run) -> Run:
        def run(start: int) -> None:  # one clip after the other: to keep them all would measure fresh memory
            for k in range(50):
                read((start + 7 * k) % 280)

        return run

    runs: dict[str, Run] = {
        "decoding": lambda start: read_clip(plain, spec, ClipRef(0, start)),
        "cache": fifty(lambda start: read_clip(cached, spec, ClipRef(0, start))),
        "copy": fifty(lambda start: block[start : start + CLIP].clone()),
    }
    starts = np.random.default_rng(1).integers(0, NUM_FRAMES - CLIP, NUM_CLIPS).tolist()
    seconds, _ = interleave({name: lambda run=run: run for name, run in runs.items()}, starts, rounds)
    decoding, cache, copy = (seconds[name] / NUM_CLIPS / many for name, many in zip(runs, (1, 50, 50), strict=True))
    return {
        "decoding, clips per second": 1 / decoding,
        "cache, clips per second": 1 / cache,
        "copy of memory, clips per second": 1 / copy,
        "cache / decoding": decoding / cache,
        "cache / copy": copy / cache,
    }


def bench_training(root: Path, cache: Path, num_steps: int = 40) -> dict[str, float]:
    """The share of time that a training step at 64x64 waits for its batch, with and without the cache."""
    import mcvd

    model = mcvd.build(
        {
            "block": {"past": 2, "current": 5},
            "size": [64, 64],
            "net": {"class_path": "mcvd.nets.UNet", "init_args": {"width": 32, "attention_levels": [3]}},
        }
    )
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    shares = {}
    for name, folder in (("without cache", None), ("with cache", str(cache))):
        data = VideoData(str(root), num_frames=7, size=64, batch_size=8, num_workers=1, cache=folder)
        data.setup("fit")
        waiting = working = 0.0
        done = 0
        while done < num_steps:
            batches = iter(data.train_dataloader())
            while done < num_steps:
                begin = time.perf_counter()
                batch = next(batches, None)
                fetched = time.perf_counter()
                if batch is None:
                    break
                model.loss(batch).mean().backward()
                optimizer.step()
                optimizer.zero_grad()
                done += 1
                if done > 3:  # the workers have started
                    waiting += fetched - begin
                    working += time.perf_counter() - fetched
        shares[f"waiting for data, {name}, percent"] = 100 * waiting / (waiting + working)
    return shares


if __name__ == "__main__":
    main()
