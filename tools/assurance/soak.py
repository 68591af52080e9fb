"""Lets one process read, predict, evaluate and serve studio visitors for hours, and writes down whether anything grows.

    python tools/assurance/soak.py --hours 3 --log soak.jsonl [--duty 0.1] [--model FOLDER] [--folder FOLDER]
    python tools/assurance/soak.py --report soak.jsonl

All jobs are done by one process, one after the other, which rests in between so that it works for ``--duty`` of the
time. Every ``--every`` seconds a line of JSON holds what it keeps after its last job: memory without pages of files,
open files, threads, and files that lie where none should (in the working folder, in that of temporary files, in that of
the studio). It ends after its hours, by Ctrl-C or SIGTERM; the same command goes on with the hours that are left, and
the report keeps the runs apart, as a new process begins with new memory.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import httpx
import psutil
import torch

import mcvd
from mcvd.apps.cli.main import main as command
from mcvd.apps.studio.clip import Limits, read_clip, synthetic_clip
from mcvd.apps.studio.job import GenerationRequest
from mcvd.apps.studio.service import Studio
from mcvd.apps.studio.storage import Storage
from mcvd.data.synthetic.driving.scenes import DrivingScenes
from mcvd.diffusion.tasks import TASKS
from mcvd.models.load import BOX
from mcvd.models.mcvd import MCVD
from mcvd.samplers import DDIM
from mcvd.video.open import open_video

LONGEST_REST_SECONDS = 120
LIFETIME_SECONDS = 300  # of files in the studio, so that they are seen to go
FIRST_SHARE = 0.25  # of a run: what libraries load and keep once


class Jobs:
    """What is done again and again; each job leaves nothing.

    Args:
        folder: for inputs (made here) and results, which are deleted after each job.
        model: folder of an exported model; None is the bundled one.
    """

    def __init__(self, folder: Path, model: Path | None):
        self._inputs, self._out, self._model = folder / "inputs", folder / "out", model
        self._draw = random.Random(0)
        self._inputs.mkdir(exist_ok=True)
        self._out.mkdir(exist_ok=True)
        scenes = DrivingScenes(3, 30, 10)
        self._videos = [self._inputs / f"{number}{end}" for number, end in enumerate((".mp4", ".gif", ".mp4"))]
        for number, path in enumerate(self._videos):
            mcvd.write_video(path, scenes.read(number, range(30), (96, 128)), fps=10)
        self.net: MCVD = mcvd.load(model or BOX)
        storage = Storage(200_000_000, LIFETIME_SECONDS)
        storage.lend_to_gradio()
        from mcvd.apps.studio.page import serve  # imports Gradio

        self.studio = Studio(self.net, "soak", Limits(megabytes=5, frames=60), storage)
        self._page, url = serve(self.studio, "127.0.0.1", None)
        self._visitor = httpx.Client(base_url=url, timeout=60)

    def __iter__(self) -> Iterator[tuple[str, Callable[[], object]]]:
        return itertools.cycle(
            [("read", self._read)] * 4
            + [("studio", self._visit), ("predict", self._predict), ("read", self._read), ("generate", self._generate)]
            + [("studio", self._visit), ("evaluate", self._evaluate)]
        )

    def close(self) -> None:
        """End the studio."""
        self._visitor.close()
        self._page.close(verbose=False)
        self.studio.close()

    def leftovers(self) -> int:
        """Files where none should be after a job."""
        temporary = Path(tempfile.gettempdir())
        ours = (path for path in temporary.iterdir() if path.name.startswith(("mcvd", "gradio", "tmp")))
        known = {self.studio.storage.home, self._inputs.parent}
        return sum(1 for _ in self._out.rglob("*")) + sum(1 for path in ours if path not in known)

    def _read(self) -> None:
        """A few frames of each video, in some order, at some size."""
        for path in self._draw.sample(self._videos, 3):
            with open_video(path) as reader:
                for _ in range(3):
                    numbers = sorted(self._draw.sample(range(reader.num_frames), 5))
                    reader.read(numbers, cover=self._draw.choice([(64, 64), (48, 96)]))
        broken = self._out / "broken.mp4"
        broken.write_bytes(self._videos[0].read_bytes()[: self._draw.randrange(20_000)])
        with suppress(ValueError, OSError):
            mcvd.read_video(broken)
        broken.unlink()

    def _predict(self) -> None:
        out = self._out / self._draw.choice(["a.mp4", "a.gif", "folder"])
        page = ["--gallery"] * self._draw.randrange(2)
        self._run("predict", self._videos[0], "--at=9", "--num-frames=7", "--num-samples=2", *page, "--out", out)

    def _generate(self) -> None:
        self._run("generate", "--num-frames=5", "--out", self._out / "a.png")

    def _evaluate(self) -> None:
        words = ("--val-root", self._inputs, "--num-clips=2", "--num-samples=2", "--num-frames=5")
        self._run("evaluate", *words, "--out", self._out / "result.json")

    def _visit(self) -> None:
        """Open the page, upload, mark, generate, take the files home or turn away before the end; leave."""
        visitor, draw = f"visitor-{self._draw.randrange(10**9)}", self._draw
        self._visitor.get("/").raise_for_status()
        with self._videos[0].open("rb") as file:
            answer = self._visitor.post("/gradio_api/upload", files={"files": ("mine.mp4", file)})
        (path,) = answer.raise_for_status().json()
        clip = draw.choice([lambda: read_clip(path, self.net, Limits()), lambda: synthetic_clip(self.net, 0)])()
        task = TASKS[draw.choice(["predict", "backward", "interpolate", "generate"])]
        request = GenerationRequest(task, DDIM(num_steps=1), num_samples=2, seed=draw.randrange(1000))
        self.studio.begin(visitor)
        updates = self.studio.generate(visitor, clip, range(5, 9), 8, request, lambda _: None)
        for update in updates:
            if update.files is None and draw.random() < 0.2:
                self.studio.cancel(visitor)
        self.studio.leave(visitor)

    def _run(self, *words: object) -> None:
        """A command of the command line, in this process."""
        chosen = ["--model", str(self._model)] if self._model else []
        rest = ["--steps=1", "--device=cpu"]
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            status = command([str(words[0]), *map(str, words[1:]), *chosen, *rest])
        if status:
            raise RuntimeError(f"{' '.join(map(str, words))}: status {status}")
        for path in sorted(self._out.rglob("*"), reverse=True):
            if not path.name.startswith("."):
                path.rmdir() if path.is_dir() else path.unlink()


def held() -> dict[str, int]:
    """What this process keeps: bytes without pages of files, open files, threads."""
    process = psutil.Process()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kilobytes = {name: int(size) for name, size, *unit in map(str.split, lines) if unit == ["kB"]}
    return {
        "bytes": (kilobytes["Pss_Anon:"] + kilobytes["Pss_Shmem:"]) << 10,
        "files": process.num_fds(),
        "threads": process.num_threads(),
        "children": len(process.children()),
    }


def soak(folder: Path, log: Path, hours: float, duty: float, every: float, model: Path | None) -> None:
    """Do jobs until the log holds so many hours, or a signal comes."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    run, before = 1 + max((row["run"] for row in rows), default=0), _hours(rows)
    counts: dict[str, int] = {}
    began, looked = time.monotonic(), 0.0
    jobs = Jobs(folder, model)
    with log.open("a") as out:
        for name, job in jobs:
            worked = time.process_time()
            job()
            counts[name] = counts.get(name, 0) + 1
            seconds = time.monotonic() - began
            if seconds - looked >= every:
                looked = seconds
                gc.collect()
                row = {"run": run, "seconds": round(seconds), "left": jobs.leftovers(), "jobs": counts.copy()} | held()
                print(json.dumps(row), file=out, flush=True)
            rest = (time.process_time() - worked) * (1 / duty - 1)
            if ended.wait(min(rest, LONGEST_REST_SECONDS)) or before + seconds / 3600 >= hours:
                break
    jobs.close()


