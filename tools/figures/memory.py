"""Draws what tools/bench/watch_memory.py wrote down: memory over time, one panel for each command.

python tools/figures/memory.py --out docs/images/memory.svg "10,000 frames=rollout.jsonl" "training=memory.jsonl"
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "mcvd"  # the same file for the same numbers
from matplotlib import pyplot  # noqa: E402


def read_looks(path: Path) -> tuple[list[float], list[float]]:
    """Minutes and megabytes of each look."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["seconds"] / 60 for row in rows], [row["bytes"] / 1e6 for row in rows]


def growth(minutes: list[float], megabytes: list[float]) -> str:
    """Means of the second and of the last quarter, in words: the first one is set-up."""
    quarter = max(1, len(minutes) // 4)
    early, late = megabytes[quarter : 2 * quarter] or megabytes, megabytes[-quarter:]
    first, last = sum(early) / len(early), sum(late) / len(late)
    return (
        f"second quarter {first:.0f} MB, last quarter {last:.0f} MB ({100 * (last / first - 1):+.1f} %), "
        f"most {max(megabytes):.0f} MB, {minutes[-1]:.0f} minutes"
    )


def main() -> None:
    """Draw, and say the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("panels", nargs="+", metavar="TITLE=FILE.jsonl")
    options = parser.parse_args()
    figure, axes = pyplot.subplots(1, len(options.panels), figsize=(4.5 * len(options.panels), 2.8), squeeze=False)
    for panel, axis in zip(options.panels, axes[0], strict=True):
        title, _, path = panel.partition("=")
        minutes, megabytes = read_looks(Path(path))
        axis.plot(minutes, megabytes, color="#0072b2", linewidth=1.2)
        axis.set(title=title, xlabel="minutes", ylabel="memory of its own, MB", ylim=(0, 1.3 * max(megabytes)))
        print(f"{title}: {growth(minutes, megabytes)}")
    figure.tight_layout()
    figure.savefig(options.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
