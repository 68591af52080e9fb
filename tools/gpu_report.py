"""All that is to be known of mcvd's speed on one GPU, in one command of at most 20 minutes on an H100 or H200.

    python tools/gpu_report.py --out report.json
    python tools/gpu_report.py --base COMMIT --published ../mcvd-pytorch --out report.json
    python tools/gpu_report.py --toy --out report.json      # on a CPU, in seconds: only to see that the command works

It checks every fast path against float64 on fresh random inputs, times network calls, training steps, futures of 28
frames and the features of the evaluation beside their baselines in the same rounds, counts the times that a loop waits
for the host, compares the memory estimate with what was taken, and profiles. Baselines are the plain path of the same
network (`tests/reference/plain_unet.py`), with --base another commit of mcvd in a process beside this one, and with
--published the published code where it lies. A part that fails is reported, and the others go on; a part for which no
time is left is left out and said so. The JSON is written after each part.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent / "bench"))
from gpu_checks import checks, memory, waits
from gpu_timings import Setting, calls, features, profiles, steps, videos

from mcvd.runtime.atomic import write_json
from mcvd.runtime.device import has_fast_bf16

# By importance: what comes first is there if time runs out. Expected minutes on an H100.
PARTS = {
    "checks": (checks, 2.0),
    "calls": (calls, 3.0),
    "steps": (steps, 4.0),
    "videos": (videos, 4.0),
    "waits": (waits, 0.5),
    "memory": (memory, 1.0),
    "features": (features, 1.0),
    "profiles": (profiles, 1.5),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="tiny networks on the CPU")
    parser.add_argument("--device", help="default: cuda; with --toy cpu")
    parser.add_argument("--minutes", type=float, default=20.0, help="in which it ends")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--base", metavar="COMMIT", help="also time this commit, by a git worktree")
    parser.add_argument("--published", type=Path, metavar="FOLDER", help="also time the published code")
    parser.add_argument("--out", type=Path, help="also write what was found as JSON")
    options = parser.parse_args()
    device = torch.device(options.device or ("cpu" if options.toy else "cuda"))
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU is there; --toy tries the command on a CPU", file=sys.stderr)
        return 2
    began = time.monotonic()
    report: dict[str, Any] = {"machine": machine(device), "toy": options.toy, "parts": {}}
    setting = Setting(device, options.toy, 1 if options.toy else options.rounds, options.base, options.published)
    print("  ".join(f"{name} {value}" for name, value in report["machine"].items()), flush=True)
    with setting:
        for name in options.part:
            run, minutes = PARTS[name]
            left = options.minutes - (time.monotonic() - began) / 60
            if left < minutes and not options.toy:
                report["parts"][name] = {"left_out": f"{left:.1f} minutes were left, it takes {minutes:g}"}
                print(f"{name}: left out, {report['parts'][name]['left_out']}", flush=True)
                continue
            report["parts"][name] = part = {"rows": [], "failed": None}
            start = time.monotonic()
            try:
                for row in run(setting):
                    part["rows"].append(row)
                    print(line(name, row), flush=True)
            except Exception as error:  # the other parts are worth having
                part["failed"] = f"{type(error).__name__}: {error}"
                traceback.print_exc()
            part["seconds"] = round(time.monotonic() - start, 1)
            if device.type == "cuda":
                torch.cuda.empty_cache()
            if options.out:
                write_json(options.out, report)
    missed = [*failures(report)]
    report["minutes"] = round((time.monotonic() - began) / 60, 2)
    print(f"{report['minutes']} minutes; " + ("; ".join(missed) if missed else "nothing failed, every goal is met"))
    if options.out:
        write_json(options.out, report)
    return 1 if any(part.get("failed") for part in report["parts"].values()) else 0


def machine(device: torch.device) -> dict[str, Any]:
    """What it was measured on."""
    facts = {"torch": torch.__version__, "device": device.type, "fast_bf16": has_fast_bf16(device)}
    if device.type == "cuda":
        name = torch.cuda.get_device_properties(device).name
        facts |= {"name": name, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return facts


def line(part: str, row: dict[str, Any]) -> str:
    """A row as it is printed."""
    value = row["value"]
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    goal = "" if row.get("goal") is None else f", goal {row['goal']:g}: {'met' if row['met'] else 'MISSED'}"
    note = f"  ({row['note']})" if row.get("note") else ""
    return f"{part:9} {row['what']:58} {shown:>10} {row['unit']}{goal}{note}"


def failures(report: dict[str, Any]) -> Iterator[str]:
    """What failed, was left out, or missed its goal."""
    for name, part in report["parts"].items():
        if part.get("failed"):
            yield f"{name} failed: {part['failed']}"
        if part.get("left_out"):
            yield f"{name} left out"
        missed = [row["what"] for row in part.get("rows", ()) if row.get("met") is False]
        if missed:
            yield f"{name} missed: {', '.join(missed)}"


if __name__ == "__main__":
    sys.exit(main())
