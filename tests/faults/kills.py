"""Kills trainings with SIGKILL at random instants and compares what resumes with a training that nobody disturbed.

Trainings are forked from a process that has done the slow imports, and tell through a pipe what they are doing, so that
kills can be aimed at the short moments in which a checkpoint is written.
"""

from __future__ import annotations

import csv
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
import yaml
from reference.tiny_fit import TINY, assert_same_run

import mcvd.training.fit  # noqa: F401, slow: before any fork
from mcvd.apps.cli.main import main
from mcvd.models.files import LAST
from mcvd.models.mcvd import MCVD
from mcvd.training.checkpoint_io import AtomicCheckpointIO
from mcvd.training.memory import MemoryEstimate

NUM_STEPS = 30
CHECKPOINT_STEPS = 2
LIMIT_SECONDS = 120

# What a training says when it begins and ends something.
SAYS = {b"c": "writing a checkpoint", b"v": "in validation", b"s": "in a step"}
SET_UP, BETWEEN = "setting up", "between"


@dataclass(frozen=True)
class Kill:
    """One kill.

    Args:
        moment: what the training was doing.
        step: of the checkpoint that it left; 0 for none.
        left_part: it left a checkpoint half written, under another name.
    """

    moment: str
    step: int
    left_part: bool


def run_kills(folder: Path, num_kills: int, seed: int = 0) -> Iterator[Kill]:
    """Kill trainings until there were ``num_kills`` kills; yields each when its checkpoint was compared.

    A training is resumed and killed again until it reaches its end; then all of it is compared with the undisturbed
    one.

    Raises:
        AssertionError: a killed training left a checkpoint that is not that of the undisturbed one, or did not resume.
    """
    random = Random(seed)
    config = folder / "tiny.yaml"
    changes = {"trainer": TINY["trainer"] | {"max_steps": NUM_STEPS, "val_check_interval": 5}}
    changes["checkpoints"] = {"every_n_steps": CHECKPOINT_STEPS}
    config.write_text(yaml.safe_dump(one_level() | changes))
    keep = [f"--checkpoints.keep_every_n_steps={CHECKPOINT_STEPS}"]
    reference = folder / "undisturbed"
    with training(config, reference, keep) as (process, _):
        assert ended(process), told(reference)
    left, number = num_kills, 0
    while left:
        number += 1
        root = folder / f"run-{number}"
        finished = False
        while not finished:
            aim = _aim(random) if left else None
            moment = _train_until(config, root, random, aim)
            finished = moment is None
            if not finished:
                left -= 1
                yield _compare_left(root / "run-1", reference / "run-1", moment)
        _compare_end(root, reference)


def _aim(random: Random) -> tuple[bytes, int, float]:
    """What to wait for, how often, and how many seconds to wait after it."""
    event = random.choice([b"c", b"c", b"v", b"s", b""])
    if not event:
        return event, 0, random.uniform(0, 2.5)
    longest = {b"v": 0.05, b"c": 0.03, b"s": 0.1}[event]
    delay_seconds = random.choice([0, random.uniform(0, longest)])  # a busy machine adds its own
    return event, random.randint(1, 3 if event == b"v" else 8), delay_seconds


def _train_until(config: Path, root: Path, random: Random, aim: tuple[bytes, int, float] | None) -> str | None:
    """Start or resume a training and kill it; what it was doing, or None if it reached its end before."""
    options = [f"--data.num_workers={random.choice([0, 0, 0, 1])}"]
    if (root / "run-1" / LAST).exists():
        options += ["--ckpt_path", "last"]
    elif (root / "run-1").exists():  # killed before its first checkpoint: a user starts anew
        (root / "run-1").rename(root / f"too-early-{time.monotonic_ns()}")
    with training(config, root, options) as (process, pipe):
        if aim is None:
            assert ended(process), told(root)
            return None
        event, count, delay_seconds = aim
        said = listen(pipe, lambda said: said.count(event) >= count) if event else b""
        time.sleep(delay_seconds)
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        said += listen(pipe, lambda _: False)
    if not os.WIFSIGNALED(status):
        assert status == 0, told(root)
        return None
    return _moment(said)


