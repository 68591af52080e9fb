"""The pictures of guided digits (docs/guides.md) and of a steered model (docs/signals.md), of models of the studies.

    python tools/figures/steered_pictures.py digits --folder digits --out docs/images/guided-digits.png
    python tools/figures/steered_pictures.py street --folder speeds --out docs/images/steered-street.png

``--folder`` is what ``tools/studies/digit_guidance.py`` or ``tools/studies/street_speeds.py`` has trained.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

import mcvd
from mcvd.models.classifier import load_classifier
from mcvd.video.contact_sheet import contact_sheet

sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))
from street_speeds import drive

PER_DIGIT, STEPS = 3, 20
SHOWN = (0, 1, 3, 5, 7, 9, 11)


def digits(options: argparse.Namespace) -> dict[str, torch.Tensor]:
    """The first frame of three videos of each digit that is asked for, by how it is asked for."""
    model, classifier = mcvd.load(options.folder / "model"), load_classifier(options.folder / "classifier")
    rows = {}
    for weight in (0, 1, 10):
        rows[f"classifier, {weight}"] = [
            {"guide": classifier.wish(d), "guide_weight": weight} for d in classifier.labels
        ]
    for guidance in (1, 2):
        how = {} if guidance == 1 else {"guidance": guidance, "guidance_drops": "signals"}
        rows[f"told, {guidance}"] = [{"signals": {"label": d}, **how} for d in classifier.labels]
    made = {}
    for name, ways in rows.items():
        shared = {"num_samples": PER_DIGIT, "steps": STEPS, "progress": False}
        videos = [model.generate(model.block.current, seed=seed, **shared, **way) for seed, way in enumerate(ways)]
        made[name] = torch.cat(videos)[:, 0]
    return made


def street(options: argparse.Namespace) -> dict[str, torch.Tensor]:
    """A street on which the car brakes after the given frames, and what a model makes of it when told so, or not."""
    model = mcvd.load(options.folder)
    shape = model.block.past - 1, SHOWN[-1] + 1, model.size
    (film, speeds), (_, steady) = (drive(7, options.street, factor, *shape) for factor in (0.3, 1.0))
    rows, past = {"braking": film}, film[: model.block.past]
    for name, told in (("told so", speeds), ("told steady", steady), ("untold", None)):
        signals = None if told is None else told[:, None]
        made = model.predict(past, len(film) - len(past), signals=signals, progress=False)
        rows[name] = torch.cat([past, made[0]])
    return {name: frames[list(SHOWN)] for name, frames in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["digits", "street"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--street", type=int, default=3, help="number of the street")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = {"digits": digits, "street": street}[options.what](options)
    sheet = contact_sheet(rows, context=[] if options.what == "digits" else [0, 1], min_height=48)
    sheet.quantize(128).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
