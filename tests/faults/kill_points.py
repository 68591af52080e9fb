"""Kills commands before each change that they make to the file system, as SQLite's tests do.

Python tells a hook what changes a file system (files opened for writing, renamed, deleted, linked, folders made and
removed); it counts and, at the chosen number, sends SIGKILL to its process. Commands run in forks of a process that has
done the slow imports.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import socket
import sys
import traceback
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import yaml
from reference.published import checkpoint_of, choices, random_state, write
from reference.tiny import pixels, tiny_model
from reference.tiny_fit import TINY, assert_same_run

import mcvd
import mcvd.training.fit
from mcvd.apps.cli.main import main
from mcvd.data.prepare.packs import Pack, prepare_packs
from mcvd.models.files import LAST

LIMIT_SECONDS = 120
_VIDEO = re.compile(r"data:video/mp4;base64,([^\"]*)")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {"os.rename": (0, 1), "os.remove": (0,), "os.mkdir": (0,), "os.rmdir": (0,), "os.link": (0, 1)}
_PATHS |= {"os.symlink": (0, 1), "os.truncate": (0,), "os.chmod": (0,)}


@dataclass(frozen=True)
class Command:
    """What is killed.

    Args:
        name: in the table.
        run: does the work in a folder of its own; gets that and the folder of inputs; returns the exit status.
        world_size: processes that do it together; any of them is killed.
    """

    name: str
    run: Callable[[Path, Path], int]
    world_size: int = 1


def make_inputs(folder: Path) -> None:
    """What the commands read: in a process of its own, so that no thread of PyTorch or FFmpeg is forked later."""

    def work(_: int) -> int:
        model = tiny_model(channels=3)
        model.save_pretrained(folder / "model")
        torch.save({"config": model.config, "state_dict": model.state_dict()}, folder / "own.ckpt")
        mcvd.write_video(folder / "given.gif", pixels(9, 3, 16, 16), fps=10)
        for number in range(3):
            mcvd.write_video(folder / "videos" / f"{number}.gif", pixels(9, 3, 16, 16, seed=number), fps=10)
        state = random_state()
        write(folder, checkpoint_of(state, state), choices(prob_mask_cond=0.5, prob_mask_future=0.5))
        (folder / "fit.yaml").write_text(yaml.safe_dump(_fit_config(folder)))
        return 0

    folder.mkdir(parents=True)
    assert forked(1, work, folder / "log") == [0], (folder / "log").read_text()


def _fit_config(folder: Path) -> dict[str, Any]:
    sampler = {"class_path": "mcvd.samplers.DDIM", "init_args": {"num_steps": 1}}
    return TINY | {
        "data": {"root": str(folder / "videos"), "max_val_clips": 2, "batch_size": 2, "num_workers": 0},
        "trainer": TINY["trainer"] | {"max_steps": 4, "val_check_interval": 2},
        "checkpoints": {"every_n_steps": 2, "keep_every_n_steps": 2},
        "preview": {"every_n_steps": 4, "num_videos": 1, "sampler": sampler},
    }


def _fit(out: Path, inputs: Path) -> int:
    runs = sorted(out.glob(f"runs/*/{LAST}"))
    words = [
        "--config",
        str(inputs / "fit.yaml"),
        f"--trainer.default_root_dir={out}/runs",
        f"--data.cache={out}/cache",
    ]
    return main(["fit", *words, *(["--ckpt_path=last"] if runs else [])])


def _fit_together(out: Path, inputs: Path) -> int:
    runs = sorted(out.glob(f"runs/*/{LAST}"))
    words = ["--config", str(inputs / "fit.yaml"), f"--trainer.default_root_dir={out}/runs", "--data.batch_size=1"]
    words += ["--trainer.strategy=ddp", "--trainer.devices=2", "--model.net.init_args.dropout=0"]
    return main(["fit", *words, *(["--ckpt_path=last"] if runs else [])])


def _sampling(command: str, name: str, *options: str) -> Callable[[Path, Path], int]:
    def run(out: Path, inputs: Path) -> int:
        video = [] if command == "generate" else [str(inputs / "given.gif")]
        words = ["--model", str(inputs / "model"), "--device=cpu", "--sampler=DDIM", "--steps=1", "--every-frame"]
        words = words[:-1] if command == "generate" else words
        return main([command, *video, *words, "--out", str(out / name), *options])

    return run


def _in_two(out: Path, inputs: Path) -> int:
    from mcvd.apps.cli.generate import run

    torch.distributed.init_process_group("gloo")
    run(out=str(out / "two"), model=str(inputs / "model"), num_frames=4, num_samples=2, steps=1, device="cpu")
    torch.distributed.destroy_process_group()
    return 0


def _evaluate(out: Path, inputs: Path) -> int:
    words = ["--model", str(inputs / "model"), "--val-root", str(inputs / "videos"), "--num-clips=1", "--num-samples=1"]
    return main(["evaluate", *words, "--num-frames=1", "--steps=1", "--device=cpu", "--out", str(out / "result.json")])


def _export(out: Path, inputs: Path) -> int:
    return main(["export", str(inputs / "own.ckpt"), "--out", str(out / "exported")])


def _convert(out: Path, inputs: Path) -> int:
    (checkpoint,) = inputs.glob("*.pt")
    (config,) = inputs.glob("*.yml")
    return main(["convert", str(checkpoint), "--config", str(config), "--out", str(out / "converted")])


def _pack(out: Path, inputs: Path) -> int:
    words = [str(inputs / "videos"), "--size=16", "--num-workers=1", "--out", str(out / "packed")]
    return main(["data", "pack", *words])


def _prepare(out: Path, inputs: Path) -> int:
    def videos(number: int) -> Iterator[tuple[str, np.ndarray]]:
        yield f"video {number}", np.full((3, 8, 8, 3), number, np.uint8)

    packs = [Pack(f"train/{number}", 576, lambda number=number: videos(number)) for number in range(3)]
    prepare_packs(out / "prepared", packs, 10)
    return 0


COMMANDS = [
    Command("fit, cached, with previews", _fit),
    Command("fit in two processes", _fit_together, world_size=2),
    Command("predict to an mp4", _sampling("predict", "future.mp4", "--num-frames=4")),
    Command("predict to a folder, with a page", _sampling("predict", "futures", "--num-frames=4", "--gallery")),
    Command("predict to an mp4, with a page", _sampling("predict", "future.mp4", "--num-frames=2", "--gallery")),
    Command("interpolate to a gif", _sampling("interpolate", "gap.gif", "--gap=4:6")),
    Command("generate to a strip", _sampling("generate", "strip.png", "--num-frames=4", "--num-samples=2")),
    Command("generate in two processes", _in_two, world_size=2),
    Command("evaluate", _evaluate),
    Command("export", _export),
    Command("convert", _convert),
    Command("data pack", _pack),
    Command("prepare", _prepare),
]


class Killer:
    """Counts the changes below a folder, by a hook that stays for the life of the process."""

    def __init__(self, folder: Path, counter: Path, kill_before: int | None) -> None:
        self.folder, self.kill_before = f"{folder}{os.sep}", kill_before
        self.changes = 0
        self._counter = os.open(counter, os.O_WRONLY | os.O_CREAT)
        self._process = os.getpid()
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_change(event, arguments) or os.getpid() != self._process:  # data workers have it too
            return
        self.changes += 1
        os.pwrite(self._counter, b"%9d" % self.changes, 0)
        if self.changes == self.kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_change(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            path, _, flags = arguments
            return isinstance(path, str | bytes | os.PathLike) and bool(flags & _WRITES) and self._is_inside(path)
        if event not in _PATHS:
            return False
        last = arguments[-1]  # of the folder that a name is relative to, as rmtree has them
        folder = os.readlink(f"/proc/self/fd/{last}") if event in ("os.remove", "os.rmdir") and last >= 0 else ""
        return any(self._is_inside(os.path.join(folder, os.fspath(arguments[place]))) for place in _PATHS[event])

    def _is_inside(self, path: Any) -> bool:
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder)


def forked(world_size: int, work: Callable[[int], int], log: Path) -> list[int]:
    """Exit statuses of ``work(rank)`` in so many forks; a process that is killed has its signal, negative."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(world_size):
        child = os.fork()
        if not child:
            signal.alarm(LIMIT_SECONDS)
            if world_size > 1:
                where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_RANK": rank, "RANK": rank}
                os.environ |= {name: str(value) for name, value in (where | {"WORLD_SIZE": world_size}).items()}
            said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for number in (1, 2):
                os.dup2(said, number)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            status = 70
            try:
                status = work(rank)
            except SystemExit as leaving:
                status = leaving.code or 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def undisturbed(command: Command, folder: Path, inputs: Path) -> list[int]:
    """Run a command to its end; how many changes each of its processes made."""
    counters = [folder.parent / f"{folder.name}-{rank}" for rank in range(command.world_size)]
    folder.mkdir(parents=True)
    log = folder.with_suffix(".log")

    def work(rank: int) -> int:
        Killer(folder, counters[rank], None)
        return command.run(folder, inputs)

    assert forked(command.world_size, work, log) == [0] * command.world_size, log.read_text()[-3000:]
    return [int(counter.read_bytes() or b"0") for counter in counters]


