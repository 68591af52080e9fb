"""BAIR robot pushing: TFRecords -> packs of 64x64 frames, one per file of 256 videos."""

import sys
from functools import partial

import numpy as np

from mcvd.data.prepare.archive import unpack
from mcvd.data.prepare.cli import run
from mcvd.data.prepare.packs import Pack
from mcvd.data.prepare.tfrecord import bytes_features, read_records
from mcvd.runtime.download import Download, fetch
from mcvd.video.decoders.base import VideoError

SOURCE = Download(
    ("http://rail.eecs.berkeley.edu/datasets/bair_robot_pushing_dataset_v0.tar",),
    num_bytes=32_274_964_480,
    digest="sha256:c6f8d164ab2be07174ef597e3e070d7466f3142caddc467b6af119b9458cd9cd",
)
NUM_FRAMES, SIZE = 30, (64, 64, 3)
VIDEO_BYTES = NUM_FRAMES * 64 * 64 * 3


def find_packs(raw):
    root = raw / "softmotion30_44k"
    if not root.is_dir():
        root = unpack(fetch(SOURCE, raw), raw / "unpacked") / "softmotion30_44k"
    packs = []
    for side in ("train", "test"):
        files = sorted((root / side).glob("traj_*.tfrecords"))
        if not files:
            raise ValueError(f"{root / side}: there are no files traj_*.tfrecords")
        packs += [Pack(f"{side}/{file.stem}", 256 * VIDEO_BYTES, partial(videos, file)) for file in files]
    return packs


def videos(file):
    for number, record in enumerate(read_records(file)):
        try:
            stored = bytes_features(record)
            # "main" is the other camera, with a wide view that is not used for evaluation.
            frames = [
                np.frombuffer(stored[f"{t}/image_aux1/encoded"], np.uint8).reshape(SIZE) for t in range(NUM_FRAMES)
            ]
        except (KeyError, ValueError) as error:
            raise VideoError(f"{file}: record {number} is not a video of BAIR ({error})") from None
        yield f"{file.stem} {number}", np.stack(frames)


if __name__ == "__main__":
    sys.exit(run("bair", 10, find_packs, "the tar, or its folder softmotion30_44k; fetched if missing"))
