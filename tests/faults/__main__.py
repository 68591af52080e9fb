"""A recorded run of kills: ``PYTHONPATH=tests python -m faults --kills 200``, or ``--points 1000``."""

import argparse
import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: no threads that a fork would lose

import torch

from faults.kill_points import COMMANDS, kill_and_resume, make_inputs, points, undisturbed
from faults.kills import run_kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of a training, at random moments")
    parser.add_argument("--points", type=int, help="instead: changes of the file system, over all commands")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        if options.points:
            kill_commands(Path(folder), options.points, options.seed, options.seconds)
        else:
            kill_trainings(Path(folder), options.kills, options.seed)


def kill_commands(folder: Path, num_points: int, seed: int, seconds: float) -> None:
    """Kill every command at its share of the points; print a table."""
    begin, inputs = monotonic(), folder / "inputs"
    make_inputs(inputs)
    changes, left, done, faults = {}, {}, Counter(), Counter()
    for number, command in enumerate(COMMANDS):
        changes[command.name] = undisturbed(command, folder / f"undisturbed-{number}", inputs)
    share = num_points
    while sum(min(share, sum(each)) for each in changes.values()) > num_points:
        share -= 1
    for command in COMMANDS:
        left[command.name] = points(changes[command.name], share, seed)
    spent = Counter(dict.fromkeys(left, 0.0))
    while any(left.values()) and monotonic() - begin < seconds:
        # Stopped before its end, the run has given all commands the same time.
        name = min((name for name in left if left[name]), key=lambda name: spent[name])
        number = [command.name for command in COMMANDS].index(name)
        point, started = left[name].pop(len(left[name]) // 2), monotonic()
        done[name] += 1
        killed = folder / f"killed-{number}-{point[0]}-{point[1]}"
        try:
            kill_and_resume(COMMANDS[number], killed, inputs, point, folder / f"undisturbed-{number}")
        except AssertionError as error:
            faults[name] += 1
            print(error, flush=True)
        spent[name] += monotonic() - started
    print("| command | changes | killed before | lost, left over or different |\n|---|---|---|---|")
    for command in COMMANDS:
        counts = " and ".join(map(str, changes[command.name]))
        print(f"| {command.name} | {counts} | {done[command.name]} | {faults[command.name]} |")
    print(f"| **all** | | **{done.total()}** | **{faults.total()}** |\n{monotonic() - begin:.0f} s")


def kill_trainings(folder: Path, num_kills: int, seed: int) -> None:
    begin, moments, parts, resumed = monotonic(), Counter(), 0, 0
    for number, kill in enumerate(run_kills(folder, num_kills, seed), 1):
        moments[kill.moment] += 1
        parts += kill.left_part
        resumed += kill.step > 0
        print(f"{number:4d} {kill}", flush=True)
    print(f"{num_kills} kills in {monotonic() - begin:.0f} s: {dict(moments)}; {parts} left half a checkpoint under")
    print(f"another name, {resumed} resumed from a checkpoint; all equal to the undisturbed training")


if __name__ == "__main__":
    main()