def points(changes: list[int], number: int, seed: int) -> list[tuple[int, int]]:
    """So many (process, change) of a command, at random; all of them if there are not so many."""
    every = [(rank, change) for rank, count in enumerate(changes) for change in range(1, count + 1)]
    return sorted(Random(seed).sample(every, min(number, len(every))))


def kill_and_resume(command: Command, folder: Path, inputs: Path, point: tuple[int, int], reference: Path) -> None:
    """Kill process ``point[0]`` before its change number ``point[1]``, run the same command again and compare.

    Raises:
        AssertionError: the second command fails, its result is another one, or something is left over.
    """
    rank_killed, number = point
    folder.mkdir(parents=True)
    log = folder.with_suffix(".log")

    def work(rank: int) -> int:
        if rank == rank_killed:
            Killer(folder, folder.with_suffix(".count"), number)
        return command.run(folder, inputs)

    statuses = forked(command.world_size, work, log)
    where = f"{command.name}, killed at {point}: "
    assert statuses[rank_killed] == -signal.SIGKILL, f"{where}not killed, {statuses}\n{log.read_text()[-3000:]}"
    statuses = forked(command.world_size, lambda _: command.run(folder, inputs), log)
    assert statuses == [0] * command.world_size, f"{where}failed then\n{log.read_text()[-3000:]}"
    left = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    assert not left, f"{where}left {left}"
    assert_same_result(folder, reference, where)
    shutil.rmtree(folder)


