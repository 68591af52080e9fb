"""A recorded run of kills: ``PYTHONPATH=tests python -m faults --kills 200``, or ``--points 1000``."""

import argparse
import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: no threads that a fork would lose

import torch

from faults.kills import run_kills
from faults.recorded import record, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of a training, at random moments")
    parser.add_argument("--points", type=int, help="instead: changes of the file system, over all commands")
    parser.add_argument(
        "--log", type=Path, default=Path("kills.jsonl"), help="of --points; a run that was stopped goes on"
    )
    parser.add_argument("--part", default="1/1", metavar="I/N", help="of --points, for N processes that share the log")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of --points: stop after so long")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        if options.points:
            part, parts = map(int, options.part.split("/"))
            record(Path(folder), options.log, options.points, options.seed, options.seconds, (part - 1, parts))
            print(table(options.log))
        else:
            kill_trainings(Path(folder), options.kills, options.seed)


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
