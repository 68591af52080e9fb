"""A recorded run of kills: ``PYTHONPATH=tests python -m faults --kills 200``."""

import argparse
import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: no threads that a fork would lose

from faults.kills import run_kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin, moments, parts, resumed = monotonic(), Counter(), 0, 0
    with TemporaryDirectory() as folder:
        for number, kill in enumerate(run_kills(Path(folder), options.kills, options.seed), 1):
            moments[kill.moment] += 1
            parts += kill.left_part
            resumed += kill.step > 0
            print(f"{number:4d} {kill}", flush=True)
    print(
        f"{options.kills} kills in {monotonic() - begin:.0f} s: {dict(moments)}; {parts} left half a checkpoint under"
    )
    print(f"another name, {resumed} resumed from a checkpoint; all equal to the undisturbed training")


if __name__ == "__main__":
    main()
