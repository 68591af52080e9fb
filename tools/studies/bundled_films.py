"""Makes the films that the bundled model is trained and scored on: 10 Hz, 64x96, a pack for each kind of film.

    python tools/studies/bundled_films.py DATA OUT --pieces 2

DATA is the folder of sample clips (``train/``, ``val/``, ``more/``, with their licences beside them). OUT gets
``train/KIND`` and ``heldout/KIND``, which share no recording. Films of fewer than 10 Hz keep their own frames. With
``--pieces K`` there is ``train/KIND-pieces`` too: of each film K pieces of half its height, where they are as sharp.
With ``--scale 2`` frames are 128x192, and so on.
"""

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from einops import rearrange

import mcvd
from mcvd.data import write_pack
from mcvd.video.open import open_video

RATE_HZ = 10.0
SIZE = (64, 96)
FOLDER_RATES_HZ = {"rc_car": 20.0, "sim_rover": 20.0, "robot": 5.0}  # of folders of pictures, which do not tell theirs
# Recordings of more/ that nobody trains on; val/ is held out as a whole.
HELD_OUT = (
    "handheld/white_flower",
    "traffic/city_street",
    "hands/blocks",
    "animals/two_flies",
    "rc_car2/white_line",
    "road2/red_trees",
    "static2/shop_aisle",
    "sim_robot/cheetah_run",
    "sim_robot/hopper",
    "sim_robot/scene_fov",
)


def films(data: Path) -> Iterator[tuple[str, str, Path]]:
    """(split, kind, path) of each film; a film is a file or a folder of pictures."""
    for part in ("train", "val", "more"):
        for kind in sorted(path for path in (data / part).iterdir() if path.is_dir() and path.name != "stills"):
            for film in sorted(kind.iterdir()):
                if film.is_dir() or film.suffix in (".mp4", ".mkv"):
                    held_out = part == "val" or f"{kind.name}/{film.stem}" in HELD_OUT
                    yield "heldout" if held_out else "train", kind.name, film


def pixels(kind: str, film: Path, size: tuple[int, int]) -> np.ndarray:
    """The film at this (height, width), uint8 (T, H, W, C)."""
    if film.is_dir():
        frames = mcvd.read_video(film, size)
        stride = max(1, round(FOLDER_RATES_HZ[kind] / RATE_HZ))
        frames = frames[::stride]
    else:
        with open_video(film) as reader:
            is_slow = reader.frame_rate_hz < RATE_HZ
        frames = mcvd.read_video(film, size, frame_rate_hz=None if is_slow else RATE_HZ)
    return rearrange(frames, "t c h w -> t h w c").numpy()


def pieces(kind: str, film: Path, count: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Pieces of a film anywhere in its frames, at twice the scale, each uint8 (T, H, W, C); of small films none."""
    height, width = size
    with open_video(film) as reader:
        if reader.size[0] < 1.8 * height:
            return
    large = pixels(kind, film, (2 * height, 2 * width))
    generator = np.random.default_rng(zlib.crc32(f"{kind}/{film.name}".encode()))
    for _ in range(count):
        top, left = generator.integers(0, height + 1), generator.integers(0, width + 1)
        yield np.ascontiguousarray(large[:, top : top + height, left : left + width])


def main() -> None:
    """Make all packs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pieces", type=int, default=0, metavar="K")
    parser.add_argument("--scale", type=int, default=1, metavar="K")
    arguments = parser.parse_args()
    size = (arguments.scale * SIZE[0], arguments.scale * SIZE[1])
    found: dict[tuple[str, str], list[Path]] = {}
    for split, kind, film in films(arguments.data):
        found.setdefault((split, kind), []).append(film)
    for (split, kind), of_kind in found.items():
        videos = [(film.stem, pixels(kind, film, size)) for film in of_kind]
        write_pack(arguments.out / split / kind, videos, RATE_HZ)
        print(f"{split}/{kind}: {len(videos)} films, {sum(len(video) for _, video in videos)} frames")
        if split == "train" and arguments.pieces:
            parts = [
                (f"{film.stem}-{number}", part)
                for film in of_kind
                for number, part in enumerate(pieces(kind, film, arguments.pieces, size))
            ]
            if parts:
                write_pack(arguments.out / split / f"{kind}-pieces", parts, RATE_HZ)


if __name__ == "__main__":
    main()
