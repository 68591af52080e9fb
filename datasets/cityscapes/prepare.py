"""Cityscapes sequences: snippets of 30 pictures -> packs of 128x128 frames, one per city."""

import re
import sys
from collections import defaultdict
from functools import partial

import numpy as np
from PIL import Image

from mcvd.data.prepare.archive import unpack
from mcvd.data.prepare.cli import run
from mcvd.data.prepare.packs import Pack
from mcvd.video.decoders.base import VideoError

SIZE, SNIPPET = 128, 30
NAME = re.compile(r"(?P<city>.+)_(?P<sequence>\d{6})_(?P<frame>\d{6})_leftImg8bit\.png")


def find_packs(raw):
    root = raw / "leftImg8bit_sequence"
    if not root.is_dir():
        archive = raw / "leftImg8bit_sequence_trainvaltest.zip"
        if not archive.exists():
            raise FileNotFoundError(
                f"{archive} is not there: get it from https://www.cityscapes-dataset.com/downloads "
                "(after registration) and put it there, or its folder leftImg8bit_sequence"
            )
        root = unpack(archive, raw / "unpacked") / "leftImg8bit_sequence"
    packs = []
    for side in ("train", "val", "test"):
        for city in sorted(path for path in (root / side).glob("*") if path.is_dir()):
            found = snippets(city)
            packs.append(Pack(f"{side}/{city.name}", len(found) * SNIPPET * SIZE * SIZE * 3, partial(videos, found)))
    return packs


def snippets(city):
    """The pictures of a city in runs of 30 that follow each other."""
    sequences = defaultdict(list)
    for file in sorted(city.iterdir()):
        if match := NAME.fullmatch(file.name):
            sequences[match["sequence"]].append((int(match["frame"]), file))
    found = []
    for sequence, pictures in sequences.items():
        # Some cities were recorded in one go: their snippets of 30 share the number of the sequence.
        for start in range(0, len(pictures), SNIPPET):
            numbers, files = zip(*pictures[start : start + SNIPPET], strict=True)
            if len(files) != SNIPPET or numbers != tuple(range(numbers[0], numbers[0] + SNIPPET)):
                raise VideoError(f"{city}: sequence {sequence} has a gap after frame {numbers[0]}; unpack it again")
            found.append((f"{city.name}_{sequence}_{numbers[0]:06}", files))
    return found


def videos(found):
    for name, files in found:
        yield name, np.stack([square(file) for file in files])


def square(file):
    with Image.open(file) as picture:
        side = min(picture.size)
        left, top = ((length - side) // 2 for length in picture.size)
        crop = picture.convert("RGB").crop((left, top, left + side, top + side))
    return np.asarray(crop.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    sys.exit(run("cityscapes", 17, find_packs, "the zip, or its folder leftImg8bit_sequence"))