def _moment(said: bytes) -> str:
    """What a training was doing at the end of what it said."""
    if not said:
        return SET_UP
    return SAYS.get(said[-1:], BETWEEN)


def listen(pipe: int, enough: Callable[[bytes], bool]) -> bytes:
    """All that a training says, until it is enough or the training has ended."""
    said, deadline = b"", time.monotonic() + LIMIT_SECONDS
    while not enough(said):
        ready, _, _ = select.select([pipe], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing in {LIMIT_SECONDS} s after {said}"
        word = os.read(pipe, 1)
        if not word:
            break
        said += word
    return said


@contextmanager
def training(
    config: Path, root: Path, options: list[str], prepare: Callable[[], object] = lambda: None
) -> Iterator[tuple[int, int]]:
    """A training in a process of its own, inside the ``with``: its number, and the pipe that it speaks to.

    ``prepare`` is called in that process first.
    """
    root.mkdir(parents=True, exist_ok=True)
    pipe, mouth = os.pipe()
    process = os.fork()
    if process == 0:
        _be_a_training(mouth, root, ["--config", str(config), f"--trainer.default_root_dir={root}", *options], prepare)
    os.close(mouth)
    try:
        yield process, pipe
    finally:
        os.close(pipe)


def one_level() -> dict[str, Any]:
    """`TINY` with a network that is half as slow."""
    net = TINY["model"]["net"]
    init_args = net["init_args"] | {"multipliers": [1]}
    return TINY | {"model": TINY["model"] | {"net": net | {"init_args": init_args}}}


def _be_a_training(mouth: int, root: Path, argv: list[str], prepare: Callable[[], object]) -> None:
    os.setpgrp()  # a group of its own, for signals that reach its data workers too
    log = os.open(root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    for owner, method, begin, end in (
        (AtomicCheckpointIO, "save_checkpoint", b"c", b"C"),
        (MCVD, "validation_step", b"v", b"V"),
        (MCVD, "training_step", b"s", b""),
    ):
        setattr(owner, method, _speaking(getattr(owner, method), mouth, begin, end))
    status = 1
    MemoryEstimate.at = lambda *_: 1 << 20  # looking ahead takes most of the time of so short a training
    try:
        prepare()
        status = main(["fit", *argv])
    except SystemExit as leaving:
        status = leaving.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # not the exit of the process that was forked: no clean-up, no other tests


def _speaking(method: Callable, mouth: int, begin: bytes, end: bytes) -> Callable:
    def spoken(*args, **options):
        os.write(mouth, begin)
        result = method(*args, **options)
        os.write(mouth, end)
        return result

    return spoken


def ended(process: int) -> bool:
    """Wait for a training; whether it ended well."""
    return os.waitpid(process, 0)[1] == 0


def told(root: Path) -> str:
    """The last that a training printed."""
    return (root / "log").read_text()[-3000:]


def _compare_left(run: Path, reference: Path, moment: str) -> Kill:
    """The checkpoint of a killed run is whole and is that of the undisturbed one at the same step."""
    left_part = any(run.glob(f".{LAST}.*.part"))
    if not (run / LAST).exists():
        return Kill(moment, 0, left_part)
    left = torch.load(run / LAST, weights_only=True)
    step = left["global_step"]
    assert_same_run(left, torch.load(reference / f"step-{step:06d}.ckpt", weights_only=True))
    return Kill(moment, step, left_part)


def _compare_end(root: Path, reference: Path) -> None:
    ends = [torch.load(folder / "run-1" / LAST, weights_only=True) for folder in (root, reference)]
    assert_same_run(*ends)
    tables = [_losses(folder / "run-1" / "metrics.csv") for folder in (root, reference)]
    assert tables[0] == tables[1], "the tables of losses differ"
    assert not list((root / "run-1").glob(".*.part")), "half a file was never cleared away"


def _losses(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="") as file:
        return [(row["step"], row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
