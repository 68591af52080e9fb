"""UCF-101, split 3: videos -> packs of 64x85 frames, of a hundred videos each."""

import sys
from functools import partial

import numpy as np
from einops import rearrange
from PIL import Image

from mcvd.data.prepare.archive import unpack
from mcvd.data.prepare.cli import run
from mcvd.data.prepare.packs import Pack
from mcvd.runtime.download import Download, fetch
from mcvd.video.open import open_video

SPLITS = Download(
    ("https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip",),
    num_bytes=113_943,
    digest="sha256:5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27",
)
WIDTH, HEIGHT = 85, 64
VIDEO_BYTES = 190 * HEIGHT * WIDTH * 3  # of an average video
PACK = 100


def find_packs(raw):
    root = raw / "UCF-101"
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root} is not there: get https://www.crcv.ucf.edu/data/UCF101/UCF101.rar and unpack it: "
            f"unrar x UCF101.rar {raw}/"
        )
    lists = raw / "ucfTrainTestlist"
    if not lists.is_dir():
        lists = unpack(fetch(SPLITS, raw), raw / "splits") / "ucfTrainTestlist"
    train, test = names(lists / "trainlist03.txt"), names(lists / "testlist03.txt")
    # Every tenth of the test videos, as Mathieu et al. (arXiv 1511.05440) and MCVD after them.
    sides = {"train": train, "test": test[: max(1, len(test) // 10) * 10 : 10]}
    packs = []
    for side, chosen in sides.items():
        missing = [name for name in chosen if not (root / name).is_file()]
        if missing:
            raise FileNotFoundError(f"{len(missing)} videos of the split are not in {root}, such as {missing[0]}")
        for start in range(0, len(chosen), PACK):
            part = [root / name for name in chosen[start : start + PACK]]
            packs.append(Pack(f"{side}/{start:05}", len(part) * VIDEO_BYTES, partial(videos, part)))
    return packs


def names(file):
    """The paths in a split list; its lines may end in the number of the class."""
    return [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def videos(files):
    for file in files:
        with open_video(file) as reader:
            frames = rearrange(reader.read(range(reader.num_frames)), "t c h w -> t h w c").numpy()
        pictures = [Image.fromarray(frame).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS) for frame in frames]
        yield f"{file.parent.name}/{file.name}", np.stack([np.asarray(picture) for picture in pictures])


if __name__ == "__main__":
    sys.exit(run("ucf101", 25, find_packs, "the folder UCF-101; split lists are fetched if missing"))
