"""A recorded run of `kill_points`: it can be stopped and goes on, and several processes can share it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import monotonic

from faults.commands import COMMANDS, make_inputs, preload
from faults.kill_points import Point, kill_and_repeat, undisturbed


def plan(changes: dict[str, list[int]], num_kills: int, seed: int) -> list[tuple[str, tuple[Point, ...]]]:
    """What is killed where, the commands in turn: before each change once, then at two points one after the other.

    Args:
        changes: of each process of each command.
        num_kills: of all commands together; each has its share of them.
        seed: of the order of the points.
    """
    lists = {command.name: _points(changes[command.name], f"{seed}/{command.name}") for command in COMMANDS}
    found: list[tuple[str, tuple[Point, ...]]] = []
    counts: Counter[str] = Counter()
    while sum(counts.values()) < num_kills:
        name = min(COMMANDS, key=lambda command: counts[command.name] / command.share).name
        points = next(lists[name])
        found.append((name, points))
        counts[name] += len(points)
    return found


def _points(changes: list[int], key: str) -> Iterator[tuple[Point, ...]]:
    draw = Random(key)
    every = [(rank, change) for rank, count in enumerate(changes) for change in range(1, count + 1)]
    yield from ((point,) for point in draw.sample(every, len(every)))
    while True:  # a command that is repeated has less to do: its second kill comes early
        yield draw.choice(every), draw.choice(every[: max(1, len(every) // 3)])


def record(folder: Path, log: Path, num_kills: int, seed: int, seconds: float, share: tuple[int, int]) -> None:
    """Kill until the plan is done or the time is over, a line of JSON for each; what the log holds is done.

    Args:
        folder: an empty one, to work in.
        log: of lines; other processes may write to it at the same time.
        num_kills, seed: of the plan.
        seconds: after which no other is begun.
        share: (i, n) does every n-th of the plan, beginning with the i-th.
    """
    begin, inputs = monotonic(), folder / "inputs"
    make_inputs(inputs)
    preload(inputs)
    references = {command.name: folder / f"undisturbed-{number}" for number, command in enumerate(COMMANDS)}
    changes = {command.name: undisturbed(command, references[command.name], inputs) for command in COMMANDS}
    done = {(row["command"], _key(row["points"])) for row in _rows(log)}
    commands = {command.name: command for command in COMMANDS}
    for number, (name, points) in enumerate(plan(changes, num_kills, seed)[share[0] :: share[1]]):
        if (name, _key(points)) in done:
            continue
        if monotonic() - begin > seconds:
            break
        row = {"command": name, "points": points, "changes": changes[name], "killed": len(points), "fault": ""}
        try:
            row["killed"] = kill_and_repeat(
                commands[name], folder / f"killed-{number}", inputs, points, references[name]
            )  # fmt: skip
        except AssertionError as error:
            row["fault"] = str(error)
            print(error, flush=True)
        with log.open("a") as out:
            print(json.dumps(row), file=out)


def table(log: Path) -> str:
    """The counts of a log, in Markdown."""
    rows = _rows(log)
    lines = [
        "| command | changes | killed before | and again | lost, left over or different |",
        "|---|---|---|---|---|",
    ]
    sums = [0, 0, 0]
    for command in COMMANDS:
        mine = [row for row in rows if row["command"] == command.name]
        if not mine:
            continue
        counts = [len(mine), sum(row["killed"] - 1 for row in mine), sum(bool(row["fault"]) for row in mine)]
        sums = [a + b for a, b in zip(sums, counts, strict=True)]
        changes = " and ".join(map(str, mine[-1]["changes"]))
        lines.append(f"| {command.name} | {changes} | {' | '.join(map(str, counts))} |")
    lines.append(f"| **all** | | {' | '.join(f'**{count}**' for count in sums)} |")
    return "\n".join(lines)


def _rows(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def _key(points) -> tuple[tuple[int, int], ...]:
    return tuple((rank, change) for rank, change in points)
