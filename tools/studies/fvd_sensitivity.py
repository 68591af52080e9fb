"""Show that a Frechet distance of video features grows with every kind of damage.

    python tools/studies/fvd_sensitivity.py

Invented streets against the same streets damaged more and more, in the features of an I3D with random weights (seed 0):
not FVD, but the same code, so that a wrong sign or axis would show.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from reference.damaged_clips import DAMAGES, distances, streets, undamaged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-clips", type=int, default=24)
    parser.add_argument("--size", type=int, default=64, help="side of the frames that the network sees")
    options = parser.parse_args()
    clips = streets(options.num_clips)
    clean = undamaged(clips, options.size)
    print("| damage | weak | medium | strong |\n|---|---|---|---|")
    for kind, (_, unit, strengths) in DAMAGES.items():
        found = distances(clips, kind, clean)
        cells = [f"{strength:g} {unit}: {value:.3g}" for strength, value in zip(strengths, found, strict=True)]
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
