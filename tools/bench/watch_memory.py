"""Runs a command and writes down how much memory it and its processes hold, again and again (Linux).

Each line holds the seconds since the start, the bytes of all processes together (``bytes``) and of each, without pages
of files, and those (``file_bytes``).

python tools/bench/watch_memory.py --every 30 --out memory.jsonl -- mcvd fit --config configs/small.yaml
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil


def cache_bytes(process: psutil.Process) -> dict[int, dict[str, int]]:
    """Memory that a process and its descendants hold, in bytes by process; what they share is divided among them.

    Pages of files, those of libraries most of all, are counted apart: every other program that maps the same file takes
    its part, so that they change without anything having changed here.
    """
    held = {}
    for member in (process, *process.children(recursive=True)):
        try:
            lines = Path(f"/proc/{member.pid}/smaps_rollup").read_text().splitlines()
        except (ProcessLookupError, FileNotFoundError):
            continue
        kilobytes = {name: int(size) for name, size, *unit in map(str.split, lines) if unit == ["kB"]}
        if kilobytes:  # none of one that has ended and was not yet asked how
            own = kilobytes["Pss_Anon:"] + kilobytes["Pss_Shmem:"]
            held[member.pid] = {"own": own << 10, "files": kilobytes["Pss_File:"] << 10}
    return held


def look(process: psutil.Process) -> dict[str, Any]:
    """One line: all processes together, and each."""
    held = cache_bytes(process)
    return {
        "bytes": sum(each["own"] for each in held.values()),
        "file_bytes": sum(each["files"] for each in held.values()),
        "processes": {pid: each["own"] for pid, each in held.items()},
    }


def main() -> None:
    """Watch until the command ends; its exit status is ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=float, default=30, help="seconds between two looks")
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON for each look")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    begin = time.monotonic()
    with args.out.open("w") as out, subprocess.Popen(args.command) as process:
        while process.poll() is None:
            seconds = {"seconds": round(time.monotonic() - begin, 1)}
            print(json.dumps(seconds | look(psutil.Process(process.pid))), file=out, flush=True)
            try:
                process.wait(args.every)
            except subprocess.TimeoutExpired:
                continue
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