def _hours(rows: list[dict]) -> float:
    last = {row["run"]: row["seconds"] for row in rows}
    return sum(last.values()) / 3600


def report(log: Path) -> None:
    """Figures of each run: what it held after its first quarter, as means of the three others."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    for run in sorted({row["run"] for row in rows}):
        mine = [row for row in rows if row["run"] == run]
        print(f"run {run}: {mine[-1]['seconds'] / 3600:.2f} h, jobs {mine[-1]['jobs']}, {len(mine)} looks")
        print("| | second quarter | third quarter | last quarter | most |\n|---|---|---|---|---|")
        for name, scale, title in (
            ("bytes", 1e6, "memory, MB"), ("files", 1, "open files"), ("threads", 1, "threads"),
            ("children", 1, "processes"), ("left", 1, "files left"),
        ):  # fmt: skip
            values, cells = [row[name] / scale for row in mine], []
            for part in (1, 2, 3):
                of_part = values[len(values) * part // 4 : len(values) * (part + 1) // 4]
                cells.append(f"{statistics.fmean(of_part):.1f}" if of_part else "-")
            print(f"| {title} | {' | '.join(cells)} | {max(values):.0f} |")
    print(f"{_hours(rows):.2f} h in all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--log", type=Path, default=Path("soak.jsonl"), help="lines of JSON; goes on with what is there"
    )
    parser.add_argument("--hours", type=float, default=3, help="of all runs in the log together")
    parser.add_argument("--duty", type=float, default=0.1, help="share of one core")
    parser.add_argument("--every", type=float, default=60, help="seconds between two looks")
    parser.add_argument("--model", type=Path, help="folder of an exported model; default: the bundled one")
    parser.add_argument("--report", type=Path, metavar="LOG", help="print the figures of a log instead")
    options = parser.parse_args()
    if options.report:
        report(options.report)
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        os.environ["TMPDIR"] = folder  # so that what others leave there is not counted
        tempfile.tempdir = folder
        home = Path(folder) / "work"
        home.mkdir()
        soak(home, options.log, options.hours, options.duty, options.every, options.model)
    report(options.log)


if __name__ == "__main__":
    sys.exit(main())
