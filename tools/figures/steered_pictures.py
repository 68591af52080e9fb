"""The pictures of guided digits (docs/guides.md) and of a steered car (docs/signals.md), of models trained by studies.

    python tools/figures/steered_pictures.py digits --folder digits --out docs/images/guided-digits.png
    python tools/figures/steered_pictures.py car --folder steering --root rc_car --out docs/images/steered-car.png

``--folder`` is what ``tools/studies/digit_guidance.py`` or ``tools/studies/steering.py`` has trained.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

import mcvd
from mcvd.data import InMemoryVideos
from mcvd.models.classifier import load_classifier
from mcvd.video.contact_sheet import contact_sheet

sys.path.insert(0, str(Path(__file__).parents[1] / "studies"))
from steering import PAST, SIZE, Subject

PER_DIGIT, STEPS = 3, 20
CLIP, SHOWN = 90, (0, 1, 3, 5, 7, 9, 11)


def digits(options: argparse.Namespace) -> dict[str, torch.Tensor]:
    """The first frame of three videos of each digit that is asked for, by how it is asked for."""
    model, classifier = mcvd.load(options.folder / "model"), load_classifier(options.folder / "classifier")
    rows = {}
    for weight in (0, 1, 10):
        rows[f"classifier, {weight}"] = [
            {"guide": classifier.wish(d), "guide_weight": weight} for d in classifier.labels
        ]
    for guidance in (1, 2):
        how = {"guidance": guidance, "guidance_drops": "signals"}
        rows[f"told, {guidance}"] = [{"signals": {"label": d}, **how} for d in classifier.labels]
    made = {}
    for name, ways in rows.items():
        shared = {"num_samples": PER_DIGIT, "steps": STEPS, "progress": False}
        videos = [model.generate(model.block.current, seed=seed, **shared, **way) for seed, way in enumerate(ways)]
        made[name] = torch.cat(videos)[:, 0]
    return made


def car(options: argparse.Namespace) -> dict[str, torch.Tensor]:
    """A clip of the drive that was not trained on, and what a model makes of its beginning when told how to steer."""
    subject, model = Subject(options.root), mcvd.load(options.folder / "with")
    drive, frames = InMemoryVideos(subject.collections()[1], SIZE), range(options.first, options.first + SHOWN[-1] + 1)
    film, told = drive.read(0, frames, (SIZE, SIZE)), torch.from_numpy(drive.signals(0, subject.names)[list(frames)])
    rows = {"film": film}
    for name, sign in (("as driven", 1.0), ("mirrored", -1.0)):
        made = model.predict(film[:PAST], len(film) - PAST, signals=told * torch.tensor([sign, 1.0]), progress=False)
        rows[name] = torch.cat([film[:PAST], made[0]])
    return {name: frames[list(SHOWN)] for name, frames in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["digits", "car"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--root", help="of the car: the folder of its drive")
    parser.add_argument("--first", type=int, default=CLIP, help="of the car: which frame of the held-out part is first")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = {"digits": digits, "car": car}[options.what](options)
    contact_sheet(rows, context=[] if options.what == "digits" else [*range(PAST)], min_height=48).save(options.out)


if __name__ == "__main__":
    main()
