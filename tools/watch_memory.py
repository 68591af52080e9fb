"""Runs a command and writes down how much memory it and its processes hold, again and again.

python tools/watch_memory.py --every 30 --out memory.jsonl -- mcvd fit --config configs/small.yaml
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil


def held_bytes(process: psutil.Process) -> int:
    """Memory that a process and its descendants hold, in bytes; what they share counts once (PSS, Linux)."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return total


def main() -> None:
    """Watch until the command ends; its exit status is ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=float, default=30, help="seconds between two looks")
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON for each look: seconds, bytes")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    begin = time.monotonic()
    with args.out.open("w") as out, subprocess.Popen(args.command) as process:
        while process.poll() is None:
            look = {"seconds": round(time.monotonic() - begin, 1), "bytes": held_bytes(psutil.Process(process.pid))}
            print(json.dumps(look), file=out, flush=True)
            try:
                process.wait(args.every)
            except subprocess.TimeoutExpired:
                continue
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
