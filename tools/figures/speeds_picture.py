"""The picture of docs/signals.md: one street, as it is driven and at other speeds.

python tools/figures/speeds_picture.py --out docs/images/speeds.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mcvd.video.contact_sheet import contact_sheet

sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))
from street_speeds import drive

STREET, NUM_PAST, SHOWN = 3, 2, (0, 1, 4, 7, 10, 13, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    rows = {}
    for factor in (0.3, 1.0, 1.5):
        frames, speed = drive(7, STREET, factor, NUM_PAST - 1, NUM_PAST + SHOWN[-1], (64, 64))
        rows[f"to {speed[-1]:.0f} m/s"] = frames[list(SHOWN)]
    contact_sheet(rows, context=[*range(NUM_PAST)], min_height=64).save(options.out)


if __name__ == "__main__":
    main()
