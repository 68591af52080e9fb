"""Kills commands before each change that they make to the file system, as SQLite's tests do.

Python tells a hook what changes a file system (files opened for writing, renamed, deleted, linked, folders made and
removed); it counts and, at the chosen number, sends SIGKILL to its process. Commands run in forks of a process that has
done the slow imports. A command may be killed again when it is repeated.
"""

from __future__ import annotations

import importlib
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from faults.commands import Command, use_loaded
from faults.dying import killed_work
from faults.forked import forked, said
from faults.killer import Killer
from faults.same_result import assert_same_result, assert_whole
from mcvd.apps.cli import setup
from mcvd.runtime.distributed import spawn

Point = tuple[int, int]  # process, number of its change that it does not live to make


def undisturbed(command: Command, folder: Path, inputs: Path) -> list[int]:
    """Run a command to its end; how many changes each of its processes made. What it imported is imported here too."""
    counters = [_counter(folder, rank) for rank in range(command.world_size)]
    command.begin(folder)
    log, imported = folder.with_suffix(".log"), folder.with_suffix(".imported")

    def run(rank: int) -> int:
        status = _run(command, folder, inputs, dict.fromkeys(range(command.world_size)), rank)
        if not rank:
            imported.write_text("\n".join(sys.modules))
        return status

    statuses = forked(1 if command.spawns else command.world_size, run, log)
    assert set(statuses) == {0}, said(log)
    for name in imported.read_text().split("\n"):
        with suppress(Exception):  # some modules exist only while others are imported
            importlib.import_module(name)
    return [int(counter.read_bytes() or b"0") for counter in counters]


def points(changes: list[int], number: int, seed: int) -> list[Point]:
    """So many points of a command, at random; all of them if there are not so many."""
    every = [(rank, change) for rank, count in enumerate(changes) for change in range(1, count + 1)]
    return sorted(Random(seed).sample(every, min(number, len(every))))


def kill_and_repeat(command: Command, folder: Path, inputs: Path, killed: Sequence[Point], reference: Path) -> int:
    """Kill a command at each of the points in turn, repeating it, repeat it to its end and compare.

    Returns:
        How often it was killed: a repeated command has less to do and may end before its point.

    Raises:
        AssertionError: the last command fails, its result is another one, something is left over, or there was half a
            result after a kill.
    """
    command.begin(folder)
    log = folder.with_suffix(".log")
    num_killed, num_forks = 0, 1 if command.spawns else command.world_size
    where = f"{command.name}, killed at {list(killed)}: "
    for rank, change in killed:
        statuses = forked(num_forks, partial(_run, command, folder, inputs, {rank: change}), log)
        if command.is_whole:
            assert_whole(folder, reference, {command.before}, where)
        if set(statuses) == {0} and num_killed:
            break
        status = statuses[0 if command.spawns else rank]
        assert status == (1 if command.spawns else -signal.SIGKILL), f"{where}ended with {statuses}\n{said(log)}"
        num_killed += 1
    else:
        statuses = forked(num_forks, partial(_run, command, folder, inputs, {}), log)
    assert set(statuses) == {0}, f"{where}failed then\n{said(log)}"
    left = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    assert not left, f"{where}left {left}"
    assert_same_result(folder, reference, where)
    shutil.rmtree(folder)
    return num_killed


def _run(command: Command, folder: Path, inputs: Path, killed: dict[int, int | None], rank: int) -> int:
    """In a fork: the exit status, if it lives. ``killed`` holds the processes that are watched, and before which change
    they are killed, or None."""
    hooks = {each: (str(folder), str(_counter(folder, each)), change) for each, change in killed.items()}
    use_loaded()
    if command.spawns:
        setup.spawn = _spawn_killed(hooks)
    elif rank in hooks:
        Killer(*hooks[rank])
    return command.run(folder, inputs)


def _spawn_killed(hooks: dict[int, tuple[str, str, int | None]]) -> Callable[..., None]:
    def spawn_killed(work: Callable[..., None], world_size: int, **options: Any) -> None:
        spawn(killed_work, world_size, hooks=hooks, killed=work, **options)

    return spawn_killed


def _counter(folder: Path, rank: int) -> Path:
    return Path(f"{folder}.count-{rank}")