def assert_same_result(folder: Path, reference: Path, where: str) -> None:
    """The same files with the same content; of a training the last run, and not the configs of its resumptions."""
    found, wanted = _result(folder), _result(reference)
    assert found.keys() == wanted.keys(), f"{where}{sorted(found.keys() ^ wanted.keys())}"
    for name, path in found.items():
        if path.suffix == ".ckpt":
            assert_same_run(*(torch.load(each, weights_only=True) for each in (path, wanted[name])))
        elif path.suffix == ".html":
            _assert_same_page(path, wanted[name], f"{where}{name} differs")
        else:
            assert _content(path) == _content(wanted[name]), f"{where}{name} differs"


def _assert_same_page(path: Path, wanted: Path, fault: str) -> None:
    """The same words and pictures, and videos that show the same: one in many is encoded to other bytes."""
    pages = [_VIDEO.split(each.read_text()) for each in (path, wanted)]  # every second part is a video
    assert pages[0][::2] == pages[1][::2], fault
    for number, pair in enumerate(zip(pages[0][1::2], pages[1][1::2], strict=True)):
        if pair[0] == pair[1]:
            continue
        videos = []
        for each in pair:
            place = path.with_name(f"{number}.mp4")
            place.write_bytes(b64decode(each))
            videos.append(mcvd.read_video(place).float())
            place.unlink()
        assert (videos[0] - videos[1]).abs().mean() < 1, fault


def _result(folder: Path) -> dict[str, Path]:
    runs = sorted((folder / "runs").glob("run-*"))
    files = [path for path in folder.rglob("*") if path.is_file() and (folder / "runs") not in path.parents]
    found = {str(path.relative_to(folder)): path for path in files}
    if runs:
        of_run = [path for path in runs[-1].rglob("*") if path.is_file() and not path.name.startswith("config")]
        found |= {f"run/{path.relative_to(runs[-1])}": path for path in of_run}
    return found


def _content(path: Path) -> Any:
    if path.name in ("index.json", "digests.json"):  # holds the time, or the place of each video
        return {name: value for name, value in json.loads(path.read_text()).items() if name not in ("updated_at",)}
    if path.suffix == ".json":
        return {name: value for name, value in json.loads(path.read_text()).items() if name != "command"}
    if path.name == "metrics.csv":
        with path.open(newline="") as file:
            return [sorted(row.items()) for row in csv.DictReader(file)]
    if path.name == "data.yaml":
        return path.read_text().replace(str(path.parents[1]), "")
    return sha256(path.read_bytes()).hexdigest()
